"""Usage as billing counts it: one quantity for (subscription, meter, hour), rebuilt from tallies, never incremented.

What happened is marketplace.models.usage; which of it counts is Meter. Frozen rows are refused by a trigger. Which hours are
still to be counted is UsageDue, and which segments it has been told of, SegmentNoted.
"""

from django.db import models
from django.db.models import Q

from billing.models.plans import Meter
from billing.models.subscriptions import Subscription
from marketplace.models.base import Entity


class UsageRecord(Entity):
    """The quantity of one hour. ``invoice`` is the issued invoice that froze it; ``hour`` is the start of a UTC hour."""

    ID_PREFIX = "urc"

    subscription = models.ForeignKey(Subscription, on_delete=models.PROTECT, related_name="usage_records")
    meter = models.ForeignKey(Meter, on_delete=models.PROTECT, related_name="usage_records")
    hour = models.DateTimeField()
    quantity = models.PositiveBigIntegerField()
    rebuilt_at = models.DateTimeField()
    invoice = models.ForeignKey(
        "billing.Invoice", null=True, blank=True, on_delete=models.PROTECT, related_name="usage_records"
    )

    class Meta:
        constraints = [models.UniqueConstraint(fields=["subscription", "hour", "meter"], name="usage_record_once")]
        indexes = [models.Index(fields=["invoice"], condition=Q(invoice__isnull=False), name="usage_record_invoice")]


class LateUsage(Entity):
    """The difference that turned up for a frozen hour: billed (or credited) as an adjustment on the next invoice.

    One open row an hour at most, rebuilt like a record until ``invoice`` freezes it; then a further difference is a new row.
    """

    ID_PREFIX = "ltu"

    subscription = models.ForeignKey(Subscription, on_delete=models.PROTECT, related_name="late_usage")
    meter = models.ForeignKey(Meter, on_delete=models.PROTECT, related_name="late_usage")
    hour = models.DateTimeField()
    quantity = models.BigIntegerField()
    rebuilt_at = models.DateTimeField()
    invoice = models.ForeignKey(
        "billing.Invoice", null=True, blank=True, on_delete=models.PROTECT, related_name="late_usage"
    )

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["subscription", "meter", "hour"], condition=Q(invoice=None), name="late_usage_open_once"
            ),
            models.CheckConstraint(condition=~Q(quantity=0), name="late_usage_is_a_difference"),
        ]


class UsageDue(models.Model):
    """An hour of a subscription for which tallies have arrived that its records do not hold yet.

    Written with the SegmentNoted of what arrived, deleted with the rebuilding of its records; the oldest ``due_at`` first.
    """

    id = models.BigAutoField(primary_key=True)
    subscription = models.ForeignKey(Subscription, on_delete=models.CASCADE, related_name="usage_due", db_index=False)
    hour = models.DateTimeField()
    due_at = models.DateTimeField(db_index=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["subscription", "hour"], name="usage_due_once")]


class SegmentNoted(models.Model):
    """A journal segment whose hours have become due. Kept as long as a segment that came earlier may yet turn up."""

    segment_id = models.UUIDField(primary_key=True)
    received_at = models.DateTimeField(db_index=True)
