"""What happened: sealed journal segments and their tallies. Append-only; triggers refuse updates and deletions.

Written by the shipper (gateway.dataplane.shipper) with plain SQL in one transaction a segment; read through
marketplace.selectors.usage. Tallies carry plain ids instead of foreign keys: a fact does not depend on rows that may go.
In the database both tables are cut into months of UTC (migration 0003, marketplace.services.partitions), so that an old month
can be detached; a key of such a table must hold the column that it is cut by.
"""

from django.contrib.postgres.fields import ArrayField
from django.db import models


class UsageSegment(models.Model):
    """One sealed journal file of one worker, in the month in which it was opened.

    Its primary key in the database is (id, opened_at). Both stand in the file's header and are covered by its digest, so the same
    segment meets the same key whenever it is shipped, and a second time inserts nothing.
    """

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
        constraints = [
            models.UniqueConstraint(fields=["boot", "sequence", "opened_at"], name="usage_segment_sequence_once")
        ]


class UsageTally(models.Model):
    """The sum of one segment's events over (grant, app, api, stage, operation, outcome, hour), in the month of its hour.

    It is inserted in one transaction with its segment and neither is ever changed, so the database checks no foreign key: one
    would forbid to detach an old month of segments, and cost a look-up a row.
    """

    id = models.BigAutoField(primary_key=True)
    segment = models.ForeignKey(UsageSegment, on_delete=models.PROTECT, related_name="tallies", db_constraint=False)
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
