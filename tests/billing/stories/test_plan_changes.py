"""Stories of changing plans: whatever somebody changes and when, each call is paid for by the plan that let it pass."""

from __future__ import annotations

from datetime import datetime, timedelta
from fractions import Fraction
from typing import TYPE_CHECKING

import pytest
from django.db import transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from billing.core.periods import hour_floor
from billing.errors import Conflict
from billing.models import Plan, Subscription
from billing.selectors.calendar import period_value, subscription_phases
from billing.selectors.plans import plan_get
from billing.selectors.quotes import change_preview
from billing.selectors.rating import phases_rate
from billing.services.plan_changes import subscription_change
from billing.services.plans import PriceDraft
from billing.services.subscriptions import subscription_cancel
from marketplace.contracts.limits import Limits, LimitsTurn, QuotaLimit
from tests.billing.world import FEE, PER_CALL, amounts, calls, close, moment, turn

if TYPE_CHECKING:
    from tests.billing.world import World

FREE = Limits(quota=QuotaLimit(units=100, window="day"))
FLAT = PriceDraft("Monthly fee", {"kind": "flat", "unit_amount": "99"})
CHEAP = PriceDraft("Calls", {"kind": "per_unit", "unit_amount": "0.01"})


def change(world: World, subscription: Subscription, plan: Plan, at: str | datetime) -> Subscription:
    """Bob asks for another plan."""
    return subscription_change(subscription=subscription, plan=plan, person=world.bob, now=moment(at))


def limits_at(subscription: Subscription, at: str | datetime) -> Limits:
    """What a gateway enforces at a moment, by the grant alone."""
    subscription.grant.refresh_from_db()  # type: ignore[union-attr]
    value = subscription.grant.limits  # type: ignore[union-attr]
    ahead = LimitsTurn.of_grant(value)
    return ahead.limits if ahead and ahead.at <= moment(at).timestamp() else Limits.from_dict(value)


def test_going_to_a_paid_plan_and_back_within_the_hour_is_not_free(world: World) -> None:
    free, paid = world.plan(name="Free", limits=FREE), world.plan(FLAT, name="Flat")
    subscription = world.subscribe(free, "2026-11-01T00:00")
    calls(subscription, "2026-11-16T11:00", 107)
    change(world, subscription, paid, "2026-11-16T11:20")
    assert limits_at(subscription, "2026-11-16T11:20").quota is None
    calls(subscription, "2026-11-16T11:30", 300)
    subscription = change(world, subscription, free, "2026-11-16T11:40")
    assert (subscription.plan_id, subscription.next_plan_id) == (paid.id, free.id)
    assert subscription.next_plan_at == moment("2026-11-16T12:00")
    assert limits_at(subscription, "2026-11-16T11:59:59").plan_name == "Flat"
    assert limits_at(subscription, "2026-11-16T12:00").quota == QuotaLimit(units=100, window="day")
    turn("2026-11-16T12:01")
    (draft,) = close("2026-12-01T02:00")
    assert amounts(draft) == [("Monthly fee", "1.000000", 14)]  # one hour of 720


def test_calls_of_an_upgrades_hour_are_billed_by_the_plan_that_let_them_pass(world: World) -> None:
    free, paid = world.plan(name="Free", limits=FREE), world.plan(FEE, PER_CALL, name="Paid")
    subscription = world.subscribe(free, "2026-11-01T00:00")
    calls(subscription, "2026-11-16T10:00", 100)
    change(world, subscription, paid, "2026-11-16T11:20")
    calls(subscription, "2026-11-16T11:30", 300)
    change(world, subscription, free, "2026-11-16T11:40")
    calls(subscription, "2026-11-16T12:00", 40)
    (draft,) = close("2026-12-01T02:00")
    assert amounts(draft)[1:] == [("Calls", "300.000000", 2010)]


def test_a_change_that_could_save_something_waits_for_the_next_hour_with_its_limits(world: World) -> None:
    paid, cheap = world.plan(FEE, PER_CALL, limits=FREE), world.plan(CHEAP, name="Cheap")
    subscription = change(world, world.subscribe(paid, "2026-11-01T00:00"), cheap, "2026-11-16T11:20")
    assert subscription.plan_id == paid.id
    assert limits_at(subscription, "2026-11-16T11:59:59").quota is not None
    assert limits_at(subscription, "2026-11-16T12:00").quota is None
    turn("2026-11-16T11:59")
    assert Subscription.objects.get().plan_id == paid.id
    turn("2026-11-16T12:00")
    turn("2026-11-16T12:01")
    fresh = Subscription.objects.get()
    assert (fresh.plan_id, fresh.next_plan_id, fresh.next_plan_at) == (cheap.id, None, None)
    assert "turn" not in fresh.grant.limits  # type: ignore[union-attr]


