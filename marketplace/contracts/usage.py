"""UsageEvent: an immutable fact, one call happened; minted by the gateway, kept in journal segments. Shape only.

The byte form of an event and of a segment file is marketplace.contracts.segment.
"""

from dataclasses import dataclass
from uuid import UUID

LATENCY_BUCKETS_MS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000, 30_000)
"""Upper bounds, inclusive; one more bucket counts what is above the last. Histograms have len + 1 counts."""


@dataclass(frozen=True, slots=True)
class UsageEvent:
    """One finished call. ``id`` (UUIDv7) is also the request id. Times are Unix microseconds, latencies microseconds.

    ``outcome`` is ``succeeded`` (upstream answered 1xx-3xx), ``client_error`` (upstream answered 4xx), ``upstream_failed``
    (upstream answered 5xx, or not at all), or ``rejected:<code>`` (refused by the gateway, for a known app). ``units`` are
    what a quota and a meter count for the call (1 when its outcome is charged, else 0). ``grant_id`` is None when a known
    app was refused for want of a grant; ``operation_id`` and ``api_id`` are None when no route matched.
    """

    id: UUID
    finished_at_us: int
    node: str
    boot: UUID
    grant_id: UUID | None
    app_id: UUID
    api_id: UUID | None
    stage: str
    operation_id: UUID | None
    outcome: str
    status: int
    request_bytes: int
    response_bytes: int
    latency_us: int
    upstream_us: int
    units: int
    complete: bool = True
    """False for a call whose answer began but whose end was never recorded (killed in between); its sizes are lower bounds."""
