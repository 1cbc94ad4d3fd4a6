"""A rate limit in one worker: emissions leased from the GCRA state in Valkey, a few at a time when the rate is high, one when it is low.

Leased emissions are good for SLOT_S only: whatever span one looks at, no more than SLOT_S of the rate is added to what GCRA admits.
What is left over goes back with the next request. The arithmetic is gateway.core.gcra, in Lua in lease_scripts.py.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from gateway.core.gcra import MICROSECONDS, pace
from gateway.dataplane.lease_scripts import RATE_LEASE
from gateway.dataplane.quota_bucket import REFUSED, TAKEN, WAIT
from gateway.dataplane.resp import StoreDown, StoreFault
from marketplace.contracts.limits import RateLimit

if TYPE_CHECKING:
    from gateway.dataplane.leases import Leases

UNHELD = 3
"""The call may go on, but there is nothing to give back."""
SLOT_S = 0.05
"""How long a leased emission may wait for its call."""
SHARE_S = 0.025
"""One lease holds at most the emissions of this long at the full rate of the limit."""
SLOTS_MAX = 5_000
ASKED_S_MIN = 0.02
"""Traffic is observed over at least this long."""
ROUNDS_MAX = 8
"""How often a call asks when what came was given to others that wait too; GCRA's own no ends it at once."""


class RateBucket:
    """One limit of one dimension (an Api, an organization, an app, a grant), shared by all calls of it in this worker."""

    __slots__ = (
        "__weakref__",
        "asked_at",
        "back",
        "burst",
        "calls",
        "free",
        "good_until",
        "interval_us",
        "key",
        "leases",
        "left",
        "low",
        "name",
        "period_s",
        "policy",
        "refill",
        "refused_until",
        "share",
        "store_down",
        "taken",
        "waiting",
    )

    window_code = 0
    window_start = 0
    charged_outcomes: frozenset[str] | None = None

    def __init__(self, leases: Leases, key: str, limit: RateLimit, *, name: str) -> None:
        self.leases = leases
        self.key = key
        self.name = name
        self.free = self.back = self.left = self.waiting = self.taken = 0
        self.low = -1
        self.good_until = self.refused_until = self.asked_at = 0.0
        self.refill: asyncio.Task[int] | None = None
        self.limit_changed(limit)

    def limit_changed(self, limit: RateLimit) -> None:
        """Enforce another rate from now on. The state is a moment in time, so it needs no change itself."""
        self.interval_us, self.burst = pace(limit)
        self.calls, self.period_s = limit.calls, limit.period_s
        self.store_down = limit.store_down
        burst = f";burst={self.burst}" if self.burst != limit.calls else ""
        self.policy = f'"{self.name}";q={limit.calls};w={limit.period_s}{burst}'.encode()
        self.share = max(1, min(SLOTS_MAX, int(SHARE_S * limit.calls / limit.period_s), self.burst))
        self.refused_until = 0.0

    def try_take(self, now: float) -> int:
        """Take one emission: TAKEN, REFUSED, or WAIT when only ``take_slow`` can say. ``now`` is of time.monotonic()."""
        free = self.free
        if free > self.waiting:  # what came for those that wait is theirs
            if now <= self.good_until:
                self.free = free - 1
                self.taken += 1
                if free <= self.low and self.refill is None:
                    self.leases.refill_start(self)
                return TAKEN
            self.back += free
            self.free = 0
        return REFUSED if now < self.refused_until else WAIT

    async def take_slow(self) -> int:
        """Take one emission, asking the state; everyone who waits asks once: TAKEN, REFUSED, or UNHELD when the store
        is down and the limit says ``allow``: the call goes on and holds nothing. Raises StoreDown when it says ``deny``.
        """
        self.waiting += 1
        try:
            for _ in range(ROUNDS_MAX):
                await self.leases.refill_joined(self)
                if self.free > 0:
                    self.free -= 1
                    self.taken += 1
                    return TAKEN
                if time.monotonic() < self.refused_until:
                    break
        except StoreDown:
            if self.store_down == "deny":
                self.leases.denied_without_store += 1
                raise
            self.leases.allowed_without_store += 1
            return UNHELD
        finally:
            self.waiting -= 1
        return REFUSED

    async def lease(self) -> int:
        """Ask for the next emissions and return what was left over. The caller keeps at most one under way. Raises StoreDown."""
        now = time.monotonic()
        observed = self.taken / max(now - self.asked_at, ASKED_S_MIN)
        wanted = max(1, self.waiting, min(self.share, int(observed * SLOT_S)))
        self.asked_at, self.taken = now, 0
        if time.monotonic() > self.good_until and self.free > 0:
            self.back, self.free = self.back + self.free, 0
        back, self.back = self.back, 0
        args = (self.interval_us, self.burst, wanted, back)
        try:
            granted, retry_us, self.left = await self.leases.store.script(RATE_LEASE, (self.key,), args)
        except (StoreDown, StoreFault) as fault:
            raise StoreDown(str(fault)) from fault
        self.leases.round_trips += 1
        known_at = time.monotonic()
        self.free += granted
        self.good_until = known_at + SLOT_S
        self.low = self.free // 2 if wanted > 2 else -1
        if granted < wanted:
            self.refused_until = known_at + retry_us / MICROSECONDS
        return 0

    def charge(self) -> None:
        """The call went its way: its emission is spent."""

    def charge_undo(self) -> None:
        """An emission is about the load that a call made, not about its bill: it stays spent."""

    def give_back(self) -> None:
        """The call was refused by something else after all: its emission is free again, here or with the next request."""
        if time.monotonic() <= self.good_until:
            self.free += 1
        else:
            self.back += 1
        self.refused_until = 0.0

    def state(self) -> bytes:
        """This limit in the header RateLimit."""
        return b'"%b";r=%d;t=%d' % (self.name.encode(), self.left + self.free, self.period_s)

    def retry_after(self) -> int:
        """Whole seconds until a call may be admitted again, at least 1."""
        return max(1, -int(-(self.refused_until - time.monotonic()) // 1))
