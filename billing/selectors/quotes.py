"""Show what a plan would cost: for a number of calls, from today on, and when changing to it. The invoice's own rating. Reads only."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from fractions import Fraction

from billing.core.periods import BillingCycle, Period, calendar_month, hour_floor
from billing.core.plan_changes import change_is_never_cheaper, change_moment
from billing.core.pricing import PriceKind
from billing.core.rating import RatedLine, rate
from billing.models import BillingPeriod, InvoiceStatus, Measure, Plan, Price, Subscription
from billing.selectors.calendar import (
    Phase,
    first_period,
    period_value,
    subscription_cycle,
    subscription_phases,
)
from billing.selectors.plans import PlanCard, plan_price, price_spec
from billing.selectors.prices import PriceBook
from billing.selectors.rating import LineDraft, phase_quantities, phases_rate
from marketplace.contracts.limits import QuotaLimit

CALLS_MAX = 10**12
"""Calls a month that the calculator takes."""

_WINDOWS_PER_MONTH = {"hour": 31 * 24, "day": 31, "month": 1, "period": 1}


@dataclass(frozen=True, slots=True)
class PlanQuote:
    """What a plan costs at a number of calls a month. ``reach``: calls a month that its hard quota admits at most, or None."""

    card: PlanCard
    lines: tuple[RatedLine, ...]
    total_minor: int
    reach: int | None
    is_cheapest: bool = False

    @property
    def is_enough(self) -> bool:
        """False when the plan's hard quota refuses some of these calls."""
        return self.reach is None


@dataclass(frozen=True, slots=True)
class FirstCharge:
    """The first period of a subscription that begins now: its fee in minor units, due after it ends, and the days."""

    period: Period
    invoiced_on: date
    fee_minor: int
    fee_whole_minor: int


@dataclass(frozen=True, slots=True)
class ChangePreview:
    """The current period's fees and usage so far, as they are and as a change asked for now would make them; minor units.

    ``counts_from``: the whole hour from which limits and prices are the new plan's; ``is_at_once`` when it is the running one.
    """

    card: PlanCard
    counts_from: datetime
    is_at_once: bool
    period_end: datetime
    lines: tuple[LineDraft, ...]
    before_minor: int
    after_minor: int

    @property
    def difference_minor(self) -> int:
        """What the change adds to this period; negative when it saves."""
        return self.after_minor - self.before_minor


def plan_quotes(*, cards: Sequence[PlanCard], calls: int, time_zone: str, now: datetime) -> list[PlanQuote]:
    """Rate ``calls`` a month under every plan. Meters of bytes are rated at zero: calls do not say how large they are."""
    quotes = [_quote(card, calls, time_zone, now) for card in cards]
    enough = [quote for quote in quotes if quote.is_enough]
    cheapest = {
        currency: min(_monthly(quote) for quote in enough if quote.card.plan.currency == currency)
        for currency in {quote.card.plan.currency for quote in enough}
    }
    return [
        replace(
            quote,
            is_cheapest=quote.is_enough and _monthly(quote) == cheapest[quote.card.plan.currency] and len(cards) > 1,
        )
        for quote in quotes
    ]


def first_charge(*, card: PlanCard, time_zone: str, now: datetime) -> FirstCharge:
    """Return what subscribing now costs in its first period apart from usage, and when it is invoiced."""
    period, anchor_on = first_period(card.plan, time_zone, now)
    cycle = BillingCycle(anchor_on, time_zone, card.plan.period_months)
    whole = cycle.containing(period.start)
    fees = [plan_price(price) for price, spec in card.prices if spec.kind is PriceKind.FLAT]
    currency = card.plan.currency
    share = period.fraction_of(whole)
    return FirstCharge(
        period=period,
        invoiced_on=cycle.next(whole).first_on,
        fee_minor=rate(prices=fees, quantities={}, currency=currency, period=period, proration=share).total_minor,
        fee_whole_minor=rate(prices=fees, quantities={}, currency=currency, period=whole).total_minor,
    )


