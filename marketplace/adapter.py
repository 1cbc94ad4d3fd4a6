"""What allauth asks of us: a new person gets an organization of their own, mail speaks their language, doors have limits,
and the secrets of second factors are stored encrypted."""

from typing import Any, ClassVar

from allauth.account.adapter import DefaultAccountAdapter
from allauth.mfa.adapter import DefaultMFAAdapter
from allauth.mfa.models import Authenticator
from django.conf import settings
from django.http import HttpRequest
from django.utils.translation import get_language, get_language_from_request, gettext_lazy, override
from django.utils.translation import gettext as _
from django_ratelimit.core import is_ratelimited
from django_ratelimit.exceptions import Ratelimited
from redis.exceptions import RedisError

from marketplace.models import Person
from marketplace.services.accounts import organization_create
from marketplace.services.keyring import keyring_get
from marketplace.views.invited import invitation_path, invitation_remembered

LOGIN_RATE = "30/m"
SIGNUP_RATE = "20/h"
"""Uses of a door by one address. Guesses at one account are slowed by allauth itself."""


class AccountAdapter(DefaultAccountAdapter):  # type: ignore[misc]
    """Our answers to allauth's questions."""

    def pre_authenticate(self, request: HttpRequest, **credentials: Any) -> None:
        """Count the attempt before the password is looked at."""
        _door_limit(request, group="login", rate=LOGIN_RATE)
        super().pre_authenticate(request, **credentials)

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        """Open to everybody; posting the form is limited by address."""
        if request.method == "POST":
            _door_limit(request, group="signup", rate=SIGNUP_RATE)
        return True

    def get_login_redirect_url(self, request: HttpRequest) -> str:
        """Back to the invitation that somebody followed before they logged in or signed up, if any."""
        return invitation_path(request) or super().get_login_redirect_url(request)

    def save_user(self, request: HttpRequest, user: Person, form: Any, commit: bool = True) -> Person:
        """Keep the person with the language that they signed up in, and give them an organization.

        Who was invited into one gets none of their own: they came to join, and can make one at any time.
        """
        user.language = _language_of(get_language_from_request(request))
        person: Person = super().save_user(request, user, form, commit)
        if commit and invitation_remembered(request, email=person.email) is None:
            name = person.name or person.email.partition("@")[0]
            organization_create(name=_("%(name)s's organization") % {"name": name[:80]}, person=person)
        return person

    def send_mail(self, template_prefix: str, email: str, context: dict[str, Any]) -> None:
        """Write in the person's own language when we know them."""
        person = context.get("user") or Person.objects.filter(email__iexact=email).first()
        with override(person.language if isinstance(person, Person) else get_language()):
            super().send_mail(template_prefix, email, context)


class MfaAdapter(DefaultMFAAdapter):  # type: ignore[misc]
    """Our answers about second factors."""

    error_messages: ClassVar = {
        **DefaultMFAAdapter.error_messages,
        "incorrect_code": gettext_lazy("The code is wrong, or was used already. Type the one that is shown now."),
    }

    def encrypt(self, text: str) -> str:
        """The seed of codes, as it is stored."""
        return keyring_get().encrypt(text)

    def decrypt(self, encrypted_text: str) -> str:
        """The seed of codes. Raises SecretFault when its key is gone from TOLLGATE_SECRET_KEYS."""
        return keyring_get().decrypt(encrypted_text)

    def generate_authenticator_name(self, user: Person, type: Authenticator.Type) -> str:
        """The name that a new key is offered."""
        number = Authenticator.objects.filter(user=user, type=type).count() + 1
        return _("Key %(number)d") % {"number": number}

    def _get_site_name(self) -> str:
        return "Tollgate"


def _door_limit(request: HttpRequest, *, group: str, rate: str) -> None:
    try:
        is_over = is_ratelimited(request, group=f"door.{group}", key="ip", rate=rate, increment=True)
    except RedisError:  # with the cache down people are let in
        return
    if is_over:
        raise Ratelimited


def _language_of(code: str | None) -> str:
    return code if code in dict(settings.LANGUAGES) else "en"
