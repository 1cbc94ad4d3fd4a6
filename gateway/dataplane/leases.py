"""Leases: all buckets of one worker, what a finished call uses up, and the clockwork that returns what is not needed.

Buckets are found by stable ids (grant and window; dimension and ids), never by a configuration version, so every worker and node counts in
the same place. One window of a quota: quota_bucket.py. One rate: rate_bucket.py. Counters that were lost: generation.py. What a dead worker
held is returned by recovery.py, from the list that lease_list.py keeps.
"""

from __future__ import annotations

import asyncio
import logging
import time
import weakref
from typing import TYPE_CHECKING, Any

from gateway.dataplane.generation import Generation
from gateway.dataplane.lease_list import LeaseList
from gateway.dataplane.lease_scripts import LOW_CHANNEL, QUOTA_LEAVE
from gateway.dataplane.quota_bucket import REFUSED, TAKEN, WAIT, QuotaBucket, QuotaHandle
from gateway.dataplane.rate_bucket import RateBucket
from gateway.dataplane.resp import StoreDown
from gateway.dataplane.usage import units_of

if TYPE_CHECKING:
    from gateway.core.windows import Window
    from gateway.dataplane.call import Call
    from gateway.dataplane.directory import GrantEntry
    from gateway.dataplane.journal import Journal
    from gateway.dataplane.store import Store
    from gateway.dataplane.subscriber import Subscriber
    from marketplace.contracts.limits import RateLimit

__all__ = ["REFUSED", "TAKEN", "WAIT", "Bucket", "Leases", "StoreDown", "quota_key"]

log = logging.getLogger("tollgate.leases")

Bucket = QuotaBucket | RateBucket

TICK_S = 0.5
IDLE_RETURN_S = 3.0
"""Units that were not touched for this long go back to the counter."""
REPORT_S = 10.0
"""A bucket that holds units tells the counter at least this often how many of them are charged: recovery reads so much journal."""
TICK_BUCKETS = 200
"""Buckets looked at before the calls get a turn again."""


def quota_key(grant_hex: str, kind: str, starts_at: int) -> str:
    """The Valkey key of a quota counter. The hash tag keeps all counters of a grant together."""
    return f"tg:q:{{{grant_hex}}}:{kind}:{starts_at}"