def change_preview(*, subscription: Subscription, card: PlanCard, now: datetime) -> ChangePreview:
    """Rate the current period as it is, and with the change asked for now: the same code that will make the invoice."""
    period = BillingPeriod.objects.select_related("subscription__api", "subscription__plan").get(
        subscription=subscription, starts_at=subscription.current_period_start
    )
    value = period_value(subscription, period)
    phases = subscription_phases(subscription, value)
    at = change_counts_at(subscription=subscription, plan=card.plan, now=now)
    changed = phases_changed(subscription, phases=phases, card=card, at=at)
    before = phases_rate(
        subscription=subscription,
        phases=phases,
        quantities=phase_quantities(subscription=subscription, period=period, phases=phases),
    )
    after = phases_rate(
        subscription=subscription,
        phases=changed,
        quantities=phase_quantities(subscription=subscription, period=period, phases=changed),
    )
    return ChangePreview(
        card=card,
        counts_from=hour_floor(at),
        is_at_once=at <= now,
        period_end=value.end,
        lines=tuple(after),
        before_minor=sum(line.rated.amount_minor for line in before),
        after_minor=sum(line.rated.amount_minor for line in after),
    )


def change_counts_at(*, subscription: Subscription, plan: Plan, now: datetime) -> datetime:
    """Return from when a change to ``plan`` would count: now, or the start of an hour (billing.core.plan_changes).

    What is invoiced already does not change: then it is the end of the period.
    """
    billed = billed_until(subscription=subscription)
    if billed is not None and now < billed:
        return max(billed, change_moment(now, is_never_cheaper=False))
    period = Period(subscription.current_period_start, subscription.current_period_end, subscription.time_zone)
    phase = next((one for one in subscription_phases(subscription, period) if one.period.contains(now)), None)
    if phase is None:  # the period has ended and its successor is not open yet
        return change_moment(now, is_never_cheaper=False)
    book = PriceBook.of([phase.plan.id, plan.id])
    before = [price_spec(price) for price in book.prices_at(phase.plan.id, phase.priced_at)]
    after = [price_spec(price) for price in book.prices_at(plan.id, now)]
    return change_moment(now, is_never_cheaper=change_is_never_cheaper(before, after))


def billed_until(*, subscription: Subscription) -> datetime | None:
    """Return the end of the current period when an invoice that was issued early has billed it, its fees to the end."""
    current = subscription.periods.filter(
        starts_at=subscription.current_period_start, invoice__status=InvoiceStatus.ISSUED
    )
    return subscription.current_period_end if current.exists() else None


def phases_changed(subscription: Subscription, *, phases: Sequence[Phase], card: PlanCard, at: datetime) -> list[Phase]:
    """Cut the phases at the hour of ``at`` and put the plan behind the cut, as a change that counts then does."""
    cycle = subscription_cycle(subscription)
    whole = cycle.containing(phases[0].period.start)
    cut = hour_floor(at)
    kept = []
    for phase in phases:
        end = min(phase.period.end, cut)
        if phase.period.start < end:
            part = Period(phase.period.start, end, phase.period.time_zone)
            kept.append(replace(phase, period=part, proration=part.fraction_of(whole)))
    last = phases[-1].period
    start = max(cut, phases[0].period.start)
    if start < last.end:
        part = Period(start, last.end, last.time_zone)
        kept.append(Phase(card.plan, part, max(at, part.start), part.fraction_of(whole)))
    return kept


def quota_reach(quota: QuotaLimit | None, months: int) -> int | None:
    """Return the calls a month that a hard quota admits at the very most; None without one."""
    if quota is None or not quota.hard:
        return None
    most = quota.units * _WINDOWS_PER_MONTH[quota.window]
    return most // months if quota.window == "period" else most


def _quote(card: PlanCard, calls: int, time_zone: str, now: datetime) -> PlanQuote:
    plan = card.plan
    prices = [plan_price(price) for price, _spec in card.prices]
    units = {str(price.meter_id): calls * plan.period_months for price, _spec in card.prices if _counts_calls(price)}
    rating = rate(prices=prices, quantities=units, currency=plan.currency, period=calendar_month(now, time_zone))
    reach = quota_reach(card.limits.quota, plan.period_months)
    return PlanQuote(
        card=card,
        lines=rating.lines,
        total_minor=rating.total_minor,
        reach=reach if reach is not None and reach < calls else None,
    )


def _counts_calls(price: Price) -> bool:
    return price.meter is not None and price.meter.measure in (Measure.CALLS, Measure.UNITS)


def _monthly(quote: PlanQuote) -> Fraction:
    """The cost of one month, exact: what compares plans of any length."""
    return Fraction(quote.total_minor, quote.card.plan.period_months)
