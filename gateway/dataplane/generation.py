"""The generation of the quota counters: notices that Valkey lost them, and has a worker take part in rebuilding them.

Each loss begins a new generation. Until it is there, counters grant nothing. Who rebuilds them, and what is agreed: quota_rebuild.py.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.dataplane.lease_scripts import EPOCH_KEY, GENERATION_KEY, JOIN_KEY
from gateway.dataplane.resp import StoreDown, StoreFault

if TYPE_CHECKING:
    from gateway.dataplane.leases import Leases

JOIN_KEPT_S = 60
"""What workers said for one rebuild is no good for a later one; they say it again for as long as one goes on."""


class Generation:
    """What one worker knows of it. ``name`` goes with every request, and a counter of another generation answers LOST."""

    def __init__(self, leases: Leases) -> None:
        self._leases = leases
        self.name = b""
        self.is_rebuilding = False
        self._joined_at: int | None = None
        self._joined_epoch = b""

    async def check(self) -> None:
        """Compare it with the store's; begin anew, or join the rebuild, when it is another one. Never raises StoreDown."""
        leases = self._leases
        try:
            name = await leases.store.call("GET", GENERATION_KEY)
            if name is None:
                self.is_rebuilding = True
                epoch = await leases.store.call("GET", EPOCH_KEY)
                if epoch is not None:
                    await self._join(epoch)
                return
        except (StoreDown, StoreFault):
            return
        if name == self.name:
            return
        if self.name and self._joined_epoch != name:  # the whole rebuild happened behind our back
            for bucket in leases.active():
                bucket.rebase(keep=bucket.charged - bucket.reported_charged)
        self.name = name
        self.is_rebuilding = False
        self._joined_epoch, self._joined_at = b"", None

    async def _join(self, epoch: bytes) -> None:
        """Tell the empty counters what we hold, and from which segment on our units are not in the base: the open one.

        What is charged before goes into segments that the base is made of. Raises StoreDown; then all is said again.
        """
        leases = self._leases
        if self._joined_at is None:
            leases.journal.seal()
            for bucket in leases.active():
                bucket.rebase(keep=0)
            self._joined_at = leases.journal.sequence
        if epoch != self._joined_epoch:
            for bucket in leases.active():
                if bucket.held or bucket.charged:
                    await bucket.report(epoch=epoch)
        await leases.store.call("HSETNX", JOIN_KEY, leases.owner, self._joined_at)
        await leases.store.call("EXPIRE", JOIN_KEY, JOIN_KEPT_S)
        self._joined_epoch = epoch
