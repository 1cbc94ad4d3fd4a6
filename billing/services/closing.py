"""Make it so: turn and close what is due. Each subscription and each draft is a transaction of its own.

One that fails in a way nobody foresaw is parked and the others go on. A store that is down, or the end of the worker's time,
stops the whole run, which the schedule repeats. Closing drafts; it neither moves a subscription to its next period early nor
issues anything.
"""

import logging
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID

from django.db.models import Q, QuerySet

from billing.core.money import Money
from billing.core.periods import day_start, month_reach, month_shift
from billing.models import BillingPeriod, Invoice, InvoiceStatus, LateUsage, Subscription, SubscriptionStatus
from billing.services.drafts import invoice_draft
from billing.services.locks import work_lock
from billing.services.queue import RUN_STOPS
from billing.services.subscriptions import subscription_park, subscription_turn, subscriptions_due

DRAFT_GRACE = timedelta(hours=2)
"""How long after a period's end its draft waits for the last journal segments."""

DRAFTS_PER_RUN_MAX = 5_000

Progress = Callable[[int, int], bool]
"""Told how many drafts are done and how many there are; returns whether to go on."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Closed:
    """One group of periods that was closed: the draft it led to, or none when nothing was due or all was billed."""

    organization: str
    currency: str
    period_start: str
    period_end: str
    invoice: str
    total: str
    fault: str = ""


@dataclass(frozen=True, slots=True)
class _Group:
    organization_id: UUID
    currency: str
    period_start: datetime
    period_end: datetime


def periods_turn(*, now: datetime) -> int:
    """Open the periods that have begun and end the subscriptions that were to end. Returns how many periods turned."""
    turned = 0
    for subscription_id in subscriptions_due(now=now):
        try:
            turned += subscription_turn(subscription_id=subscription_id, now=now)
        except RUN_STOPS:
            raise
        except Exception as problem:
            logger.exception("parked: %s could not be turned", subscription_id)
            subscription_park(subscription_id=subscription_id, reason=f"turn: {problem}")
    return turned


def invoices_draft_due(*, now: datetime) -> list[Closed]:
    """Draft every period that ended at least DRAFT_GRACE ago, and late usage that has no period left to go with."""
    with work_lock("invoices_draft") as is_ours:
        if not is_ours:
            return []
        due = BillingPeriod.objects.filter(closed_at=None, ends_at__lte=now - DRAFT_GRACE)
        return [*_close(due, now), *_late_close(now)]


def period_close(
    *,
    now: datetime,
    month: date | None = None,
    subscription_id: UUID | None = None,
    until: datetime | None = None,
    on_progress: Progress | None = None,
) -> list[Closed]:
    """Close periods on demand, running ones too: those that begin in a local ``month``; or those ended by ``until`` that
    are open or drafted.

    With ``subscription_id`` only its own; with nothing else, its current one. Drafts are computed anew. Later calls of a
    period that was closed and issued early go on the next invoice. ``on_progress`` hears of every draft and may stop it.
    """
    periods = BillingPeriod.objects.filter(subscription__is_parked=False)
    if subscription_id is not None:
        periods = periods.filter(subscription_id=subscription_id)
    if month is not None:
        near = periods.filter(starts_at__range=month_reach(month))
        wanted = [period.id for period in near.select_related("subscription") if _begins_in(period, month)]
        periods = periods.filter(id__in=wanted)
    elif subscription_id is not None and until is None:
        current = Subscription.objects.get(id=subscription_id).current_period_start
        periods = periods.filter(starts_at=current)
    else:
        waiting = Q(closed_at=None) | Q(invoice__status=InvoiceStatus.DRAFT)
        periods = periods.filter(waiting, ends_at__lte=until or now)
    return _close(periods, now, on_progress)


def report_dict(closed: Iterable[Closed]) -> list[dict[str, Any]]:
    """Return a closing's outcome as JSON-safe values."""
    return [asdict(row) for row in closed]


def _begins_in(period: BillingPeriod, month: date) -> bool:
    zone = period.subscription.time_zone
    first = month.replace(day=1)
    return day_start(first, zone) <= period.starts_at < day_start(month_shift(first, 1), zone)


def _close(periods: QuerySet[BillingPeriod], now: datetime, on_progress: Progress | None = None) -> list[Closed]:
    rows = periods.order_by("ends_at").values_list(
        "subscription__organization_id", "subscription__plan__currency", "starts_at", "ends_at"
    )
    groups = dict.fromkeys(_Group(*row) for row in rows.distinct()[:DRAFTS_PER_RUN_MAX])
    closed: list[Closed] = []
    for group in groups:
        if on_progress is not None and not on_progress(len(closed), len(groups)):
            break
        closed.append(_draft(group, now))
    return closed


def _late_close(now: datetime) -> list[Closed]:
    """Draft late usage of consumers that have no running subscription in its currency: no later invoice would take it."""
    rows = LateUsage.objects.filter(invoice=None, subscription__status=SubscriptionStatus.ENDED)
    groups: dict[tuple[UUID, str], _Group] = {}
    for late in rows.select_related("subscription__plan").order_by("hour")[:DRAFTS_PER_RUN_MAX]:
        subscription = late.subscription
        key = (subscription.organization_id, subscription.plan.currency)
        live = Subscription.objects.filter(organization_id=key[0], plan__currency=key[1])
        if key not in groups and not live.exclude(status=SubscriptionStatus.ENDED).exists():
            groups[key] = _Group(*key, subscription.current_period_start, subscription.current_period_end)
    return [_draft(group, now) for group in groups.values()]


def _draft(group: _Group, now: datetime) -> Closed:
    try:
        invoice = invoice_draft(**asdict(group), now=now)
    except RUN_STOPS:
        raise
    except Exception as problem:
        logger.exception("parked: %s could not be drafted", group)
        for subscription_id in _subscriptions_of(group):
            subscription_park(subscription_id=subscription_id, reason=f"draft: {problem}")
        return _closed(group, None, fault=str(problem))
    return _closed(group, invoice)


def _subscriptions_of(group: _Group) -> list[UUID]:
    periods = BillingPeriod.objects.filter(
        subscription__organization_id=group.organization_id,
        subscription__plan__currency=group.currency,
        starts_at=group.period_start,
        ends_at=group.period_end,
    )
    return list(periods.values_list("subscription_id", flat=True))


def _closed(group: _Group, invoice: Invoice | None, *, fault: str = "") -> Closed:
    return Closed(
        organization=str(group.organization_id),
        currency=group.currency,
        period_start=group.period_start.isoformat(),
        period_end=group.period_end.isoformat(),
        invoice=invoice.public_id if invoice else "",
        total=Money(invoice.total_minor, invoice.currency).format() if invoice else "0",
        fault=fault,
    )
