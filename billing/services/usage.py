"""Make it so: usage records from tallies. Rebuilt, never incremented: a second run over the same tallies changes nothing.

Hours that an issued invoice has billed stay as they are; what turns up for them later becomes LateUsage, for the next one.
Which hours are to be looked at as tallies arrive: services/usage_due.
"""

import logging
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.db import transaction
from django.db.models import Prefetch

from billing.core.periods import hour_ceiling, hour_floor
from billing.models import (
    BillingPeriod,
    Invoice,
    InvoiceStatus,
    LateUsage,
    Meter,
    Subscription,
    UsageRecord,
)
from billing.selectors.calendar import hours_of_period, period_of_hour
from billing.selectors.rating import late_of_period
from billing.selectors.tallies import hours_touched, meter_hours, tallies_by_grant

SUBSCRIPTIONS_PER_LOCK = 200
"""Subscriptions whose usage is rebuilt in one transaction."""

RUN_GAP = timedelta(hours=24)
HOUR = timedelta(hours=1)

logger = logging.getLogger(__name__)
Key = tuple[UUID, datetime]
Happened = dict[Subscription, dict[Key, int]]
"""The quantity of each (meter, hour) that is not zero, by subscription."""

_PERIODS = (
    BillingPeriod.objects.select_related("invoice")
    .only("subscription_id", "starts_at", "ends_at", "closed_at", "invoice__status")
    .order_by("starts_at")
)


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """What one rebuild found: subscriptions looked at, records written, hours whose late usage changed."""

    subscriptions: int = 0
    written: int = 0
    late: int = 0

    def __add__(self, other: "Rebuilt") -> "Rebuilt":
        return Rebuilt(self.subscriptions + other.subscriptions, self.written + other.written, self.late + other.late)


def usage_rebuild(
    *,
    now: datetime,
    since: datetime | None = None,
    until: datetime | None = None,
    subscription_ids: Iterable[UUID] | None = None,
) -> Rebuilt:
    """Compute the records of all hours in [since, until) afresh, widened to whole UTC hours; None is without end.

    Locks each subscription, so that no invoice is issued in between. Safe to repeat and to run twice at once.
    """
    wanted = Subscription.objects.filter(grant__isnull=False)
    if subscription_ids is not None:
        wanted = wanted.filter(id__in=list(subscription_ids))
    ids = list(wanted.order_by("id").values_list("id", flat=True))
    window = (hour_floor(since) if since else None, hour_ceiling(until) if until else None)
    total = Rebuilt()
    for first in range(0, len(ids), SUBSCRIPTIONS_PER_LOCK):
        total += _batch_rebuild(ids[first : first + SUBSCRIPTIONS_PER_LOCK], window, now)
    return total


def usage_rebuild_arrived(
    *, now: datetime, received_since: datetime, before: datetime, subscription_ids: Iterable[UUID]
) -> Rebuilt:
    """Rebuild every hour of these subscriptions before a moment for which tallies have arrived since another, however old."""
    wanted = Subscription.objects.filter(grant__isnull=False, id__in=list(subscription_ids))
    grants = {grant_id: key for key, grant_id in wanted.values_list("id", "grant_id")}
    total = Rebuilt()
    for grant_id, hours in hours_touched(received_since=received_since, grant_ids=grants).items():
        for first, last in hour_runs([hour for hour in hours if hour < before]):
            total += usage_rebuild(since=first, until=last + HOUR, subscription_ids=[grants[grant_id]], now=now)
    return total


def usage_freeze(*, invoice: Invoice) -> int:
    """Tie the records of the invoice's periods to it: with its issue they become immutable. Returns how many.

    The caller holds the locks of the subscriptions and has compared records with tallies.
    """
    frozen = 0
    for period in invoice.periods.select_related("subscription"):
        records = UsageRecord.objects.filter(subscription=period.subscription, invoice=None)
        frozen += records.filter(hours_of_period(period)).update(invoice=invoice)
    return frozen


def usage_release(*, invoice: Invoice, periods: Sequence[BillingPeriod], now: datetime) -> None:
    """Untie what a void invoice had frozen, so that a new draft bills it; its late usage is found again by rebuilding.

    What turned up late for its ``periods`` and was billed nowhere goes back into their records: it is not late any more.
    """
    invoice.usage_records.update(invoice=None)
    for period in periods:
        late_of_period(period).exclude(invoice__status=InvoiceStatus.ISSUED).delete()
    late = list(invoice.late_usage.values_list("subscription_id", "hour"))
    invoice.late_usage.all().delete()
    for subscription_id, hour in late:
        LateUsage.objects.filter(subscription_id=subscription_id, hour=hour, invoice=None).delete()
        usage_rebuild(since=hour, until=hour + HOUR, subscription_ids=[subscription_id], now=now)


def hour_runs(hours: Sequence[datetime]) -> list[tuple[datetime, datetime]]:
    """Gather hours in order into runs without a gap of more than RUN_GAP, so that one old hour costs one old hour."""
    runs: list[tuple[datetime, datetime]] = []
    for hour in hours:
        if runs and hour - runs[-1][1] <= RUN_GAP:
            runs[-1] = (runs[-1][0], hour)
        else:
            runs.append((hour, hour))
    return runs


