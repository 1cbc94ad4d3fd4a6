"""Stories of time: zones east and west of UTC, clock changes, the 31st, the last day of a month.

Faults that public threads of other billing systems report.
"""

from __future__ import annotations

from datetime import date
from itertools import pairwise

import pytest

from billing.core.periods import Period
from billing.models import BillingPeriod
from billing.services.drafts import invoice_refresh
from marketplace.services.accounts import organization_update
from tests.billing.world import FEE, PER_CALL, amounts, calls, close, issue, moment, turn, world_make

pytestmark = pytest.mark.django_db


def _starts() -> list[str]:
    periods = BillingPeriod.objects.order_by("starts_at")
    return [period.starts_at.strftime("%Y-%m-%dT%H:%M") for period in periods]


def test_a_consumer_east_of_utc_is_billed_by_its_own_month_and_once() -> None:
    world = world_make(zone="Asia/Shanghai")
    subscription = world.subscribe(world.plan(PER_CALL), "2026-10-05T00:00")
    calls(subscription, "2026-10-31T15:00", 10)  # 23:00 on the 31st in Shanghai
    calls(subscription, "2026-10-31T16:00", 1)  # midnight of 1 November there
    assert [amounts(draft) for draft in close("2026-10-31T18:00")] == [[("Calls", "10.000000", 67)]]
    assert len(close("2026-11-01T00:00")) == 1
    assert [draft.total_minor for draft in close("2026-12-05T00:00")] == [67, 7]


@pytest.mark.parametrize("zone", ["America/New_York", "Pacific/Auckland", "Asia/Kolkata"])
def test_two_consumers_with_the_same_calls_pay_the_same_whenever_they_subscribed(zone: str) -> None:
    """One account made before the clock change, one after it."""
    world = world_make(zone=zone)
    plan = world.plan(PER_CALL, FEE)
    from marketplace.services import access

    second = access.app_create(organization=world.consumer, name="Second", person=world.bob)
    before = world.subscribe(plan, "2026-03-01T12:00")
    after = world.subscribe(plan, "2026-04-10T12:00", app=second)
    for subscription in (before, after):
        calls(subscription, "2026-05-10T12:00", 1_000)
    drafts = [draft for draft in close("2026-06-02T00:00") if draft.period_start.month in (4, 5)]
    may = [line for draft in drafts for line in draft.lines.all() if line.kind == "usage"]
    assert [line.amount_minor for line in may] == [6_700, 6_700]


def test_a_period_over_the_clock_change_ends_at_local_midnight() -> None:
    world = world_make(zone="Europe/Berlin")
    world.subscribe(world.plan(FEE), "2026-10-01T12:00")
    turn("2026-12-15T00:00")
    assert _starts() == ["2026-09-30T22:00", "2026-10-31T23:00", "2026-11-30T23:00"]


def test_a_subscription_of_the_31st_is_billed_once_a_month_on_its_last_day() -> None:
    world = world_make()
    world.subscribe(world.plan(FEE, alignment="anniversary"), "2026-01-31T15:00")
    turn("2026-06-01T00:00")
    days = [start[5:10] for start in _starts()]
    assert days == ["01-31", "02-28", "03-31", "04-30", "05-31"]
    assert [draft.total_minor for draft in close("2026-06-01T00:00")] == [3000] * 4


def test_the_last_day_of_a_month_is_not_free() -> None:
    world = world_make(zone="America/Los_Angeles")
    world.subscribe(world.plan(FEE), "2026-11-01T05:00")  # 22:00 on 31 October there
    assert [draft.total_minor for draft in close("2026-11-02T00:00")] == [97]


def test_periods_cover_time_without_gap_or_overlap() -> None:
    world = world_make(zone="Africa/Casablanca")
    world.subscribe(world.plan(FEE, alignment="anniversary"), "2026-01-30T23:30")
    turn("2028-04-01T00:00")
    bounds = list(BillingPeriod.objects.order_by("starts_at").values_list("starts_at", "ends_at"))
    assert len(bounds) == 27
    assert all(one[1] == other[0] for one, other in pairwise(bounds))


def test_a_year_is_one_period_and_cancelling_it_ends_it_there() -> None:
    world = world_make()
    yearly = world.plan(FEE, period_months=12, alignment="anniversary")
    world.subscribe(yearly, "2024-02-29T10:00")
    (draft,) = close("2025-02-28T03:00")
    assert (draft.period_end, draft.total_minor) == (moment("2025-02-28"), 3000)
    assert issue(draft, "2025-03-01T00:00").number == "INV-2025-000001"


def test_an_invoice_names_the_days_of_its_periods_though_the_consumer_has_moved_since() -> None:
    world = world_make(zone="Asia/Shanghai")
    world.subscribe(world.plan(FEE), "2026-10-01T00:00")
    organization_update(organization=world.consumer, person=world.bob, time_zone="America/New_York")
    (draft,) = close("2026-10-31T18:00")
    period = Period(draft.period_start, draft.period_end, draft.time_zone)
    assert (period.first_on.isoformat(), period.last_on.isoformat()) == ("2026-10-01", "2026-10-31")
    # It speaks the language that the consumer has now, also when nothing else of the draft has changed.
    organization_update(organization=world.consumer, person=world.bob, language="zh-hans")
    fresh = invoice_refresh(invoice=draft, now=moment("2026-10-31T19:00"))
    assert fresh is not None
    assert (fresh.language, fresh.revision) == ("zh-hans", 2)
    assert issue(fresh, "2026-11-02T20:00").due_on == date(2026, 11, 17)  # it was the 3rd in Shanghai
