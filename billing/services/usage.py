"""Make it so: usage records from tallies. Rebuilt, never incremented: a second run over the same tallies changes nothing.

Hours that an issued invoice has billed stay as they are; what turns up for them later becomes LateUsage, for the next one.
"""

import logging
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.db import transaction

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
from billing.selectors.tallies import hours_touched, meter_hours, tallies_by_grant

SUBSCRIPTIONS_PER_LOCK = 200
"""Subscriptions whose usage is rebuilt in one transaction."""

RUN_GAP = timedelta(hours=24)

logger = logging.getLogger(__name__)
Key = tuple[UUID, datetime]


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
    *,
    now: datetime,
    received_since: datetime,
    subscription_ids: Iterable[UUID] | None = None,
    before: datetime | None = None,
) -> Rebuilt:
    """Rebuild every hour (before a moment, when one is given) for which tallies have arrived since another, however old.

    Segments commit out of order, so nothing is remembered: callers look back over a multiple of their interval.
    """
    wanted = Subscription.objects.filter(grant__isnull=False)
    if subscription_ids is not None:
        wanted = wanted.filter(id__in=list(subscription_ids))
    grants = {grant_id: key for key, grant_id in wanted.values_list("id", "grant_id")} if subscription_ids else None
    touched = hours_touched(received_since=received_since, grant_ids=grants)
    if grants is None:
        rows = wanted.filter(grant_id__in=list(touched)).values_list("grant_id", "id")
        grants = {grant_id: key for grant_id, key in rows if grant_id is not None}
    total = Rebuilt()
    for grant_id, hours in touched.items():
        wanted_hours = hours if before is None else [hour for hour in hours if hour < before]
        for first, last in _runs(wanted_hours) if grant_id in grants else ():
            total += usage_rebuild(
                since=first, until=last + timedelta(hours=1), subscription_ids=[grants[grant_id]], now=now
            )
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


def usage_release(*, invoice: Invoice, now: datetime) -> None:
    """Untie what a void invoice had frozen, so that a new draft bills it; its late usage is found again by rebuilding."""
    invoice.usage_records.update(invoice=None)
    late = list(invoice.late_usage.values_list("subscription_id", "hour"))
    invoice.late_usage.all().delete()
    for subscription_id, hour in late:
        LateUsage.objects.filter(subscription_id=subscription_id, hour=hour, invoice=None).delete()
        usage_rebuild(since=hour, until=hour + timedelta(hours=1), subscription_ids=[subscription_id], now=now)


def _runs(hours: Sequence[datetime]) -> list[tuple[datetime, datetime]]:
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
    locked = Subscription.objects.select_for_update(of=("self",), no_key=True).order_by("id")
    subscriptions = list(locked.filter(id__in=ids))
    meters: defaultdict[UUID, list[Meter]] = defaultdict(list)
    for meter in Meter.objects.filter(api_id__in={subscription.api_id for subscription in subscriptions}):
        meters[meter.api_id].append(meter)
    tallies = tallies_by_grant(
        grant_ids=[subscription.grant_id for subscription in subscriptions if subscription.grant_id],
        meters=[meter for listed in meters.values() for meter in listed],
        since=window[0],
        until=window[1],
    )
    total = Rebuilt(subscriptions=len(subscriptions))
    for subscription in subscriptions:
        happened = tallies.get(subscription.grant_id, []) if subscription.grant_id else []
        if happened:
            total += _one_rebuild(subscription, meter_hours(meters[subscription.api_id], happened), now)
    return total


def _one_rebuild(subscription: Subscription, quantities: dict[Key, int], now: datetime) -> Rebuilt:
    hours = {hour for _, hour in quantities}
    periods = list(subscription.periods.select_related("invoice").order_by("starts_at"))
    of_hour = {hour: period_of_hour(subscription, periods, hour) for hour in hours}
    records = {(record.meter_id, record.hour): record for record in subscription.usage_records.filter(hour__in=hours)}
    open_part = {key: value for key, value in quantities.items() if not _is_billed(of_hour[key[1]])}
    late_part = {key: value for key, value in quantities.items() if key not in open_part}
    written = _records_write(subscription, open_part, records, now)
    _periods_reopen([of_hour[hour] for _, hour in written])
    late = _late_write(subscription, late_part, records, now) if late_part else 0
    return Rebuilt(written=len(written), late=late)


def _is_billed(period: BillingPeriod | None) -> bool:
    return period is not None and period.invoice is not None and period.invoice.status == InvoiceStatus.ISSUED


def _records_write(
    subscription: Subscription, quantities: dict[Key, int], records: dict[Key, UsageRecord], now: datetime
) -> list[Key]:
    """Write only what differs, and return its keys."""
    fresh, changed = [], []
    for (meter_id, hour), quantity in quantities.items():
        record = records.get((meter_id, hour))
        if record is None:
            fresh.append(
                UsageRecord(subscription=subscription, meter_id=meter_id, hour=hour, quantity=quantity, rebuilt_at=now)
            )
        elif record.quantity != quantity:
            record.quantity, record.rebuilt_at = quantity, now
            changed.append(record)
    UsageRecord.objects.bulk_create(fresh, batch_size=1_000)
    UsageRecord.objects.bulk_update(changed, ["quantity", "rebuilt_at"], batch_size=1_000)
    return [(record.meter_id, record.hour) for record in (*fresh, *changed)]


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
