"""Show me what is to be closed: which periods, in which order, a bounded piece at a time. Closing them is services/closing.

Periods that go on one invoice are one group: same consumer, currency and bounds. A cursor names the last group that was seen,
so that whoever goes on after a crash or in another task goes on there, however many customers there are.
"""

from collections import defaultdict
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from uuid import UUID

from django.db.models import Exists, OuterRef, Q, QuerySet

from billing.core.periods import day_start, month_reach, month_shift
from billing.models import BillingPeriod, InvoiceStatus, LateUsage, Subscription, SubscriptionStatus

DRAFT_GRACE = timedelta(hours=2)
"""How long after a period's end its draft waits for the last journal segments."""

_LATE = "late"
_COLUMNS = ("subscription__organization_id", "ends_at", "starts_at", "subscription__plan__currency")


@dataclass(frozen=True, slots=True)
class PeriodGroup:
    """The periods that one invoice bills."""

    organization_id: UUID
    period_end: datetime
    period_start: datetime
    currency: str
    is_late: bool = False

    @property
    def cursor(self) -> str:
        """Where to go on after this group, as text for a task's message."""
        parts = [str(self.organization_id), self.period_end.isoformat(), self.period_start.isoformat(), self.currency]
        return "|".join([_LATE, *parts] if self.is_late else parts)


def periods_due(*, now: datetime) -> QuerySet[BillingPeriod]:
    """The open periods that ended at least DRAFT_GRACE ago."""
    return BillingPeriod.objects.filter(closed_at=None, ends_at__lte=now - DRAFT_GRACE, subscription__is_parked=False)


def periods_wanted(
    *, now: datetime, month: date | None = None, subscription_id: UUID | None = None, until: datetime | None = None
) -> QuerySet[BillingPeriod]:
    """Periods asked for, running ones too: those that begin in a local ``month``; or those ended by ``until`` that are
    open or drafted. With ``subscription_id`` only its own; with nothing else, its current one.
    """
    periods = BillingPeriod.objects.filter(subscription__is_parked=False)
    if subscription_id is not None:
        periods = periods.filter(subscription_id=subscription_id)
    if month is not None:
        return periods.filter(_begins_in(month))
    if subscription_id is not None and until is None:
        return periods.filter(starts_at=Subscription.objects.get(id=subscription_id).current_period_start)
    waiting = Q(closed_at=None) | Q(invoice__status=InvoiceStatus.DRAFT)
    return periods.filter(waiting, ends_at__lte=until or now)


def groups_count(periods: QuerySet[BillingPeriod]) -> int:
    """How many groups these periods make."""
    return periods.order_by().values(*_COLUMNS).distinct().count()


def groups_after(periods: QuerySet[BillingPeriod], *, after: str, limit: int) -> list[PeriodGroup]:
    """The next groups behind a cursor (empty: the first), consumer by consumer, the oldest period of each first."""
    if after:
        organization_id, end, start, currency = after.split("|")
        same = Q(subscription__organization_id=organization_id)
        behind = (
            Q(subscription__organization_id__gt=organization_id)
            | same & Q(ends_at__gt=end)
            | same & Q(ends_at=end, starts_at__gt=start)
            | same & Q(ends_at=end, starts_at=start, subscription__plan__currency__gt=currency)
        )
        periods = periods.filter(behind, subscription__organization_id__gte=organization_id)
    rows = periods.order_by(*_COLUMNS).values_list(*_COLUMNS).distinct()
    return [PeriodGroup(*row) for row in rows[:limit]]


def late_is(after: str) -> bool:
    """Whether a cursor stands among the late groups."""
    return after.startswith(_LATE)


def late_groups_after(*, after: str, limit: int) -> list[PeriodGroup]:
    """Late usage of consumers that have no running subscription in its currency: no later invoice would take it."""
    live = Subscription.objects.filter(
        organization_id=OuterRef("subscription__organization_id"),
        plan__currency=OuterRef("subscription__plan__currency"),
    ).exclude(status=SubscriptionStatus.ENDED)
    rows = LateUsage.objects.filter(~Exists(live), invoice=None, subscription__status=SubscriptionStatus.ENDED)
    if after and late_is(after):
        _, organization_id, _, _, currency = after.split("|")
        rows = rows.filter(
            Q(subscription__organization_id__gt=organization_id)
            | Q(subscription__organization_id=organization_id, subscription__plan__currency__gt=currency)
        )
    key = ("subscription__organization_id", "subscription__plan__currency")
    oldest = rows.order_by(*key, "hour").distinct(*key).select_related("subscription__plan")
    return [
        PeriodGroup(
            organization_id=late.subscription.organization_id,
            period_end=late.subscription.current_period_end,
            period_start=late.subscription.current_period_start,
            currency=late.subscription.plan.currency,
            is_late=True,
        )
        for late in oldest[:limit]
    ]


def _begins_in(month: date) -> Q:
    """Periods that begin in a month of their own time zone; zones with the same midnights are asked for together."""
    first = month.replace(day=1)
    zones: defaultdict[tuple[datetime, datetime], list[str]] = defaultdict(list)
    for zone in Subscription.objects.order_by("time_zone").values_list("time_zone", flat=True).distinct():
        zones[day_start(first, zone), day_start(month_shift(first, 1), zone)].append(zone)
    wanted = Q(pk__in=[])
    for (start, end), names in zones.items():
        wanted |= Q(subscription__time_zone__in=names, starts_at__gte=start, starts_at__lt=end)
    return Q(starts_at__range=month_reach(month)) & wanted