@transaction.atomic
def _batch_rebuild(ids: Sequence[UUID], window: tuple[datetime | None, datetime | None], now: datetime) -> Rebuilt:
    """Lock, read and write for many subscriptions at once: a batch of 200 costs about as many queries as one."""
    locked = Subscription.objects.select_for_update(of=("self",), no_key=True).order_by("id")
    subscriptions = list(locked.filter(id__in=ids).prefetch_related(Prefetch("periods", _PERIODS)))
    meters: defaultdict[UUID, list[Meter]] = defaultdict(list)
    for meter in Meter.objects.filter(api_id__in={subscription.api_id for subscription in subscriptions}):
        meters[meter.api_id].append(meter)
    tallies = tallies_by_grant(
        grant_ids=[subscription.grant_id for subscription in subscriptions if subscription.grant_id],
        meters=[meter for listed in meters.values() for meter in listed],
        since=window[0],
        until=window[1],
    )
    happened = {
        subscription: meter_hours(meters[subscription.api_id], tallies[subscription.grant_id])
        for subscription in subscriptions
        if subscription.grant_id in tallies
    }
    return Rebuilt(subscriptions=len(subscriptions)) + _happened_write(happened, now)


def _happened_write(happened: Happened, now: datetime) -> Rebuilt:
    """Write what differs: into records while no issued invoice has billed the hour, else into late usage."""
    records = _records_read(happened)
    to_write: list[UsageRecord] = []
    to_reopen: list[BillingPeriod | None] = []
    late = 0
    for subscription, quantities in happened.items():
        periods = list(subscription.periods.all())
        of_hour = {hour: period_of_hour(subscription, periods, hour) for _, hour in quantities}
        known = records[subscription.id]
        late_part = {key: value for key, value in quantities.items() if _is_billed(of_hour[key[1]])}
        open_part = {key: value for key, value in quantities.items() if key not in late_part}
        differing = _records_differing(subscription, open_part, known, now)
        to_write += differing
        to_reopen += [of_hour[record.hour] for record in differing]
        late += _late_write(subscription, late_part, known, now) if late_part else 0
    UsageRecord.objects.bulk_create(
        to_write,
        batch_size=1_000,
        update_conflicts=True,
        unique_fields=["subscription", "hour", "meter"],
        update_fields=["quantity", "rebuilt_at"],
    )
    _periods_reopen(to_reopen)
    return Rebuilt(written=len(to_write), late=late)


def _records_read(happened: Happened) -> defaultdict[UUID, dict[Key, UsageRecord]]:
    """Return the records there are of these hours, by subscription."""
    found: defaultdict[UUID, dict[Key, UsageRecord]] = defaultdict(dict)
    hours = sorted({hour for quantities in happened.values() for _, hour in quantities})
    if not hours:
        return found
    rows = UsageRecord.objects.filter(
        subscription_id__in=[subscription.id for subscription in happened],
        hour__range=(hours[0], hours[-1]),
    )
    for record in rows:
        found[record.subscription_id][record.meter_id, record.hour] = record
    return found


def _is_billed(period: BillingPeriod | None) -> bool:
    return period is not None and period.invoice is not None and period.invoice.status == InvoiceStatus.ISSUED


def _records_differing(
    subscription: Subscription, quantities: dict[Key, int], records: dict[Key, UsageRecord], now: datetime
) -> list[UsageRecord]:
    """Return the records that are new or have another quantity, not written yet."""
    differing = []
    for (meter_id, hour), quantity in quantities.items():
        record = records.get((meter_id, hour))
        if record is not None and record.quantity == quantity:
            continue
        record = record or UsageRecord(subscription=subscription, meter_id=meter_id, hour=hour)
        record.quantity, record.rebuilt_at = quantity, now
        differing.append(record)
    return differing


def _late_write(
    subscription: Subscription, quantities: dict[Key, int], records: dict[Key, UsageRecord], now: datetime
) -> int:
    """Note the difference between what happened and what issued invoices billed, hour by hour. Returns how many changed."""
    billed = {key: record.quantity for key, record in records.items()}
    waiting: dict[Key, LateUsage] = {}
    for late in subscription.late_usage.filter(hour__in={hour for _, hour in quantities}).select_related("invoice"):
        key = (late.meter_id, late.hour)
        if late.invoice is not None and late.invoice.status == InvoiceStatus.ISSUED:
            billed[key] = billed.get(key, 0) + late.quantity
        else:
            waiting[key] = late
    changed = 0
    for key, quantity in quantities.items():
        difference, row = quantity - billed.get(key, 0), waiting.get(key)
        if difference == (row.quantity if row else 0):
            continue
        changed += 1
        if row is not None and difference == 0:
            row.delete()
            continue
        row = row or LateUsage(subscription=subscription, meter_id=key[0], hour=key[1])
        row.quantity, row.rebuilt_at = difference, now
        row.save()
    if changed:
        logger.info("late usage of %s: %d hours changed", subscription.public_id, changed)
    return changed


def _periods_reopen(periods: Iterable[BillingPeriod | None]) -> None:
    """Usage turned up in a period that was found to owe nothing: look at it again."""
    ids = {period.id for period in periods if period is not None and period.closed_at and period.invoice_id is None}
    if ids:
        BillingPeriod.objects.filter(id__in=ids, invoice=None).update(closed_at=None)
