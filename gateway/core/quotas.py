"""How many units of a quota a worker asks for at once; pure. How many it gets, the counter in Valkey says (lease_scripts.py).

A lease is a number of units that are debited from the counter before they are spent. Large leases cost few round trips;
small ones strand little. So a lease covers LEASE_S of the traffic that was seen, and near the limit it shrinks with what
is left, down to one unit.
"""

LEASE_S = 0.1
"""A lease holds the units that this many seconds of the observed traffic use."""
LEASE_UNITS_MIN = 4
"""The size while the rate is unknown or small; it also is what an idle grant may hold in one worker."""
LEASE_UNITS_MAX = 10_000
OBSERVED_S_MIN = 0.05
"""Traffic is observed over at least this long, so that the first burst does not look like an endless one."""
SHARE = 2
"""A lease is at most what is left, divided by this and by the number of owners: nobody can take what the others need."""


def observed_rate(*, spent: int, elapsed_s: float) -> float:
    """Units per second that a worker has spent since its last lease."""
    return spent / max(elapsed_s, OBSERVED_S_MIN)


def lease_wanted(*, rate: float, waiting: int) -> int:
    """How many units a worker asks for: LEASE_S of traffic, and never less than the calls that wait for one right now."""
    return min(LEASE_UNITS_MAX, max(LEASE_UNITS_MIN, int(rate * LEASE_S), waiting))