def test_a_change_that_waits_can_be_taken_back_until_a_minute_before(world: World) -> None:
    paid, cheap = world.plan(FEE, PER_CALL), world.plan(CHEAP, name="Cheap")
    subscription = world.subscribe(paid, "2026-11-01T00:00")
    change(world, subscription, cheap, "2026-11-16T11:20")
    subscription = change(world, subscription, paid, "2026-11-16T11:59")
    assert subscription.next_plan_id is None
    assert limits_at(subscription, "2026-11-16T12:00").plan_name == "Basic"
    kinds = subscription.changes.order_by("created_at", "id").values_list("kind", flat=True)
    assert list(kinds) == ["start", "plan", "keep"]
    change(world, subscription, cheap, "2026-11-17T11:20")
    for plan in (paid, world.plan(PER_CALL, name="Third")):
        with pytest.raises(Conflict, match="12:00 is about to count") as refused:
            change(world, subscription, plan, "2026-11-17T11:59:01")
        assert refused.value.code == "plan_change_settled"
    (draft,) = close("2026-12-01T02:00")
    # 16 days and 12 hours of 30 days; the change that was taken back has left no line.
    assert amounts(draft) == [("Monthly fee", "1.000000", 1650)]


def test_a_change_in_the_last_minute_of_an_hour_counts_an_hour_later(world: World) -> None:
    paid, cheap = world.plan(FEE, PER_CALL), world.plan(CHEAP, name="Cheap")
    subscription = change(world, world.subscribe(paid, "2026-11-01T00:00"), cheap, "2026-11-16T11:59:30")
    assert subscription.next_plan_at == moment("2026-11-16T13:00")


def test_another_choice_replaces_the_change_that_waits(world: World) -> None:
    paid, cheap, third = world.plan(FEE, PER_CALL), world.plan(CHEAP, name="Cheap"), world.plan(FLAT, name="Third")
    subscription = world.subscribe(paid, "2026-11-01T00:00")
    change(world, subscription, cheap, "2026-11-16T11:20")
    subscription = change(world, subscription, third, "2026-11-16T11:30")
    assert (subscription.next_plan_id, subscription.changes.count()) == (third.id, 4)
    turn("2026-11-16T12:00")
    assert Subscription.objects.get().plan_id == third.id


def test_a_change_whose_hour_is_the_next_periods_first_gets_that_periods_quota(world: World) -> None:
    paid = world.plan(FEE, PER_CALL)
    small = world.plan(name="Small", limits=Limits(quota=QuotaLimit(units=9, window="period")))
    subscription = change(world, world.subscribe(paid, "2026-11-01T00:00"), small, "2026-11-30T23:20")
    quota = limits_at(subscription, "2026-12-01T00:00").quota
    assert quota is not None and quota.period_start == moment("2026-12-01").timestamp()
    (draft,) = close("2026-12-01T02:00")
    assert amounts(draft) == [("Monthly fee", "1.000000", 3000)]
    assert Subscription.objects.get().plan_id == small.id


def test_a_subscription_that_ends_takes_no_change_that_could_not_count_any_more(world: World) -> None:
    paid, cheap = world.plan(FEE, PER_CALL), world.plan(CHEAP, name="Cheap")
    subscription = world.subscribe(paid, "2026-11-01T00:00")
    change(world, subscription, cheap, "2026-11-30T23:20")
    subscription_cancel(subscription=subscription, person=world.bob, now=moment("2026-11-30T23:30"))
    change(world, subscription, paid, "2026-11-30T23:35")
    with pytest.raises(Conflict) as refused:
        change(world, subscription, cheap, "2026-11-30T23:40")
    assert refused.value.code == "subscription_ending"
    turn("2026-12-01T00:00")
    fresh = Subscription.objects.get()
    assert (fresh.status, fresh.plan_id, fresh.next_plan_id) == ("ended", paid.id, None)


