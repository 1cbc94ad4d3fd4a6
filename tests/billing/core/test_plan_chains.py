"""Whatever plans follow one another in a period, and whether it is the last: each hour is billed once, by the plan of its hour.

The moment from which a change counts is test_plan_changes; here every change counts from the hour that it says.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import datetime, timedelta
from fractions import Fraction
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from billing.core.currencies import EXPONENTS
from billing.core.money import round_half_up
from billing.core.periods import Period
from billing.core.pricing import PriceSpec
from billing.core.rating import PlanPrice, Rating, rate, rating_recompute
from billing.models import BillingPeriod, ChangeKind, Plan, Subscription, SubscriptionChange, SubscriptionStatus
from billing.selectors.calendar import Phase, hours_end, subscription_phases
from billing.selectors.rating import _part_bounds
from tests.billing.core.prices import flat, per_unit, specs
from tests.billing.core.test_periods import cycles

HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)
Bounds = tuple[datetime, datetime | None]
currencies = st.sampled_from(["EUR", "JPY", "KWD"])


@dataclass(frozen=True, slots=True)
class Story:
    """A period of a subscription: its plans in the order in which they came, their prices, and the calls of each hour."""

    subscription: Subscription
    row: BillingPeriod
    period: Period
    changes: list[SubscriptionChange]
    prices: dict[Plan, list[PlanPrice]]
    calls: dict[datetime, int]

    @property
    def phases(self) -> list[Phase]:
        return subscription_phases(self.subscription, self.period, history=self.changes)

    @property
    def bounds(self) -> list[Bounds]:
        """The hours of each phase, as the query of its records has them."""
        phases = self.phases
        return [_part_bounds(self.subscription, self.row, phases, place) for place in range(len(phases))]

    def plan_at(self, hour: datetime) -> Plan:
        """The plan in force in an hour, told from the changes alone."""
        plans = [(change.at, change.to_plan) for change in self.changes if change.kind != ChangeKind.CANCEL]
        return [plans[0][1], *(plan for at, plan in plans if at <= hour)][-1]

    def counted(self) -> list[int]:
        """The calls that each phase bills."""
        return [
            sum(calls for hour, calls in self.calls.items() if since <= hour and (until is None or hour < until))
            for since, until in self.bounds
        ]

    def rated(self, currency: str) -> list[Rating]:
        return [
            rate(
                prices=self.prices[phase.plan],
                quantities={"m": calls},
                currency=currency,
                period=phase.period,
                proration=phase.proration,
            )
            for phase, calls in zip(self.phases, self.counted(), strict=True)
        ]


@st.composite
def stories(draw: st.DrawFn, metered: st.SearchStrategy[PriceSpec]) -> Story:
    """Up to three plans in up to eight turns, back and forth, in the period or before it; cancelled at its end or not."""
    cycle = draw(cycles)
    period = cycle.period(draw(st.integers(1, 100)))
    hours = period.seconds // 3600
    plans = [Plan(name=f"Plan {number}", period_months=cycle.months) for number in range(draw(st.integers(1, 3)))]
    start = draw(st.integers(-60 * 24 * 90, 60 * 24))  # a minute of an earlier period, or of this one's first day
    turns = sorted(draw(st.lists(st.integers(-(-start // 60), hours - 1), max_size=7)))
    taken = [draw(st.sampled_from(plans)) for _turn in (start, *turns)]
    changes = [SubscriptionChange(kind=ChangeKind.START, at=period.start + start * MINUTE, to_plan=taken[0])]
    changes += [
        SubscriptionChange(kind=ChangeKind.PLAN, at=period.start + turn * HOUR, to_plan=plan)
        for turn, plan in zip(turns, taken[1:], strict=True)
    ]
    is_cancelled = draw(st.booleans())
    subscription = Subscription(
        plan=taken[-1],
        anchor_on=cycle.anchor_on,
        time_zone=cycle.time_zone,
        status=SubscriptionStatus.ENDED if is_cancelled else SubscriptionStatus.ACTIVE,
        ended_at=period.end if is_cancelled else None,
    )
    if is_cancelled:
        changes.append(SubscriptionChange(kind=ChangeKind.CANCEL, at=changes[-1].at, from_plan=taken[-1]))
    near = [turn + shift for turn in turns for shift in (-1, 0) if turn + shift >= 0]
    last = hours if is_cancelled else hours - 1  # what finished in the hour after the end of the last period
    places = st.sampled_from([0, last, *near]) | st.integers(0, last)
    calls = draw(st.dictionaries(places, st.integers(0, 10**6), max_size=12))
    return Story(
        subscription=subscription,
        row=BillingPeriod(subscription=subscription, starts_at=period.start, ends_at=period.end),
        period=period,
        changes=changes,
        prices={
            plan: [PlanPrice("fee", "Fee", draw(flat)), PlanPrice("calls", "Calls", draw(metered), "m")]
            for plan in plans
        },
        calls={period.start + hour * HOUR: count for hour, count in calls.items()},
    )


@given(stories(specs.filter(lambda spec: spec.kind.is_metered)), currencies)
def test_charged_parts_are_what_their_explanations_say_and_never_negative(story: Story, currency: str) -> None:
    ratings = story.rated(currency)
    lines = [line for rating in ratings for line in rating.lines]
    assert all(line.amount_minor >= 0 for line in lines)
    assert sum(rating.total_minor for rating in ratings) == sum(rating_recompute(line.explanation) for line in lines)
    assert sum(phase.proration for phase in story.phases) == 1


@given(stories(per_unit))
def test_every_call_is_billed_once_by_the_plan_of_its_hour(story: Story) -> None:
    expected: Counter[Plan] = Counter()
    for hour, calls in story.calls.items():
        expected[story.plan_at(hour)] += calls
    billed: Counter[Plan] = Counter()
    for phase, calls in zip(story.phases, story.counted(), strict=True):
        billed[phase.plan] += calls
    assert +billed == +expected


@given(stories(per_unit))
def test_plans_leave_no_gap_and_the_last_one_of_a_cancelled_subscription_takes_what_came_after(story: Story) -> None:
    bounds = story.bounds
    assert bounds[0][0] == story.period.start
    assert all(before[1] == after[0] for before, after in pairwise(bounds))
    assert bounds[-1][1] == hours_end(story.subscription, story.row)
    assert (bounds[-1][1] is None) == (story.subscription.status == SubscriptionStatus.ENDED)


@given(stories(per_unit), currencies)
def test_changing_plans_never_costs_more_than_each_of_them_throughout(story: Story, currency: str) -> None:
    """Of fees and prices by the call. (Tiers and included units begin anew with each change, so they have no such bound.)"""
    ratings = story.rated(currency)
    used = {"m": sum(story.calls.values())}
    full = [
        rate(prices=story.prices[plan], quantities=used, currency=currency, period=story.period)
        for plan in {phase.plan for phase in story.phases}
    ]
    rounded = sum(len(rating.lines) for rating in (*ratings, *full))
    together = sum(rating.total_minor for rating in ratings)
    assert together <= sum(rating.total_minor for rating in full) + Fraction(rounded, 2)
    exact = sum(
        calls * Fraction(story.prices[story.plan_at(hour)][1].spec.unit_amount) for hour, calls in story.calls.items()
    )
    usage = sum(rating.lines[1].amount_minor for rating in ratings)
    assert abs(usage - round_half_up(exact * 10 ** EXPONENTS[currency])) <= Fraction(len(ratings) + 1, 2)
