"""Django's settings, made from the environment that `config.env` has read and checked. One section a concern, no logic."""

from csp.constants import NONCE, NONE, SELF
from django.utils.translation import gettext_lazy as _

from config import env
from config.logs import logging_configure
from config.queue import TRANSPORT_OPTIONS, broker_url

TOLLGATE = env.settings_read()
BASE_DIR = env.BASE_DIR
IS_TEST = TOLLGATE.environment == "test"

# --- Django itself
SECRET_KEY = TOLLGATE.secret_key
DEBUG = False
ALLOWED_HOSTS = list(TOLLGATE.allowed_hosts)
CSRF_TRUSTED_ORIGINS = [TOLLGATE.public_url] if TOLLGATE.is_https else []
ROOT_URLCONF = "config.urls"
WSGI_APPLICATION = "config.wsgi.application"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
INSTALLED_APPS = [
    "marketplace",
    "gateway",
    "billing",
    "config.apps.ConfigConfig",
    "config.apps.OperatorAdminConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.humanize",
    "django.contrib.messages",
    "django.contrib.postgres",
    "django.contrib.sessions",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "allauth",
    "allauth.account",
    "allauth.mfa",
    "allauth.usersessions",
    "csp",
    "django_htmx",
    "django_ratelimit",
    "drf_spectacular",
    "rest_framework",
]
MIDDLEWARE = [
    "config.http.RequestLogMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "csp.middleware.CSPMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "config.page_language.PageLanguageMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "django_ratelimit.middleware.RatelimitMiddleware",
    "config.refusals.WrongMethodMiddleware",
]
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "django.template.context_processors.i18n",
                "csp.context_processors.nonce",
                "marketplace.views.context.portal",
            ]
        },
    }
]
SILENCED_SYSTEM_CHECKS = [
    "django_ratelimit.W001"
]  # it warns about Django's own Redis backend, which is shared and atomic

# --- stores
DATABASES = {"default": TOLLGATE.database}
CACHES = {
    "default": {
        "BACKEND": "django.core.cache.backends.redis.RedisCache",
        "LOCATION": TOLLGATE.valkey_url,
        "KEY_PREFIX": "tg:cache",
    }
}
SESSION_ENGINE = "django.contrib.sessions.backends.db"  # a login outlives a restart of Valkey

# --- people
AUTH_USER_MODEL = "marketplace.Person"
AUTHENTICATION_BACKENDS = [
    "django.contrib.auth.backends.ModelBackend",
    "allauth.account.auth_backends.AuthenticationBackend",
]
# Tests make people by the hundred; a slow hash there would cost minutes and show nothing.
PASSWORD_HASHERS = [f"django.contrib.auth.hashers.{'MD5' if IS_TEST else 'Argon2'}PasswordHasher"]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 10}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "django.contrib.auth.password_validation.NumericPasswordValidator"},
]
LOGIN_URL = "account_login"
LOGIN_REDIRECT_URL = "/"
ACCOUNT_ADAPTER = "marketplace.adapter.AccountAdapter"
ACCOUNT_FORMS = {
    name: f"marketplace.forms.security.{form}"
    for name, form in {
        "login": "LoginForm",
        "signup": "SignupForm",
        "add_email": "EmailAddForm",
        "reset_password": "PasswordResetForm",
        "reset_password_from_key": "PasswordResetKeyForm",
        "change_password": "PasswordChangeForm",
        "set_password": "PasswordSetForm",
        "reauthenticate": "PasswordConfirmForm",
    }.items()
}
ACCOUNT_LOGIN_METHODS = {"email"}
ACCOUNT_SIGNUP_FIELDS = ["email*", "password1*"]
ACCOUNT_USER_MODEL_USERNAME_FIELD = None
ACCOUNT_EMAIL_VERIFICATION = "mandatory"
ACCOUNT_EMAIL_NOTIFICATIONS = True
ACCOUNT_EMAIL_SUBJECT_PREFIX = ""
ACCOUNT_PREVENT_ENUMERATION = True
ACCOUNT_REAUTHENTICATION_REQUIRED = True
ACCOUNT_DEFAULT_HTTP_PROTOCOL = "https" if TOLLGATE.is_https else "http"
ALLAUTH_TRUSTED_PROXY_COUNT = TOLLGATE.proxy_count
MFA_SUPPORTED_TYPES = ["totp", "webauthn", "recovery_codes"]
MFA_PASSKEY_LOGIN_ENABLED = True
MFA_TOTP_ISSUER = "Tollgate"
MFA_ADAPTER = "marketplace.adapter.MfaAdapter"
MFA_FORMS = {
    name: f"marketplace.forms.security.{form}"
    for name, form in {
        "activate_totp": "TotpActivateForm",
        "authenticate": "CodeForm",
        "reauthenticate": "CodeConfirmForm",
        "login_webauthn": "PasskeyLoginForm",
        "authenticate_webauthn": "PasskeyForm",
        "reauthenticate_webauthn": "PasskeyConfirmForm",
        "add_webauthn": "PasskeyAddForm",
        "edit_webauthn": "PasskeyEditForm",
    }.items()
}
MFA_WEBAUTHN_ALLOW_INSECURE_ORIGIN = (
    not TOLLGATE.is_https
)  # browsers themselves allow passkeys on http://localhost only

