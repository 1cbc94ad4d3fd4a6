"""GCRA: the arithmetic of rate limits in whole microseconds; pure. The same arithmetic runs inside Valkey (lease_scripts.py).

A rate of ``calls`` per ``period_s`` is one emission every ``interval_us``. The state is one number, the theoretical arrival
time (TAT): the moment at which a bucket that never empties would be due for its next call. A call is admitted when the
TAT, moved one interval on, is at most ``burst`` intervals ahead of now. A refused call changes nothing, so a client above
its rate recovers as soon as it slows down.
"""

from typing import NamedTuple

from marketplace.contracts.limits import RateLimit

MICROSECONDS = 1_000_000


class Pace(NamedTuple):
    """A rate limit as numbers: microseconds between emissions, and how many calls may come at once."""

    interval_us: int
    burst: int


class Verdict(NamedTuple):
    """``admitted`` calls (at most what was asked), the new TAT, and after how many microseconds one more would be admitted."""

    admitted: int
    tat_us: int
    retry_after_us: int


def pace(limit: RateLimit) -> Pace:
    """Return the pace of a limit. The interval is rounded up, so that rounding never admits more than the limit says."""
    interval_us = -(-limit.period_s * MICROSECONDS // max(limit.calls, 1))
    return Pace(max(interval_us, 1), limit.burst or max(limit.calls, 1))


def admit(*, tat_us: int, now_us: int, wanted: int, pace: Pace) -> Verdict:
    """Admit up to ``wanted`` calls at ``now_us``; all times are microseconds on one clock."""
    tat = max(tat_us, now_us)
    room_us = now_us + pace.burst * pace.interval_us - tat
    admitted = max(0, min(wanted, room_us // pace.interval_us))
    tat += admitted * pace.interval_us
    ahead_us = tat + pace.interval_us - (now_us + pace.burst * pace.interval_us)
    return Verdict(admitted, tat, max(0, ahead_us))