def test_plans_change_ten_times_in_a_period_and_the_refusal_says_from_when_again(world: World) -> None:
    both = [world.plan(FEE, PER_CALL), world.plan(CHEAP, name="Cheap")]
    subscription = world.subscribe(both[0], "2026-11-01T00:00")
    for number in range(1, 11):
        change(world, subscription, both[number % 2], f"2026-11-{number:02d}T12:10")
    with pytest.raises(Conflict, match=r"10 times in this billing period.*from 2026-12-01 on") as refused:
        change(world, subscription, both[1], "2026-11-12T12:10")
    assert refused.value.code == "plan_changes_max"
    turn("2026-12-01T00:00")
    assert change(world, subscription, both[1], "2026-12-01T12:10").next_plan_id == both[1].id


def test_the_preview_says_from_when_a_change_counts_and_what_the_invoice_will_say(world: World) -> None:
    free, paid = world.plan(name="Free", limits=FREE), world.plan(FLAT, name="Flat")
    subscription = world.subscribe(free, "2026-11-01T00:00")
    now = moment("2026-11-16T12:20")
    up = change_preview(subscription=subscription, card=plan_get(plan_id=paid.id), now=now)
    assert (up.is_at_once, up.counts_from, up.after_minor) == (True, moment("2026-11-16T12:00"), 4785)
    subscription = subscription_change(subscription=subscription, plan=paid, person=world.bob, now=now)
    down = change_preview(subscription=subscription, card=plan_get(plan_id=free.id), now=now)
    assert (down.is_at_once, down.counts_from) == (False, moment("2026-11-16T13:00"))
    assert (down.before_minor, down.after_minor) == (4785, 14)


STEPS = st.lists(
    st.tuples(st.integers(0, 70 * 60), st.integers(0, 3), st.integers(0, 400), st.booleans()), min_size=1, max_size=9
)


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=STEPS)
def test_whatever_is_changed_and_called_each_call_is_billed_by_a_plan_that_let_it_pass(
    world: World, steps: list[tuple[int, int, int, bool]]
) -> None:
    """Steps: seconds later somebody wants a plan, then calls so often; perhaps the task that turns plans runs."""
    with transaction.atomic():
        plans = [
            world.plan(name="Free", limits=FREE),
            world.plan(FLAT, name="Flat"),
            world.plan(FEE, PER_CALL, name="Paid"),
            world.plan(CHEAP, name="Cheap", limits=FREE),
        ]
        by_name = {plan.name: plan for plan in plans}
        fees = {"Free": 0, "Flat": 9900, "Paid": 3000, "Cheap": 0}
        per_call = {"Free": 0, "Flat": 0, "Paid": Fraction("6.7"), "Cheap": 1}
        now = moment("2026-11-16T11:00")
        subscription = world.subscribe(plans[0], now)
        made: list[tuple[datetime, Plan, int]] = []
        for later_s, wanted, count, is_turned in steps:
            now += timedelta(seconds=later_s)
            if is_turned:
                turn(now.isoformat())
            try:
                change(world, subscription, plans[wanted], now)
            except Conflict as refused:
                assert refused.code == "plan_change_settled"
            made.append((now, by_name[limits_at(subscription, now).plan_name], count))
        subscription = Subscription.objects.get(id=subscription.id)
        phases = subscription_phases(subscription, period_value(subscription, subscription.periods.get()))
        units: dict[int, int] = dict.fromkeys(range(len(phases)), 0)
        honest = Fraction(0)
        for at, admitting, count in made:
            place = next(place for place, phase in enumerate(phases) if phase.period.contains(hour_floor(at)))
            billed = phases[place].plan
            units[place] += count
            honest += count * per_call[admitting.name]
            is_upgrade = not per_call[admitting.name] and fees[billed.name] >= fees[admitting.name]
            assert billed == admitting or is_upgrade, (at, admitting.name, billed.name)
        honest += sum(phase.proration * fees[phase.plan.name] for phase in phases)
        meter = str(world.api.meters.get(slug="calls").id)
        lines = phases_rate(
            subscription=subscription,
            phases=phases,
            quantities={place: {meter: count} for place, count in units.items()},
        )
        assert sum(line.rated.amount_minor for line in lines) >= honest - Fraction(len(lines), 2)
        assert [one.period.start for one in phases[1:]] == [one.period.end for one in phases[:-1]]
        transaction.set_rollback(True)
