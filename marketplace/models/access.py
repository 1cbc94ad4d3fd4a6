"""Who may call what: apps, their credentials, and the grants that carry limits by value."""

from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from marketplace.models.accounts import Organization
from marketplace.models.base import Entity
from marketplace.models.catalog import Api, StageName


class App(Entity):
    """A consumer's program; the holder of credentials and grants."""

    ID_PREFIX = "app"

    organization = models.ForeignKey(Organization, on_delete=models.PROTECT, related_name="apps")
    name = models.CharField(_("name"), max_length=80)
    description = models.CharField(_("description"), max_length=300, blank=True)
    is_suspended = models.BooleanField(default=False)
    deleted_at = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return self.name


class CredentialKind(models.TextChoices):
    """How a caller proves an App: a signing pair (X-Ca-Key and HMAC), or the simple AppCode."""

    KEY_PAIR = "key_pair", _("Key and secret")
    APP_CODE = "app_code", _("AppCode")


class Credential(Entity):
    """A secret of an App, shown once. At most two of a kind live at once, so that rotation has no gap.

    ``identifier``: the AppKey of a pair, or the first characters of an AppCode (to recognise it by). A pair's secret is
    encrypted (verifying an HMAC needs it); an AppCode is kept as the SHA-256 of its 128 random bits.
    """

    ID_PREFIX = "crd"
    LIVE_MAX = 2

    app = models.ForeignKey(App, on_delete=models.PROTECT, related_name="credentials")
    kind = models.CharField(max_length=8, choices=CredentialKind.choices)
    identifier = models.CharField(max_length=64)
    secret_encrypted = models.TextField(blank=True, help_text="Fernet token with the id of its key: <key id>:<token>")
    code_hash = models.CharField(max_length=64, blank=True, help_text="hex SHA-256 of the AppCode")
    expires_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)
    last_used_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["identifier"], condition=Q(kind="key_pair"), name="credential_app_key_once"
            ),
            models.UniqueConstraint(fields=["code_hash"], condition=Q(kind="app_code"), name="credential_code_once"),
        ]

    @property
    def has_ended(self) -> bool:
        """Whether it was revoked, or its time is over: nothing is left to rotate or to revoke."""
        return self.revoked_at is not None or (self.expires_at is not None and self.expires_at <= timezone.now())


class Grant(Entity):
    """The permission of one App to call one Api on one Stage within Limits, for a time [starts_at, ends_at)."""

    ID_PREFIX = "grt"

    app = models.ForeignKey(App, on_delete=models.PROTECT, related_name="grants")
    api = models.ForeignKey(Api, on_delete=models.PROTECT, related_name="grants")
    stage = models.CharField(max_length=10, choices=StageName.choices, default=StageName.RELEASE)
    limits = models.JSONField(default=dict, help_text="marketplace.contracts.limits.Limits as a dict")
    source = models.CharField(
        max_length=64, blank=True, help_text="who asked for it: the public id of a subscription, or empty"
    )
    starts_at = models.DateTimeField()
    ends_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["app", "api", "stage"], condition=Q(revoked_at=None), name="grant_live_once"
            ),
        ]
        indexes = [models.Index(fields=["source"], name="grant_source")]
