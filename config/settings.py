"""Every setting, from the environment. (Skeleton: the runtime owner replaces this.)"""

import os
from pathlib import Path

BASE_DIR = Path(__file__).resolve().parent.parent
SECRET_KEY = os.environ.get("SECRET_KEY", "skeleton")
DEBUG = False
ALLOWED_HOSTS = ["*"]
INSTALLED_APPS = [
    "marketplace",
    "gateway",
    "billing",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.postgres",
    "rest_framework",
]
AUTH_USER_MODEL = "marketplace.Person"
DATABASES = {"default": {"ENGINE": "django.db.backends.postgresql", "HOST": "/nonexistent"}}
USE_TZ = True
