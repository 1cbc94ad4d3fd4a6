"""billing.core.plan_changes: when a change counts, and that every hour of a period has exactly one plan."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.core.periods import Period
from billing.core.plan_changes import CHANGE_LEAD, change_is_never_cheaper, change_moment, plan_spans
from billing.core.pricing import PriceKind, PriceSpec, Tier

NOON = datetime(2026, 11, 16, 12, tzinfo=UTC)
DAY = Period(NOON.replace(hour=0), NOON.replace(hour=0) + timedelta(days=1), "UTC")
FEE = PriceSpec(PriceKind.FLAT, Decimal(30))
PER_CALL = PriceSpec(PriceKind.PER_UNIT, Decimal("0.01"))
NOTHING_YET = PriceSpec(PriceKind.GRADUATED, tiers=(Tier(10, Decimal(0)), Tier(None, Decimal("0.01"))))


@pytest.mark.parametrize(
    ("before", "after", "is_never_cheaper"),
    [
        ([], [], True),
        ([], [FEE, PER_CALL], True),
        ([FEE], [FEE, PER_CALL], True),
        ([FEE], [], False),
        ([PER_CALL], [FEE], False),
        ([PER_CALL], [FEE, PER_CALL], False),
        ([NOTHING_YET], [FEE], False),
        ([PriceSpec(PriceKind.PER_UNIT, Decimal(0))], [FEE], True),
    ],
)
def test_a_change_is_never_cheaper_when_usage_was_free_and_fees_do_not_fall(
    before: list[PriceSpec], after: list[PriceSpec], is_never_cheaper: bool
) -> None:
    assert change_is_never_cheaper(before, after) is is_never_cheaper


@given(st.datetimes(datetime(2026, 1, 1), datetime(2027, 1, 1)).map(lambda naive: naive.replace(tzinfo=UTC)))
def test_a_change_that_waits_counts_from_a_whole_hour_that_is_settled_before(now: datetime) -> None:
    at = change_moment(now, is_never_cheaper=False)
    assert (at.minute, at.second, at.microsecond) == (0, 0, 0)
    assert CHANGE_LEAD <= at - now < timedelta(hours=1) + CHANGE_LEAD
    assert change_moment(now, is_never_cheaper=True) == now


@given(st.lists(st.tuples(st.integers(-3_000, 3_000), st.sampled_from("abc")), min_size=1, max_size=12))
def test_every_hour_of_a_period_has_the_plan_of_the_last_change_that_counts_in_it(steps: list[tuple[int, str]]) -> None:
    changes = sorted(((NOON + timedelta(minutes=minutes), plan) for minutes, plan in steps), key=lambda one: one[0])
    spans = plan_spans(changes, DAY)
    assert (spans[0].period.start, spans[-1].period.end) == (DAY.start, DAY.end)
    for this, following in pairwise(spans):
        assert this.period.end == following.period.start and this.plan != following.plan
    for hour in DAY.hours():
        (plan,) = [span.plan for span in spans if span.period.contains(hour)]
        assert plan == [of for place, (at, of) in enumerate(changes) if not place or at < hour + timedelta(hours=1)][-1]
