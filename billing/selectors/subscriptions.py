"""Show a consumer its subscriptions: the plan, what was used of the quota, and what the period costs so far. Reads only.

"So far" and "projected" run the code that will make the invoice, over the records there are and over these scaled in time.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from fractions import Fraction

from django.db.models import Count, QuerySet, Sum
from django.db.models.functions import TruncDay

from billing.core.periods import Period, calendar_month, zone_get
from billing.models import BillingPeriod, Meter, Subscription, SubscriptionChange, SubscriptionStatus, UsageRecord
from billing.selectors.calendar import Phase, period_value, subscription_phases
from billing.selectors.plans import PlanCard, plan_get, plan_limits, plan_list
from billing.selectors.rating import LineDraft, phase_quantities, phases_rate
from billing.selectors.tallies import tallies_by_grant
from marketplace.contracts.limits import QuotaLimit
from marketplace.models import Api, Organization

TIMELINE_MAX = 100
"""Changes that a subscription's page shows."""

EXPECTED_MAX = 200
"""Live subscriptions that the estimate of the next invoice looks at."""


@dataclass(frozen=True, slots=True)
class QuotaUse:
    """A quota now, in units: what tallies have seen in the window that ends at ``resets_at``. May exceed a soft quota."""

    limit: QuotaLimit
    used: int
    window_start: datetime
    resets_at: datetime

    @property
    def left(self) -> int:
        """Units that are left, never below zero."""
        return max(0, self.limit.units - self.used)

    @property
    def percent(self) -> int:
        """Whole per cent used, at most 100, for a bar."""
        return min(100, self.used * 100 // self.limit.units) if self.limit.units else 100


@dataclass(frozen=True, slots=True)
class MeterUse:
    """One meter in the current period: units so far, and the units at the same pace until its end."""

    meter: Meter
    units: int
    projected_units: int


@dataclass(frozen=True, slots=True)
class SubscriptionOverview:
    """A subscription as its page shows it. Amounts are minor units of the plan's currency."""

    subscription: Subscription
    card: PlanCard
    period: Period
    quota: QuotaUse | None
    meters: tuple[MeterUse, ...]
    lines: tuple[LineDraft, ...]
    spent_minor: int
    projected_minor: int


@dataclass(frozen=True, slots=True)
class ExpectedInvoice:
    """An invoice to come: the currency, the end of its period, and what it comes to at this pace, in minor units."""

    currency: str
    at: datetime
    time_zone: str
    minor: int


@dataclass(frozen=True, slots=True)
class UsageDay:
    """Units of one meter on one local day that starts ``at``."""

    at: datetime
    meter_id: object
    units: int


def subscription_list(*, organization: Organization, is_ended_shown: bool = True) -> QuerySet[Subscription]:
    """Return the organization's subscriptions, the newest first."""
    rows = Subscription.objects.filter(organization=organization)
    rows = rows if is_ended_shown else rows.exclude(status=SubscriptionStatus.ENDED)
    return rows.select_related("plan", "api__provider", "app", "grant").defer("api__document").order_by("-id")


def subscriber_list(*, provider: Organization) -> QuerySet[Subscription]:
    """Return the subscriptions to a provider's APIs, the newest first."""
    rows = Subscription.objects.filter(api__provider=provider)
    return rows.select_related("plan", "api", "organization").defer("api__document").order_by("-id")


def subscribers_count(*, api: Api) -> dict[object, int]:
    """Return how many live subscriptions each plan of an API has, by plan id."""
    live = Subscription.objects.filter(api=api).exclude(status=SubscriptionStatus.ENDED)
    rows = live.values("plan_id").annotate(n=Count("id")).order_by()
    return {row["plan_id"]: int(row["n"]) for row in rows}


def plans_to_change_to(*, subscription: Subscription) -> list[PlanCard]:
    """Return the offered plans that the subscription can change to: same API, currency and length of period."""
    now = subscription.plan
    return [
        card
        for card in plan_list(api=subscription.api)
        if card.plan.id != now.id and (card.plan.currency, card.plan.period_months) == (now.currency, now.period_months)
    ]


def subscription_timeline(*, subscription: Subscription) -> list[SubscriptionChange]:
    """Return what happened to the subscription, the newest first."""
    changes = subscription.changes.select_related("from_plan", "to_plan", "person")
    return list(changes.order_by("-at", "-id")[:TIMELINE_MAX])


def subscription_overview(*, subscription: Subscription, now: datetime) -> SubscriptionOverview:
    """Return what the subscription used and costs in its current period, and will at this pace."""
    period = BillingPeriod.objects.select_related("subscription__api", "subscription__plan").get(
        subscription=subscription, starts_at=subscription.current_period_start
    )
    value = period_value(subscription, period)
    phases = subscription_phases(subscription, value)
    used = phase_quantities(subscription=subscription, period=period, phases=phases)
    ahead = quantities_project(used, phases=phases, now=now)
    lines = phases_rate(subscription=subscription, phases=phases, quantities=used)
    projected = phases_rate(subscription=subscription, phases=phases, quantities=ahead)
    return SubscriptionOverview(
        subscription=subscription,
        card=plan_get(plan_id=subscription.plan_id),
        period=value,
        quota=quota_use(subscription=subscription, now=now),
        meters=_meters(subscription, used, ahead),
        lines=tuple(lines),
        spent_minor=sum(line.rated.amount_minor for line in lines),
        projected_minor=sum(line.rated.amount_minor for line in projected),
    )


def quantities_project(
    used: dict[int, dict[str, int]], *, phases: list[Phase], now: datetime
) -> dict[int, dict[str, int]]:
    """Stretch the usage of the phase that holds ``now`` to its whole length, rounded up; other phases stay."""
    ahead = {}
    for place, phase in enumerate(phases):
        elapsed = (min(max(now, phase.period.start), phase.period.end) - phase.period.start) // timedelta(seconds=1)
        stretch = Fraction(phase.period.seconds, elapsed) if elapsed else Fraction(1)
        ahead[place] = {meter: _ceil(units * stretch) for meter, units in used.get(place, {}).items()}
    return ahead


def quota_use(*, subscription: Subscription, now: datetime) -> QuotaUse | None:
    """Return how much of the quota the window of ``now`` has used, summed from tallies (a second or two behind)."""
    if subscription.grant_id is None:
        return None
    period = Period(subscription.current_period_start, subscription.current_period_end, subscription.time_zone)
    quota = plan_limits(subscription.plan, time_zone=subscription.time_zone).quota
    if quota is None:
        return None
    start, end = _window(quota, period, now)
    tallies = tallies_by_grant(grant_ids=[subscription.grant_id], since=start, until=end)
    used = sum(tally.units for tally in tallies.get(subscription.grant_id, []) if tally.outcome in quota.charged)
    return QuotaUse(limit=quota, used=used, window_start=start, resets_at=end)


def usage_days(*, subscription: Subscription, since: datetime, until: datetime) -> list[UsageDay]:
    """Return the units of each meter by local day of the subscription's zone, days in order."""
    rows = UsageRecord.objects.filter(subscription=subscription, hour__gte=since, hour__lt=until)
    cut = rows.annotate(at=TruncDay("hour", tzinfo=zone_get(subscription.time_zone)))
    sums = cut.values("at", "meter_id").annotate(units=Sum("quantity")).order_by("at", "meter_id")
    return [UsageDay(row["at"], row["meter_id"], int(row["units"])) for row in sums]


def spend_summary(*, organization: Organization, now: datetime) -> dict[str, tuple[int, int]]:
    """Return (spent, projected) of all live subscriptions' current periods by currency, in minor units."""
    sums: dict[str, tuple[int, int]] = {}
    live = subscription_list(organization=organization, is_ended_shown=False)
    for subscription in live:
        overview = subscription_overview(subscription=subscription, now=now)
        before = sums.get(subscription.plan.currency, (0, 0))
        sums[subscription.plan.currency] = (
            before[0] + overview.spent_minor,
            before[1] + overview.projected_minor,
        )
    return sums


def invoice_expected(*, organization: Organization, now: datetime) -> ExpectedInvoice | None:
    """Return when the next invoice comes and about how much it will be; None without a subscription that costs anything."""
    live = subscription_list(organization=organization, is_ended_shown=False)
    expected = [
        ExpectedInvoice(
            one.plan.currency,
            one.current_period_end,
            one.time_zone,
            subscription_overview(subscription=one, now=now).projected_minor,
        )
        for one in live[:EXPECTED_MAX]
    ]
    charged = sorted((one for one in expected if one.minor), key=lambda one: one.at)
    if not charged:
        return None
    first = charged[0]
    alike = [one.minor for one in charged if (one.at, one.currency) == (first.at, first.currency)]
    return replace(first, minor=sum(alike))


def _meters(
    subscription: Subscription, used: dict[int, dict[str, int]], ahead: dict[int, dict[str, int]]
) -> tuple[MeterUse, ...]:
    meters = Meter.objects.filter(api_id=subscription.api_id)
    return tuple(
        MeterUse(
            meter,
            sum(units.get(str(meter.id), 0) for units in used.values()),
            sum(units.get(str(meter.id), 0) for units in ahead.values()),
        )
        for meter in meters
    )


def _window(quota: QuotaLimit, period: Period, now: datetime) -> tuple[datetime, datetime]:
    """Return the quota's window that holds ``now``; calendar windows follow its zone."""
    if quota.window == "period":
        return period.start, period.end
    if quota.window == "month":
        month = calendar_month(now, quota.time_zone)
        return month.start, month.end
    local = now.astimezone(zone_get(quota.time_zone))
    if quota.window == "day":
        start = local.replace(hour=0, minute=0, second=0, microsecond=0)
        return start, (start + timedelta(days=1))
    start = now.replace(minute=0, second=0, microsecond=0)
    return start, start + timedelta(hours=1)


def _ceil(value: Fraction) -> int:
    return -(-value.numerator // value.denominator)
