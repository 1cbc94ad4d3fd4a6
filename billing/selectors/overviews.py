"""Show a consumer what its subscriptions used of their quotas and cost so far, and will at this pace. Reads only.

"So far" and "projected" run the code that will make the invoice, over the records there are and over these scaled in time.
Everything is read for many subscriptions at once: a page of ten costs as many queries as a page of one. The lists
themselves are in ``selectors.subscriptions``.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from fractions import Fraction
from uuid import UUID

from django.db.models import F, Sum

from billing.core.periods import Period, calendar_month, zone_get
from billing.models import BillingPeriod, InvoiceLine, InvoiceStatus, Meter, Subscription
from billing.selectors.calendar import Phase, changes_read, period_value, subscription_phases
from billing.selectors.plans import PlanCard, plan_cards, plan_limits
from billing.selectors.prices import PriceBook
from billing.selectors.rating import LineDraft, phases_rate, quantities_read
from billing.selectors.subscriptions import subscription_list
from billing.selectors.tallies import units_by_outcome
from marketplace.contracts.limits import QuotaLimit
from marketplace.models import Organization

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
class _Known:
    """What was read for all subscriptions of one call, by the id of what it belongs to."""

    book: PriceBook
    units: Mapping[UUID, Mapping[int, dict[str, int]]]
    meters: Mapping[UUID, Sequence[Meter]]
    quotas: Mapping[UUID, QuotaUse]
    cards: Mapping[UUID, PlanCard]


def subscription_overview(*, subscription: Subscription, now: datetime) -> SubscriptionOverview:
    """Return what one subscription used and costs in its current period, and will at this pace."""
    return subscription_overviews(subscriptions=[subscription], now=now)[subscription.id]


def subscription_overviews(
    *, subscriptions: Sequence[Subscription], now: datetime, has_quotas: bool = True
) -> dict[UUID, SubscriptionOverview]:
    """Return what each subscription used and costs in its current period, and will at this pace, by its id.

    Quotas are read from every tally of their windows, all else from one record an hour: who adds up money leaves them out.
    """
    history = changes_read(subscriptions)
    periods = _periods_read(subscriptions)
    phases = {
        one.id: subscription_phases(one, period_value(one, periods[one.id]), history=history[one.id])
        for one in subscriptions
    }
    known = _Known(
        book=PriceBook.of(phase.plan.id for parts in phases.values() for phase in parts),
        units=quantities_read([(one, periods[one.id], phases[one.id]) for one in subscriptions]),
        meters=_meters_read(subscriptions),
        quotas=quota_uses(subscriptions=subscriptions, now=now) if has_quotas else {},
        cards={card.plan.id: card for card in plan_cards(plans=[one.plan for one in subscriptions])},
    )
    return {one.id: _overview(one, periods[one.id], phases[one.id], known, now) for one in subscriptions}


def quantities_project(
    used: Mapping[int, Mapping[str, int]], *, phases: Sequence[Phase], now: datetime
) -> dict[int, dict[str, int]]:
    """Stretch the usage of the phase that holds ``now`` to its whole length, rounded up; other phases stay."""
    ahead = {}
    for place, phase in enumerate(phases):
        elapsed = (min(max(now, phase.period.start), phase.period.end) - phase.period.start) // timedelta(seconds=1)
        stretch = Fraction(phase.period.seconds, elapsed) if elapsed else Fraction(1)
        ahead[place] = {meter: _ceil(units * stretch) for meter, units in used.get(place, {}).items()}
    return ahead


def quota_uses(*, subscriptions: Sequence[Subscription], now: datetime) -> dict[UUID, QuotaUse]:
    """Return how much of each quota the window of ``now`` has used, summed from tallies (a second or two behind).

    By the subscription's id; a subscription without a quota, or whose permission has ended, is left out.
    """
    quotas = [(one, quota) for one in subscriptions if one.grant_id and (quota := _quota(one))]
    windows = [_window(quota, _period_now(one), now) for one, quota in quotas]
    used = units_by_outcome(
        [
            (one.grant_id, start, end)
            for (one, _limit), (start, end) in zip(quotas, windows, strict=True)
            if one.grant_id
        ]
    )
    return {
        one.id: QuotaUse(quota, sum(units.get(outcome, 0) for outcome in quota.charged), start, end)
        for (one, quota), (start, end), units in zip(quotas, windows, used, strict=True)
    }


def spend_summary(*, organization: Organization, now: datetime) -> dict[str, tuple[int, int]]:
    """Return (spent, projected) of all live subscriptions' current periods by currency, in minor units."""
    sums: defaultdict[str, tuple[int, int]] = defaultdict(lambda: (0, 0))
    live = list(subscription_list(organization=organization, is_ended_shown=False))
    for one in subscription_overviews(subscriptions=live, now=now, has_quotas=False).values():
        spent, projected = sums[one.card.plan.currency]
        sums[one.card.plan.currency] = (spent + one.spent_minor, projected + one.projected_minor)
    return dict(sums)


