"""Which period, and which plan, does a moment of a subscription belong to? Rows to the values of billing.core.periods.

An hour belongs to one period and to one plan (billing.core.plan_changes); what an ended subscription's last calls left in the
next hour belongs to its last period. So every hour is billed once, whatever changes in it.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from fractions import Fraction
from uuid import UUID

from django.db.models import Q

from billing.core.periods import BillingCycle, Period, day_start
from billing.core.plan_changes import plan_spans
from billing.models import (
    Alignment,
    BillingPeriod,
    ChangeKind,
    Plan,
    Subscription,
    SubscriptionChange,
    SubscriptionStatus,
)

PLAN_KINDS = (ChangeKind.START, ChangeKind.PLAN, ChangeKind.KEEP)
"""Changes that say which plan is in force."""


@dataclass(frozen=True, slots=True)
class Phase:
    """A part of a billing period during which one plan was in force; its prices are those live at ``priced_at``."""

    plan: Plan
    period: Period
    priced_at: datetime
    proration: Fraction


def subscription_cycle(subscription: Subscription) -> BillingCycle:
    """Return the subscription's calendar: where its periods are cut. Plans it may change to have the same length."""
    return BillingCycle(subscription.anchor_on, subscription.time_zone, subscription.plan.period_months)


def first_period(plan: Plan, time_zone: str, now: datetime) -> tuple[Period, date]:
    """Return the first period of whoever subscribes now, from the start of the local day on, and the anchor of all others."""
    cycle = BillingCycle.started(now, time_zone, months=plan.period_months)
    anchor_on = cycle.anchor_on
    start = day_start(anchor_on, time_zone)
    if plan.alignment == Alignment.CALENDAR:
        anchor_on = anchor_on.replace(day=1)
    end = BillingCycle(anchor_on, time_zone, plan.period_months).containing(start).end
    return Period(start, end, time_zone), anchor_on


def period_value(subscription: Subscription, period: BillingPeriod) -> Period:
    """Return the row's interval as a value."""
    return Period(period.starts_at, period.ends_at, subscription.time_zone)


def changes_read(subscriptions: Iterable[Subscription]) -> dict[UUID, list[SubscriptionChange]]:
    """Return what happened to each of these subscriptions, by its id, the oldest first, in one query."""
    rows = SubscriptionChange.objects.filter(subscription__in=[one.id for one in subscriptions])
    found: defaultdict[UUID, list[SubscriptionChange]] = defaultdict(list)
    for change in rows.select_related("to_plan__api").defer("to_plan__api__document").order_by("at", "id"):
        found[change.subscription_id].append(change)
    return found


def subscription_phases(
    subscription: Subscription, period: Period, *, history: Sequence[SubscriptionChange] | None = None
) -> list[Phase]:
    """Cut a period where plans changed, those that are still ahead too (billing.core.plan_changes has the rule).

    ``history``: what happened to the subscription, when the caller has read it for several.
    """
    whole = subscription_cycle(subscription).containing(period.start)
    changes = [
        (change.at, change.to_plan)
        for change in (changes_read([subscription])[subscription.id] if history is None else history)
        if change.kind in PLAN_KINDS and change.to_plan is not None
    ]
    return [
        Phase(span.plan, span.period, max(span.since, span.period.start), span.period.fraction_of(whole))
        for span in plan_spans(changes, period)
    ]


def period_of_hour(
    subscription: Subscription, periods: Sequence[BillingPeriod], hour: datetime
) -> BillingPeriod | None:
    """Return the period that an hour is billed in: None when that period has not been opened yet. ``periods`` in order."""
    for period in reversed(periods):
        if hour >= period.ends_at and subscription.status != SubscriptionStatus.ENDED:
            return None
        if hour >= period.starts_at:
            return period
    return periods[0] if periods else None


def hours_end(subscription: Subscription, period: BillingPeriod) -> datetime | None:
    """Return the end of the hours that a period bills; None for the last one of an ended subscription: all that follows."""
    return period.ends_at if subscription.is_live or subscription.ended_at != period.ends_at else None


def hours_of_period(period: BillingPeriod) -> Q:
    """Return the condition on ``hour`` for what a period bills."""
    end = hours_end(period.subscription, period)
    return Q(hour__gte=period.starts_at) if end is None else Q(hour__gte=period.starts_at, hour__lt=end)
