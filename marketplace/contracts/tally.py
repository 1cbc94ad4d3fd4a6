"""Tallies: the sums of a segment's events by (grant, app, Api, stage, operation, outcome, UTC hour); pure.

Shape of the rows that the shipper inserts as UsageTally. The bytes it reads them from: marketplace.contracts.segment.
"""

from bisect import bisect_left
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple
from uuid import UUID

from marketplace.contracts.segment import COUNTED_KINDS, RawRecord, uuid_or_none
from marketplace.contracts.usage import LATENCY_BUCKETS_MS

HOUR_US = 3_600_000_000
_BOUNDS_US = tuple(bound * 1_000 for bound in LATENCY_BUCKETS_MS)


class TallyKey(NamedTuple):
    """What one tally adds up. ``hour`` is the Unix second at which the UTC hour of the finished calls began."""

    grant_id: UUID | None
    app_id: UUID
    api_id: UUID | None
    stage: str
    operation_id: UUID | None
    outcome: str
    hour: int


@dataclass(slots=True)
class Tally:
    """The sums. ``latency_histogram`` counts calls per bucket of LATENCY_BUCKETS_MS, and one more for slower ones."""

    calls: int
    units: int
    request_bytes: int
    response_bytes: int
    latency_ms_sum: int
    latency_histogram: list[int]


def tallies_sum(records: Iterable[RawRecord]) -> dict[TallyKey, Tally]:
    """Add up finished calls. An OPENED record is not a call: its CLOSED record is, in whichever segment that stands."""
    sums: dict[tuple[bytes, bytes, bytes, int], Tally] = {}
    for raw in records:
        if raw.kind not in COUNTED_KINDS:
            continue
        key = (raw.caller, raw.target, raw.outcome, raw.finished_at_us // HOUR_US)
        tally = sums.get(key)
        if tally is None:
            tally = sums[key] = Tally(0, 0, 0, 0, 0, [0] * (len(_BOUNDS_US) + 1))
        tally.calls += 1
        tally.units += raw.units
        tally.request_bytes += raw.request_bytes
        tally.response_bytes += raw.response_bytes
        tally.latency_ms_sum += raw.latency_us
        tally.latency_histogram[bisect_left(_BOUNDS_US, raw.latency_us)] += 1
    for tally in sums.values():
        tally.latency_ms_sum //= 1_000
    return {_key(*key): tally for key, tally in sums.items()}


def _key(caller: bytes, target: bytes, outcome: bytes, hour: int) -> TallyKey:
    return TallyKey(
        grant_id=uuid_or_none(caller[:16]),
        app_id=UUID(bytes=caller[16:]),
        api_id=uuid_or_none(target[:16]),
        stage=target[32:].rstrip(b"\0").decode(),
        operation_id=uuid_or_none(target[16:32]),
        outcome=outcome.rstrip(b"\0").decode(),
        hour=hour * (HOUR_US // 1_000_000),
    )