class Leases:
    """The buckets of one worker. Counters are for the metrics; ``round_trips`` are all leases and reports.

    ``number`` is that of the last request to any counter: requests are told apart by it, also those of a bucket and the next of its window.
    """

    def __init__(self, store: Store, journal: Journal) -> None:
        self.store = store
        self.journal = journal
        self.owner = journal.boot.hex
        self.generation = Generation(self)
        self.number = 0
        self.round_trips = 0
        self.denied_without_store = self.allowed_without_store = 0
        self._quotas: weakref.WeakValueDictionary[str, QuotaHandle] = weakref.WeakValueDictionary()
        self._rates: weakref.WeakValueDictionary[str, RateBucket] = weakref.WeakValueDictionary()
        self._buckets: weakref.WeakValueDictionary[str, QuotaBucket] = weakref.WeakValueDictionary()
        self._active: dict[str, QuotaBucket] = {}
        self._list = LeaseList(journal.folder)
        self._tasks: set[asyncio.Task[Any]] = set()
        self._clockwork: asyncio.Task[None] | None = None

    async def start(self, subscriber: Subscriber | None = None) -> None:
        """Begin the clockwork. The journal must have started; the subscriber may start later. Never raises StoreDown."""
        self._list.open()
        if subscriber is not None:
            subscriber.listen(LOW_CHANNEL, self._low_heard)
        self.store.on_up.append(self._store_up)
        await self.generation.check()
        self._clockwork = asyncio.get_running_loop().create_task(self._run_clockwork())

    @property
    def is_rebuilding(self) -> bool:
        """Whether the store has lost the counters and they are not complete again."""
        return self.generation.is_rebuilding

    def active(self) -> list[QuotaBucket]:
        """The buckets of quotas whose counters know something of this worker, or will."""
        return list(self._active.values())

    def report(self) -> dict[str, int]:
        """The counts, for the metrics."""
        return {
            "round_trips": self.round_trips,
            "denied_without_store": self.denied_without_store,
            "allowed_without_store": self.allowed_without_store,
            "rebuilding": self.is_rebuilding,
        }

    # Finding buckets.

    def quota(self, grant: GrantEntry) -> QuotaHandle | None:
        """The grant's quota, the same object for all its credentials, with the limits of ``grant`` in force; None without one."""
        if grant.limits.quota is None:
            return None
        handle = self._quotas.get(grant.id)
        if handle is None:
            handle = self._quotas[grant.id] = QuotaHandle(self, grant.id_bytes.hex(), grant.limits)
        else:
            handle.change(grant.limits)
        return handle

    def bucket(self, handle: QuotaHandle, window: Window) -> QuotaBucket:
        """The bucket of one window, never two at once: the one that anybody still knows, or a new one."""
        key = quota_key(handle.grant_hex, window.kind, window.starts_at)
        found = self._buckets.get(key)
        if found is None:
            found = self._buckets[key] = QuotaBucket(self, key, window, handle.limit)
        found.ends_at = window.ends_at
        return found

    def rate(self, key: str, limit: RateLimit, *, name: str) -> RateBucket:
        """The bucket of one rate limit. ``key`` holds its stable ids, ``name`` is the dimension as callers see it in RateLimit."""
        bucket = self._rates.get(key)
        if bucket is None:
            bucket = self._rates[key] = RateBucket(self, f"tg:r:{key}", limit, name=name)
        else:
            bucket.limit_changed(limit)
        return bucket

    # What a call uses up.

    def settle(self, call: Call) -> int:
        """Spend or return what the call took, by its outcome; once, in the turn that gives its event to the journal. Returns its units.

        Quota units are spent by outcomes that the plan charges for. Rate emissions are spent by every call that was not refused,
        and by every call that went upstream: who leaves before the answer has made its load all the same.
        """
        taken = call.taken
        units = call.units = units_of(call.outcome, taken)
        if not taken or call.is_settled:
            return units
        call.is_settled = True
        if not units and not call.upstream_started and call.outcome.startswith("rejected"):
            for bucket in taken:
                bucket.give_back()
            return units
        last = taken[-1]
        if last.window_code:  # the quota, if any, is the last; a rate's emission is spent whatever came of the call
            if units:
                last.charge()
            else:
                last.give_back()
        return units

    def unsettle(self, call: Call) -> None:
        """The journal could not write the call's event and its answer was not sent: its quota unit is free again.

        What an answer took whose very beginning could not be written is free again too.
        """
        if call.taken is not None and (call.units or not call.is_settled):
            for bucket in call.taken:
                if call.is_settled:
                    bucket.charge_undo()
                else:
                    bucket.give_back()
        call.taken = None

    # Asking the counters.

    def refill_joined(self, bucket: Bucket) -> asyncio.Future[int]:
        """The request for more units that is under way, or a new one; whoever waits for it may be cancelled alone.

        One that is answered already is of no use: awaiting it would not give the event loop a turn.
        """
        if bucket.refill is None or bucket.refill.done():
            self.refill_start(bucket)
        assert bucket.refill is not None
        return asyncio.shield(bucket.refill)

    def refill_start(self, bucket: Bucket) -> None:
        """Ask for more units in the background; the answer is in ``bucket.refill`` while it is under way."""
        task: asyncio.Task[int] = asyncio.get_running_loop().create_task(bucket.lease())
        bucket.refill = task

        def done(finished: asyncio.Task[int]) -> None:
            if bucket.refill is task:
                bucket.refill = None
            if not finished.cancelled():
                finished.exception()  # who waits for it has seen it; a prefetch that failed is asked for again

        task.add_done_callback(done)

    def activate(self, bucket: QuotaBucket) -> None:
        """Remember that this bucket holds units, on disk too, so that recovery finds its counter if this worker dies.

        Raises StoreDown when the disk refuses: what recovery could not find must not be leased.
        """
        if bucket.is_listed:
            return
        self._active[bucket.key] = bucket
        try:
            self._list.add(bucket)
        except OSError as fault:
            raise StoreDown(f"the list of leases cannot be written: {fault}") from fault
        bucket.is_listed = True

    def _spawn(self, coroutine: Any) -> None:
        task = asyncio.get_running_loop().create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _report(self, bucket: QuotaBucket) -> None:
        if bucket.refill is not None:  # it tells the totals too; a second request beside it would disown what it brings
            return
        try:
            await bucket.report()
        except StoreDown:
            return  # its totals are told again at the next tick

    def _low_heard(self, message: bytes) -> None:
        """Somebody needs units of this counter: give back the ones that nobody here has asked for yet."""
        bucket = self._active.get(message.decode("utf-8", "replace"))
        if bucket is not None and bucket.waiting == 0 and bucket.refill is None and bucket.reported_held > 0:
            bucket.release()
            self._spawn(self._report(bucket))

    # The clockwork.

    async def _run_clockwork(self) -> None:
        while True:
            await asyncio.sleep(TICK_S)
            try:
                await self._tick()
            except Exception:  # what fails once must not keep units from others for ever
                log.exception("leases could not be looked after")

    async def _tick(self) -> None:
        await self.generation.check()
        names = list(self._active)
        for start in range(0, len(names), TICK_BUCKETS):
            await self._report_all(self._due(names[start : start + TICK_BUCKETS]))
            await asyncio.sleep(0)  # nothing may have been due, and then nothing has waited
        self._list.shorten(self._active.values())

    async def _report_all(self, buckets: list[QuotaBucket]) -> None:
        """Report in batches, so that calls get their turn between them."""
        for start in range(0, len(buckets), TICK_BUCKETS):
            await asyncio.gather(*map(self._report, buckets[start : start + TICK_BUCKETS]))
            await asyncio.sleep(0)

    def _due(self, names: list[str]) -> list[QuotaBucket]:
        """The buckets whose counter must hear from us now; those that hold nothing any more are forgotten."""
        now, wall = time.monotonic(), time.time()
        due = []
        for key in names:
            bucket = self._active[key]
            bucket.roll()
            is_over = wall >= bucket.ends_at
            if bucket.free and bucket.refill is None and (is_over or now - bucket.taken_at > IDLE_RETURN_S):
                bucket.release()
            if (bucket.held, bucket.charged) == (bucket.reported_held, bucket.reported_charged):
                if is_over and bucket.held == 0 and bucket.refill is None and not bucket.waiting:
                    bucket.is_listed = False  # a late call of the window may find it again
                    del self._active[key]
            elif bucket.free == 0 or now - bucket.reported_at > REPORT_S:
                due.append(bucket)
        return due

    # The store.

    def generation_lost(self) -> None:
        """A counter said that its generation is another one: look now, not at the next tick."""
        self._spawn(self.generation.check())

    def _store_up(self) -> None:
        self._spawn(self._store_greet())

    async def _store_greet(self) -> None:
        """Tell a store that is there again all totals: it may be a replica that had not heard them."""
        await self.generation.check()
        await self._report_all(self.active())

    async def _leave(self, bucket: QuotaBucket) -> None:
        """End what the counter knows of this worker. Raises StoreDown, StoreFault; then recovery does it."""
        if bucket.refill is not None:
            await asyncio.wait([bucket.refill])
        bucket.roll()
        if not bucket.reported_at or bucket.charged != bucket.reported_charged:
            await bucket.report()  # leaving alone would take what an earlier bucket of this window said for ours
        charged = bucket.charged + bucket.recent  # the disk may have refused to seal the last segment
        await self.store.script(QUOTA_LEAVE, (bucket.key,), (self.owner, charged))

    async def close(self) -> None:
        """Give everything back. Call it when no call is under way and the journal is closed. Never raises."""
        if self._clockwork is not None:
            self._clockwork.cancel()
        is_left = True
        buckets = self.active()
        for start in range(0, len(buckets), TICK_BUCKETS):
            leaves = map(self._leave, buckets[start : start + TICK_BUCKETS])
            answers = await asyncio.gather(*leaves, return_exceptions=True)
            is_left = is_left and not any(isinstance(answer, BaseException) for answer in answers)
        self._list.close(is_needed=not is_left)
