"""Which credentials were used: ids noted by the step authorize, and told to Valkey's hash ``tg:used`` now and then.

It serves the "last used" of the portal, which gateway/services/used.py moves to PostgreSQL. It is no count: a worker that is
killed forgets at most FLUSH_S of it. Calls are counted by the journal.
"""

from __future__ import annotations

import asyncio
from itertools import islice
from time import time
from typing import TYPE_CHECKING

from gateway.core.store_keys import USED_KEY
from gateway.dataplane.resp import StoreDown, StoreFault

if TYPE_CHECKING:
    from gateway.dataplane.resp import Argument
    from gateway.dataplane.store import Store

FLUSH_S = 10.0
BATCH_MAX = 500
"""Ids that one command carries."""


class UsedCredentials:
    """The ids since the last flush. ``ids`` stays the same set, so that a step can keep its ``add``."""

    __slots__ = ("_store", "ids")

    def __init__(self, store: Store) -> None:
        self._store = store
        self.ids: set[str] = set()

    async def follow(self) -> None:
        """Flush every FLUSH_S, for as long as the worker lives."""
        while True:
            await asyncio.sleep(FLUSH_S)
            await self.flush()

    async def flush(self) -> None:
        """Tell Valkey; ids are kept for the next flush while it is away."""
        while self.ids:
            batch = list(islice(self.ids, BATCH_MAX))
            self.ids.difference_update(batch)
            now = str(int(time()))
            pairs: list[Argument] = [part for one in batch for part in (one, now)]
            try:
                await self._store.call("HSET", USED_KEY, *pairs)
            except (StoreDown, StoreFault):
                self.ids.update(batch)
                return
