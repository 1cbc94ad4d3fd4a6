"""What happened: sealed journal segments and their tallies. Append-only; triggers refuse updates and deletions.

Written by the shipper (gateway.dataplane.shipper) with plain SQL in one transaction a segment; read through
marketplace.selectors.usage. Tallies carry plain ids instead of foreign keys: a fact does not depend on rows that may go.
"""

from django.contrib.postgres.fields import ArrayField
from django.db import models


class UsageSegment(models.Model):
    """One sealed journal file of one worker. Its id is the primary key, so that shipping it twice inserts nothing."""

    id = models.UUIDField(primary_key=True, editable=False)
    node = models.CharField(max_length=80)
    boot = models.UUIDField(help_text="one life of one worker process; also the owner of its leases")
    sequence = models.PositiveBigIntegerField()
    opened_at = models.DateTimeField()
    sealed_at = models.DateTimeField()
    received_at = models.DateTimeField(db_default=models.functions.Now(), db_index=True)
    events = models.PositiveBigIntegerField()
    size_bytes = models.PositiveBigIntegerField()
    sha256 = models.CharField(max_length=64)
    previous_sha256 = models.CharField(max_length=64, blank=True)
    evidence = models.CharField(
        max_length=300, help_text="where the compressed segment is kept, relative to the evidence store"
    )

    class Meta:
        constraints = [models.UniqueConstraint(fields=["boot", "sequence"], name="usage_segment_sequence_once")]


class UsageTally(models.Model):
    """The sum of one segment's events over (grant, app, api, stage, operation, outcome, hour)."""

    id = models.BigAutoField(primary_key=True)
    segment = models.ForeignKey(UsageSegment, on_delete=models.PROTECT, related_name="tallies")
    hour = models.DateTimeField(help_text="start of the UTC hour in which the calls finished")
    grant_id = models.UUIDField(null=True)
    app_id = models.UUIDField()
    api_id = models.UUIDField(null=True)
    operation_id = models.UUIDField(null=True)
    stage = models.CharField(max_length=10, blank=True)
    outcome = models.CharField(
        max_length=24, help_text="marketplace.contracts.usage.Outcome as text, such as rejected:B403MQ"
    )
    calls = models.PositiveBigIntegerField()
    units = models.PositiveBigIntegerField()
    request_bytes = models.PositiveBigIntegerField()
    response_bytes = models.PositiveBigIntegerField()
    latency_ms_sum = models.PositiveBigIntegerField()
    latency_histogram = ArrayField(
        models.PositiveBigIntegerField(), help_text="counts per bucket of LATENCY_BUCKETS_MS"
    )

    class Meta:
        indexes = [
            models.Index(fields=["grant_id", "hour"], name="usage_tally_grant_hour"),
            models.Index(fields=["api_id", "hour"], name="usage_tally_api_hour"),
            models.Index(fields=["app_id", "hour"], name="usage_tally_app_hour"),
        ]