# --- safety of the browser's side
SESSION_COOKIE_AGE = 14 * 24 * 3600
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = TOLLGATE.is_https
SESSION_COOKIE_NAME = "__Host-tollgate_session" if TOLLGATE.is_https else "tollgate_session"
CSRF_COOKIE_NAME = "__Host-tollgate_csrf" if TOLLGATE.is_https else "tollgate_csrf"
CSRF_COOKIE_HTTPONLY = True
CSRF_COOKIE_SAMESITE = "Lax"
LANGUAGE_COOKIE_NAME = "tollgate_language"
LANGUAGE_COOKIE_SAMESITE = "Lax"
SECURE_SSL_REDIRECT = TOLLGATE.is_https
SECURE_REDIRECT_EXEMPT = [r"^livez$", r"^readyz$"]
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if TOLLGATE.proxy_count else None
SECURE_HSTS_SECONDS = 365 * 24 * 3600 if TOLLGATE.is_https else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = TOLLGATE.is_https
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [NONE],
        "script-src": [SELF, NONCE],
        "style-src": [SELF, NONCE],
        "img-src": [SELF, "data:"],
        "font-src": [SELF],
        "connect-src": [SELF],
        "manifest-src": [SELF],
        "form-action": [SELF],
        "base-uri": [NONE],
        "object-src": [NONE],
        "frame-ancestors": [NONE],
    }
}
TOLLGATE_UPSTREAM_PRIVATE = TOLLGATE.upstream_private
CSRF_FAILURE_VIEW = "config.refusals.form_expired"
RATELIMIT_VIEW = "config.refusals.too_many_requests"
RATELIMIT_IP_META_KEY = "config.http.client_address"
DATA_UPLOAD_MAX_MEMORY_SIZE = 5 * 1024 * 1024
DATA_UPLOAD_MAX_NUMBER_FIELDS = 1000
FILE_UPLOAD_MAX_MEMORY_SIZE = 5 * 1024 * 1024

# --- languages and time
LANGUAGE_CODE = "en"
LANGUAGES = [("en", _("English")), ("zh-hans", _("Simplified Chinese"))]
LOCALE_PATHS = [BASE_DIR / "locale"]
USE_I18N = True
USE_TZ = True
TIME_ZONE = "UTC"

# --- static files
STATIC_URL = "/static/"
STATICFILES_DIRS = [BASE_DIR / "static"]
STATIC_ROOT = TOLLGATE.var / "static"
WHITENOISE_USE_FINDERS = TOLLGATE.environment != "production"
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {
        "BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"
        if TOLLGATE.environment == "production"
        else "django.contrib.staticfiles.storage.StaticFilesStorage"
    },
}
MEDIA_ROOT = TOLLGATE.var / "media"

# --- e-mail
EMAIL_BACKEND = TOLLGATE.email["EMAIL_BACKEND"]
EMAIL_FILE_PATH = f"/{TOLLGATE.email.get('EMAIL_FILE_PATH', '')}"  # of file:///folder; the parser eats the first slash
EMAIL_HOST = TOLLGATE.email.get("EMAIL_HOST") or "localhost"
EMAIL_PORT = TOLLGATE.email.get("EMAIL_PORT") or 25
EMAIL_HOST_USER = TOLLGATE.email.get("EMAIL_HOST_USER") or ""
EMAIL_HOST_PASSWORD = TOLLGATE.email.get("EMAIL_HOST_PASSWORD") or ""
EMAIL_USE_TLS = bool(TOLLGATE.email.get("EMAIL_USE_TLS"))
EMAIL_USE_SSL = bool(TOLLGATE.email.get("EMAIL_USE_SSL"))
EMAIL_TIMEOUT = 10
DEFAULT_FROM_EMAIL = SERVER_EMAIL = TOLLGATE.email_from

# --- REST API
REST_FRAMEWORK = {
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["rest_framework.parsers.JSONParser"],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_AUTHENTICATION_CLASSES": ["rest_framework.authentication.SessionAuthentication"],
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "EXCEPTION_HANDLER": "marketplace.api.problems.problem_exception_handler",
    "COERCE_DECIMAL_TO_STRING": True,
    "UNAUTHENTICATED_USER": "django.contrib.auth.models.AnonymousUser",
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Tollgate",
    "DESCRIPTION": "The REST API of the Tollgate marketplace: organizations, APIs, apps, credentials, usage and billing.",
    "VERSION": "1",
    "OAS_VERSION": "3.1.0",
    "SCHEMA_PATH_PREFIX": "/api/v1",
    "SERVE_INCLUDE_SCHEMA": False,
    "COMPONENT_SPLIT_REQUEST": True,
}

# --- Celery (the schedule is in config.beat, the queue in config.queue)
CELERY_TIMEZONE = "UTC"
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_ACKS_LATE = True  # a killed worker's task runs again: every task is safe to repeat
CELERY_TASK_REJECT_ON_WORKER_LOST = True
CELERY_TASK_TIME_LIMIT = 240  # seconds; below the queue's visibility timeout
CELERY_TASK_SOFT_TIME_LIMIT = 210
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_CONNECTION_MAX_RETRIES = None
CELERY_BROKER_TRANSPORT_OPTIONS = TRANSPORT_OPTIONS
CELERY_BROKER_URL = broker_url(TOLLGATE.valkey_url)

# --- logs
LOGGING_CONFIG = None
logging_configure(level=TOLLGATE.log_level)
