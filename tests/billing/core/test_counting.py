"""billing.core.meters, aggregation and commission: what counts, how it adds up, and who gets which part."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.core.aggregation import Tally, aggregate, aggregate_hours
from billing.core.commission import commission_split
from billing.core.errors import CommissionInvalid, MeterInvalid
from billing.core.meters import Measure, MeterSpec

HOUR = datetime(2026, 10, 1, tzinfo=UTC)
OUTCOMES = ["succeeded", "client_error", "upstream_failed", "rejected:B403MQ", "rejected:T429"]

tallies = st.builds(
    Tally,
    hour=st.integers(0, 30).map(lambda hours: HOUR + timedelta(hours=hours)),
    operation_id=st.sampled_from(["list", "get", None]),
    outcome=st.sampled_from(OUTCOMES),
    calls=st.integers(1, 10**9),
    units=st.integers(0, 10**9),
    request_bytes=st.integers(0, 10**12),
    response_bytes=st.integers(0, 10**12),
)
meters = st.builds(
    MeterSpec,
    st.sampled_from(Measure),
    st.sets(st.sampled_from([*OUTCOMES, "rejected"]), min_size=1).map(lambda chosen: tuple(sorted(chosen))),
    st.frozensets(st.sampled_from(["list", "get"])),
)


@given(meters, st.lists(tallies, max_size=20), st.integers(0, 20))
def test_the_hours_sum_to_the_whole_however_tallies_are_grouped(meter: MeterSpec, rows: list[Tally], cut: int) -> None:
    whole = aggregate(meter, rows)
    assert sum(aggregate_hours(meter, rows).values()) == whole
    assert aggregate(meter, rows[:cut]) + aggregate(meter, rows[cut:]) == whole
    assert aggregate_hours(meter, reversed(rows)) == aggregate_hours(meter, rows)


@given(st.sampled_from(Measure), st.lists(tallies, max_size=20))
def test_outcomes_partition_what_happened(measure: Measure, rows: list[Tally]) -> None:
    kinds = ("succeeded", "client_error", "upstream_failed", "rejected")
    assert sum(aggregate(MeterSpec(measure, (kind,)), rows) for kind in kinds) == aggregate(
        MeterSpec(measure, kinds), rows
    )


def tally(outcome: str = "succeeded", operation_id: str | None = "get") -> Tally:
    return Tally(HOUR, operation_id, outcome, calls=3, units=5, request_bytes=7, response_bytes=11)


@pytest.mark.parametrize(
    ("measure", "quantity"),
    [("calls", 3), ("units", 5), ("request_bytes", 7), ("response_bytes", 11), ("bytes", 18)],
)
def test_each_measure_sums_its_own_column(measure: str, quantity: int) -> None:
    assert aggregate(MeterSpec(Measure(measure)), [tally()]) == quantity


def test_refusals_and_upstream_failures_do_not_count_unless_the_meter_says_so() -> None:
    rows = [tally("succeeded"), tally("client_error"), tally("upstream_failed"), tally("rejected:B403MQ")]
    assert aggregate(MeterSpec(), rows) == 6
    assert aggregate(MeterSpec(outcomes=("rejected:B403MQ",)), [*rows, tally("rejected:T429")]) == 3
    assert aggregate(MeterSpec(outcomes=("rejected",)), [*rows, tally("rejected:T429")]) == 6


def test_a_meter_of_one_operation_ignores_others_and_calls_without_a_route() -> None:
    meter = MeterSpec(operations=frozenset({"get"}))
    assert aggregate(meter, [tally(), tally(operation_id="list"), tally(operation_id=None)]) == 3


@given(meters)
def test_a_meter_survives_its_dict(meter: MeterSpec) -> None:
    assert MeterSpec.from_dict(meter.to_dict()) == meter


@pytest.mark.parametrize(
    "value",
    [
        {"measure": "seconds"},
        {"outcomes": []},
        {"outcomes": ["failed"]},
        {"outcomes": ["rejected:"]},
        {"outcomes": ["succeeded:200"]},
        {"outcomes": "succeeded"},
        {"outcomes": [1]},
        {"operations": [None]},
        {"operations": [str(number) for number in range(2001)]},
    ],
)
def test_a_meter_that_could_count_nothing_or_anything_is_refused(value: dict[str, Any]) -> None:
    with pytest.raises(MeterInvalid):
        MeterSpec.from_dict(value)


@given(st.integers(-(10**15), 10**15), st.decimals(0, 1, places=6))
def test_fee_and_share_are_together_the_line_and_neither_changes_sign(net_minor: int, rate: Decimal) -> None:
    split = commission_split(net_minor, rate)
    assert split.fee_minor + split.share_minor == net_minor
    assert split.fee_minor * net_minor >= 0 and split.share_minor * net_minor >= 0
    assert abs(split.fee_minor - net_minor * rate) <= Decimal("0.5")


@given(st.integers(-(10**15), 10**15), st.decimals(0, 1, places=6))
def test_a_correction_splits_exactly_as_its_line_did(net_minor: int, rate: Decimal) -> None:
    line, correction = commission_split(net_minor, rate), commission_split(-net_minor, rate)
    assert (correction.fee_minor, correction.share_minor) == (-line.fee_minor, -line.share_minor)


@pytest.mark.parametrize("rate", ["-0.01", "1.01", "0.1234567", "NaN", "Infinity"])
def test_a_commission_outside_zero_to_one_is_refused(rate: str) -> None:
    with pytest.raises(CommissionInvalid):
        commission_split(100, Decimal(rate))
