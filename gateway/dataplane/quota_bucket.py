"""A grant's quota in one worker: units leased from the counter in Valkey and spent here without asking anybody.

QuotaHandle is the grant's quota over all time; QuotaBucket is one of its windows. Every unit that this worker has is in exactly
one place: ``free`` (unspent), ``flying`` (its call is under way), ``recent`` (charged, in the open segment) or ``charged`` (in an
earlier one). The arithmetic of sizes is gateway.core.quotas, the counter's scripts are lease_scripts.py, the clockwork is leases.py.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from gateway.core.quotas import lease_wanted, observed_rate
from gateway.core.windows import Window, resets_at_text, window_in_force
from gateway.dataplane.lease_scripts import EPOCH_KEY, GENERATION_KEY, LIMITLESS, LOST, QUOTA_LEASE, STALE
from gateway.dataplane.resp import StoreDown, StoreFault
from marketplace.contracts.limits import Limits, QuotaLimit
from marketplace.contracts.segment import WINDOW_CODES

if TYPE_CHECKING:
    from gateway.dataplane.leases import Leases

REFUSED, TAKEN, WAIT = 0, 1, 2

EDGE_WAIT_S = 0.1
"""At the limit, how long a call waits for units that other workers hold unspent, before it is refused."""
EDGE_POLL_S = 0.004
EDGE_POLL_S_MAX = 0.04
RECHECK_S = 0.5
"""After a refusal, how long the worker refuses by itself before it asks the counter again."""
KEPT_S = 3 * 24 * 3600
"""A counter outlives its window by this much, for calls that began in the window and for reading it afterwards."""
PROGRESS = -4
"""Instead of what others hold: the counter gave units, though they may be spent again already."""


class QuotaHandle:
    """The quota of one grant, shared by all its credentials. ``limit`` changes at once when the directory says so."""

    __slots__ = ("__weakref__", "bucket", "grant_hex", "leases", "limit", "plan_name")

    def __init__(self, leases: Leases, grant_hex: str, limits: Limits) -> None:
        assert limits.quota is not None
        self.leases = leases
        self.grant_hex = grant_hex
        self.limit: QuotaLimit = limits.quota
        self.plan_name = limits.plan_name
        self.bucket = leases.bucket(self, window_in_force(self.limit, time.time()))

    def change(self, limits: Limits) -> None:
        """Take over new limits: what was used stays used, so that a raised quota helps in the middle of its window."""
        assert limits.quota is not None
        self.plan_name = limits.plan_name
        if limits.quota == self.limit:
            return
        self.limit = limits.quota
        window = window_in_force(self.limit, time.time())
        if window != self.bucket.window:
            self.bucket = self.leases.bucket(self, window)
        self.bucket.limit_changed(self.limit)

    def at(self, now: float) -> QuotaBucket:
        """The bucket of a moment; the one of the window before gives its units back by itself."""
        bucket = self.bucket
        if not bucket.starts_at <= now < bucket.ends_at:
            window = window_in_force(self.limit, now)
            if window != bucket.window:
                bucket = self.bucket = self.leases.bucket(self, window)
        return bucket

    def resets_at(self) -> str:
        """When the current window ends, RFC 3339."""
        return resets_at_text(self.bucket.window, self.limit.time_zone)


class QuotaBucket:
    """One window of one quota in this worker. ``try_take`` is synchronous; only ``take_slow`` waits."""

    __slots__ = (
        "__weakref__",
        "asked_at",
        "born",
        "charged",
        "charged_outcomes",
        "ends_at",
        "filled",
        "flying",
        "free",
        "is_hard",
        "is_listed",
        "key",
        "leases",
        "low",
        "policy",
        "recent",
        "refill",
        "refused_until",
        "reported_at",
        "reported_charged",
        "reported_held",
        "segment",
        "starts_at",
        "store_down",
        "taken_at",
        "units",
        "used",
        "waiting",
        "window",
        "window_code",
        "window_start",
    )

    def __init__(self, leases: Leases, key: str, window: Window, limit: QuotaLimit) -> None:
        self.leases = leases
        self.key = key
        self.window = window
        self.window_code = WINDOW_CODES[window.kind]
        self.window_start, self.starts_at, self.ends_at = window.starts_at, window.starts_at, window.ends_at
        self.free = self.flying = self.recent = self.charged = self.segment = 0
        self.born = leases.number + 1
        self.used = self.filled = self.waiting = 0
        self.low = -1
        self.refused_until = self.reported_at = self.asked_at = self.taken_at = 0.0
        self.reported_held = self.reported_charged = 0
        self.is_listed = False
        self.refill: asyncio.Task[int] | None = None
        self.limit_changed(limit)

    def limit_changed(self, limit: QuotaLimit) -> None:
        """Enforce another limit from now on; the units that are used stay used."""
        self.units = limit.units
        self.is_hard = limit.hard
        self.store_down = limit.store_down
        self.charged_outcomes = frozenset(limit.charged)
        self.policy = b'"quota";q=%d;w=%d' % (limit.units, self.ends_at - self.starts_at)
        self.refused_until = 0.0

    @property
    def held(self) -> int:
        """Units that this worker has and that no earlier segment has charged."""
        return self.free + self.flying + self.recent

    def try_take(self, now: float) -> int:
        """Take one unit: TAKEN, REFUSED, or WAIT when only ``take_slow`` can say. ``now`` is of time.monotonic()."""
        free = self.free
        if free > 0:
            self.free = free - 1
            self.flying += 1
            self.taken_at = now
            if free <= self.low and self.refill is None:
                self.leases.refill_start(self)
            return TAKEN
        if not self.is_hard:
            self._take_on_credit(now)
            return TAKEN
        return REFUSED if now < self.refused_until else WAIT

    def _take_on_credit(self, now: float) -> None:
        """Take a unit that was not leased: a soft quota only counts, and the next report tells the counter."""
        self.flying += 1
        self.taken_at = now
        with suppress(StoreDown):  # nothing is leased: the next report lists it
            self.leases.activate(self)

    async def take_slow(self) -> bool:
        """Take one unit, asking the counter; at the limit wait EDGE_WAIT_S at most for what others hold. False: refused.

        Raises StoreDown when the counter cannot be asked and the plan says ``deny``.
        """
        now, pause_s = time.monotonic(), EDGE_POLL_S
        deadline = now + EDGE_WAIT_S
        self.waiting += 1
        try:
            while True:
                if self.free > 0:
                    self.free -= 1
                    self.flying += 1
                    self.taken_at = now
                    return True
                if now < self.refused_until:
                    return False
                others = await self.leases.refill_joined(self)
                if self.free > 0:
                    continue
                if others == PROGRESS:
                    continue
                if (others == 0 and self.flying == 0) or time.monotonic() + pause_s > deadline:
                    self.refused_until = time.monotonic() + RECHECK_S
                    return False
                await asyncio.sleep(pause_s)
                pause_s = min(pause_s * 2, EDGE_POLL_S_MAX)
        except StoreDown:
            if self.store_down == "deny":
                self.leases.denied_without_store += 1
                raise
            self.leases.allowed_without_store += 1
            self._take_on_credit(now)
            return True
        finally:
            self.waiting -= 1

    async def lease(self) -> int:
        """Ask the counter for the next units. Returns PROGRESS, or the free units that others hold. Raises StoreDown.

        ``Leases`` keeps at most one of these under way.
        """
        now = time.monotonic()
        rate = observed_rate(spent=max(self.filled - self.free, 0), elapsed_s=now - self.asked_at)
        wanted = lease_wanted(rate=rate, waiting=self.waiting)
        self.asked_at = now
        granted, others = await self.report(wanted=wanted)
        self.filled = self.free
        self.low = self.free // 2 if granted == wanted else 0
        return PROGRESS if granted else others

    async def report(self, *, wanted: int = 0, epoch: bytes = b"") -> tuple[int, int]:
        """Tell the counter this worker's totals, and ask for ``wanted`` units. Returns (granted, free units of others).

        ``epoch`` names the generation to come, while the counters are being rebuilt. Raises StoreDown, also while they are.
        """
        leases = self.leases
        leases.activate(self)
        self.roll()
        leases.number += 1
        held, free_or_flying = self.held, self.free + self.flying
        limit = self.units if self.is_hard else LIMITLESS
        sequence, expires = leases.journal.sequence, self.ends_at + KEPT_S
        charged = self.charged
        args = (epoch or leases.generation.name, leases.owner, self.born, leases.number, charged, held, free_or_flying)
        try:
            answer = await leases.store.script(
                QUOTA_LEASE,
                (self.key, EPOCH_KEY if epoch else GENERATION_KEY),
                (*args, sequence, wanted, limit, expires),
            )
        except StoreFault as fault:
            raise StoreDown(str(fault)) from fault
        granted, used, others = answer
        leases.round_trips += 1
        if granted == LOST:
            leases.generation_lost()
            raise StoreDown("the quota counters are being rebuilt")
        if granted == STALE:
            return 0, PROGRESS
        self.free += granted
        self.used = used
        self.reported_held, self.reported_charged, self.reported_at = held + granted, charged, time.monotonic()
        return granted, others

    def roll(self) -> None:
        """Move what was charged in segments that are sealed by now to ``charged``."""
        sequence = self.leases.journal.sequence
        if self.segment != sequence:
            self.charged += self.recent
            self.recent = 0
            self.segment = sequence

    def charge(self) -> None:
        """The call is charged: its unit is spent. Its event is in the group of the open segment."""
        if self.segment != self.leases.journal.sequence:
            self.roll()
        self.flying -= 1
        self.recent += 1

    def charge_undo(self) -> None:
        """The event of a charged call could not be written and its answer was not sent: the unit is free again."""
        if self.recent > 0:
            self.recent -= 1
            self.free += 1
            self.refused_until = 0.0

    def give_back(self) -> None:
        """The call is not charged: its unit is free again."""
        self.flying -= 1
        self.free += 1
        self.refused_until = 0.0

    def release(self) -> None:
        """Put the unspent units aside; the report that must follow gives them back."""
        self.free = 0
        self.filled = 0
        self.low = -1

    def rebase(self, *, keep: int) -> None:
        """Begin anew in a rebuilt counter, whose base has all but ``keep`` of the units that were charged so far."""
        self.roll()
        self.charged = keep
        self.reported_charged = 0
