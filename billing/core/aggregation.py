"""Aggregation: tallies of what happened → the quantity of a Meter, in whole units, by hour or in total.

Always summed afresh from all tallies given; nothing here remembers, so that rebuilding a usage record is harmless.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from billing.core.meters import Measure, MeterSpec
from billing.core.periods import hour_floor


@dataclass(frozen=True, slots=True)
class Tally:
    """What a meter may look at of marketplace's UsageTally: one sum over calls of one hour, operation and outcome."""

    hour: datetime
    operation_id: str | None
    outcome: str
    calls: int
    units: int
    request_bytes: int
    response_bytes: int


def aggregate(meter: MeterSpec, tallies: Iterable[Tally]) -> int:
    """Return the meter's quantity over all tallies; their order and grouping do not matter."""
    return sum(_measure(meter.measure, tally) for tally in tallies if meter.counts(tally.outcome, tally.operation_id))


def aggregate_hours(meter: MeterSpec, tallies: Iterable[Tally]) -> dict[datetime, int]:
    """Return the meter's quantity per UTC hour, hours in order, hours without a counted call left out."""
    hours: dict[datetime, int] = {}
    for tally in tallies:
        if meter.counts(tally.outcome, tally.operation_id):
            hour = hour_floor(tally.hour)
            hours[hour] = hours.get(hour, 0) + _measure(meter.measure, tally)
    return {hour: quantity for hour, quantity in sorted(hours.items()) if quantity}


def _measure(measure: Measure, tally: Tally) -> int:
    match measure:
        case Measure.CALLS:
            return tally.calls
        case Measure.UNITS:
            return tally.units
        case Measure.REQUEST_BYTES:
            return tally.request_bytes
        case Measure.RESPONSE_BYTES:
            return tally.response_bytes
        case Measure.BYTES:
            return tally.request_bytes + tally.response_bytes