def invoice_expected(*, organization: Organization, now: datetime) -> ExpectedInvoice | None:
    """Return when the next invoice comes and about how much it will be; None without a subscription that costs anything.

    What an issued invoice has billed of a period that still runs does not come again.
    """
    live = list(subscription_list(organization=organization, is_ended_shown=False)[:EXPECTED_MAX])
    overviews = subscription_overviews(subscriptions=live, now=now, has_quotas=False)
    billed = _billed_early(live)
    expected = [
        ExpectedInvoice(
            one.plan.currency,
            one.current_period_end,
            one.time_zone,
            max(0, overviews[one.id].projected_minor - billed.get(one.id, 0)),
        )
        for one in live
    ]
    charged = sorted((one for one in expected if one.minor), key=lambda one: one.at)
    if not charged:
        return None
    first = charged[0]
    alike = [one.minor for one in charged if (one.at, one.currency) == (first.at, first.currency)]
    return replace(first, minor=sum(alike))


def _billed_early(subscriptions: Sequence[Subscription]) -> dict[UUID, int]:
    """Return what issued invoices have billed of each subscription's running period, in minor units, by its id."""
    lines = InvoiceLine.objects.filter(
        subscription__in=subscriptions,
        period_start__gte=F("subscription__current_period_start"),
        invoice__status=InvoiceStatus.ISSUED,
    )
    sums = lines.values("subscription_id").annotate(minor=Sum("amount_minor")).order_by()
    return {row["subscription_id"]: int(row["minor"]) for row in sums}


def _overview(
    subscription: Subscription, period: BillingPeriod, phases: Sequence[Phase], known: _Known, now: datetime
) -> SubscriptionOverview:
    used = known.units[period.id]
    ahead = quantities_project(used, phases=phases, now=now)
    lines = phases_rate(subscription=subscription, phases=phases, quantities=used, book=known.book)
    projected = phases_rate(subscription=subscription, phases=phases, quantities=ahead, book=known.book)
    return SubscriptionOverview(
        subscription=subscription,
        card=known.cards[subscription.plan_id],
        period=period_value(subscription, period),
        quota=known.quotas.get(subscription.id),
        meters=tuple(
            MeterUse(meter, _units_of(meter, used), _units_of(meter, ahead))
            for meter in known.meters.get(subscription.api_id, ())
        ),
        lines=tuple(lines),
        spent_minor=sum(line.rated.amount_minor for line in lines),
        projected_minor=sum(line.rated.amount_minor for line in projected),
    )


def _periods_read(subscriptions: Sequence[Subscription]) -> dict[UUID, BillingPeriod]:
    starts = {one.id: one.current_period_start for one in subscriptions}
    rows = BillingPeriod.objects.filter(subscription__in=starts, starts_at__in=set(starts.values()))
    return {period.subscription_id: period for period in rows if period.starts_at == starts[period.subscription_id]}


def _meters_read(subscriptions: Sequence[Subscription]) -> dict[UUID, list[Meter]]:
    found: defaultdict[UUID, list[Meter]] = defaultdict(list)
    for meter in Meter.objects.filter(api__in={one.api_id for one in subscriptions}):
        found[meter.api_id].append(meter)
    return found


def _units_of(meter: Meter, units: Mapping[int, Mapping[str, int]]) -> int:
    return sum(by_meter.get(str(meter.id), 0) for by_meter in units.values())


def _quota(subscription: Subscription) -> QuotaLimit | None:
    return plan_limits(subscription.plan, time_zone=subscription.time_zone).quota


def _period_now(subscription: Subscription) -> Period:
    return Period(subscription.current_period_start, subscription.current_period_end, subscription.time_zone)


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
