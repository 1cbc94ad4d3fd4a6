"""Who exists: people, the organizations they act for, their roles there, and the tokens that programs use for them."""

from typing import ClassVar

from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.contrib.auth.models import PermissionsMixin
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models.functions import Upper
from django.utils.translation import gettext_lazy as _

from marketplace.models.base import Entity


class PersonManager(BaseUserManager["Person"]):
    """Creates people by e-mail address; Django's own commands expect these two names."""

    @classmethod
    def normalize_email(cls, email: str | None) -> str:
        """The address as it is stored: in small letters, since the login compares it so."""
        return (email or "").strip().lower()

    def create_user(self, email: str, password: str | None = None, **extra: object) -> "Person":
        """Save a person; without a password nobody can log in by one. (Ours to call is services.accounts.person_create.)"""
        person = self.model(email=self.normalize_email(email), **extra)
        person.set_password(password)
        person.save(using=self._db)
        return person

    def create_superuser(self, email: str, password: str | None = None, **extra: object) -> "Person":
        """Save a person who may do everything, also in the admin; ``manage.py createsuperuser`` calls this."""
        return self.create_user(email, password, is_staff=True, is_superuser=True, is_platform_operator=True, **extra)


class Person(Entity, AbstractBaseUser, PermissionsMixin):
    """A human who logs in. What they may do follows from memberships and the two platform roles."""

    ID_PREFIX = "per"

    email = models.EmailField(_("e-mail address"), max_length=254, unique=True)
    name = models.CharField(_("name"), max_length=120, blank=True)
    language = models.CharField(_("language"), max_length=12, default="en", help_text="of pages and of e-mail")
    time_zone = models.CharField(_("time zone"), max_length=64, default="UTC")
    is_active = models.BooleanField(default=True)
    is_staff = models.BooleanField(default=False)
    is_platform_operator = models.BooleanField(default=False)
    is_platform_finance = models.BooleanField(default=False)

    USERNAME_FIELD = "email"
    EMAIL_FIELD = "email"
    REQUIRED_FIELDS: ClassVar[list[str]] = []
    objects = PersonManager()

    class Meta:
        # Upper, because that is what Django's iexact compares: one index serves the rule and the look-ups
        constraints = [models.UniqueConstraint(Upper("email"), name="person_email_unique_ci")]

    def __str__(self) -> str:
        return self.email

    def get_full_name(self) -> str:
        """The name, or the address when no name was given (Django's admin and allauth ask for this)."""
        return self.name or self.email


class Organization(Entity):
    """A legal party; *provider* when it publishes, *consumer* when it subscribes (roles, not types)."""

    ID_PREFIX = "org"

    name = models.CharField(_("name"), max_length=120)
    slug = models.SlugField(max_length=60, unique=True)
    is_provider = models.BooleanField(default=False)
    is_consumer = models.BooleanField(default=True)
    is_suspended = models.BooleanField(default=False)
    legal_name = models.CharField(_("legal name"), max_length=200, blank=True)
    address = models.TextField(_("address"), max_length=500, blank=True)
    country = models.CharField(_("country"), max_length=2, blank=True)
    tax_id = models.CharField(_("tax id"), max_length=40, blank=True)
    billing_email = models.EmailField(_("billing e-mail"), blank=True)
    language = models.CharField(_("document language"), max_length=12, default="en")
    time_zone = models.CharField(_("time zone"), max_length=64, default="UTC")

    def __str__(self) -> str:
        return self.name


class Role(models.TextChoices):
    """What a person may do in an organization: owner > developer, finance > viewer."""

    OWNER = "owner", _("Owner")
    DEVELOPER = "developer", _("Developer")
    FINANCE = "finance", _("Finance")
    VIEWER = "viewer", _("Viewer")


class Membership(Entity):
    """A person's role in an organization; an organization always keeps one owner."""

    ID_PREFIX = "mem"

    organization = models.ForeignKey(Organization, on_delete=models.CASCADE, related_name="memberships")
    person = models.ForeignKey(Person, on_delete=models.CASCADE, related_name="memberships")
    role = models.CharField(max_length=12, choices=Role.choices)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["organization", "person"], name="membership_once")]
        ordering = ["id"]


class Invitation(Entity):
    """An offer of a role sent by e-mail; only the hash of its token is kept."""

    ID_PREFIX = "ivt"

    organization = models.ForeignKey(Organization, on_delete=models.CASCADE, related_name="invitations")
    email = models.EmailField(max_length=254)
    role = models.CharField(max_length=12, choices=Role.choices)
    token_hash = models.BinaryField(max_length=32, unique=True)
    invited_by = models.ForeignKey(Person, on_delete=models.CASCADE, related_name="+")
    expires_at = models.DateTimeField()
    sent_at = models.DateTimeField(null=True, blank=True)
    accepted_at = models.DateTimeField(null=True, blank=True)
    withdrawn_at = models.DateTimeField(null=True, blank=True)

    def is_for(self, email: str) -> bool:
        """Whether it was sent to this address, in whatever letters."""
        return self.email.lower() == email.lower()


class AccessToken(Entity):
    """A scoped bearer of our own REST API: personal (no organization) or an organization's. Shown once, kept hashed."""

    ID_PREFIX = "tok"

    person = models.ForeignKey(Person, on_delete=models.CASCADE, related_name="access_tokens")
    organization = models.ForeignKey(
        Organization, null=True, blank=True, on_delete=models.CASCADE, related_name="access_tokens"
    )
    name = models.CharField(max_length=80)
    prefix = models.CharField(max_length=20)
    token_hash = models.BinaryField(max_length=32, unique=True)
    scopes = ArrayField(models.CharField(max_length=40))
    expires_at = models.DateTimeField(null=True, blank=True)
    last_used_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)
