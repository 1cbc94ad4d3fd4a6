"""The outbox of changes that gateways must learn of, the trail of who did what, and stored answers of idempotent requests."""

from django.db import models

from marketplace.models.accounts import Organization, Person
from marketplace.models.base import id_mint


class Change(models.Model):
    """Something a gateway must learn: written in the transaction of the change itself, marked once it is published."""

    id = models.BigAutoField(primary_key=True)
    kind = models.CharField(max_length=12, choices=[("app", "app"), ("catalog", "catalog")])
    subject_id = models.UUIDField(help_text="App.id for kind app; Api.id for kind catalog")
    at = models.DateTimeField(db_default=models.functions.Now())
    published_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        indexes = [models.Index(fields=["id"], condition=models.Q(published_at=None), name="change_unpublished")]


class AuditEvent(models.Model):
    """Who did what to which object. Appended, never edited; a trigger refuses updates and deletions."""

    id = models.UUIDField(primary_key=True, default=id_mint, editable=False)
    at = models.DateTimeField(db_default=models.functions.Now(), db_index=True)
    person = models.ForeignKey(Person, null=True, on_delete=models.PROTECT, related_name="+")
    organization = models.ForeignKey(Organization, null=True, on_delete=models.PROTECT, related_name="+")
    verb = models.CharField(max_length=60, help_text="entity.action, such as credential.revoke")
    subject = models.CharField(max_length=64, db_index=True, help_text="public id of the object")
    detail = models.JSONField(default=dict)


class IdempotentAnswer(models.Model):
    """The first answer to a POST with an Idempotency-Key, kept 24 hours with a fingerprint of the request."""

    id = models.UUIDField(primary_key=True, default=id_mint, editable=False)
    owner = models.CharField(max_length=64)
    key = models.CharField(max_length=255)
    fingerprint = models.CharField(max_length=64)
    status = models.PositiveSmallIntegerField(null=True, help_text="empty while the first request is still running")
    body = models.JSONField(null=True)
    at = models.DateTimeField(db_default=models.functions.Now(), db_index=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["owner", "key"], name="idempotent_answer_once")]
