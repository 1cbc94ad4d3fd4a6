"""What a worker looks after by itself is done in turns, so that calls never wait for all of it."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest

from gateway.dataplane.journal import Journal
from gateway.dataplane.leases import TICK_BUCKETS, Leases
from gateway.dataplane.quota_bucket import QuotaBucket, QuotaHandle
from gateway.dataplane.store import Store
from marketplace.contracts.limits import Limits, QuotaLimit

BUCKETS = 2_000
LIMIT = QuotaLimit(units=1_000, window="month")


def test_calls_get_their_turn_while_the_quotas_of_many_grants_are_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    turn = 0
    turns: list[int] = []
    roll = QuotaBucket.roll

    def rolled(bucket: QuotaBucket) -> None:
        turns.append(turn)
        roll(bucket)

    async def story() -> None:
        async def others() -> None:
            nonlocal turn
            while True:
                turn += 1
                await asyncio.sleep(0)

        async def checked() -> None:
            """There is no store here that could have lost anything."""

        leases: Any = Leases(Store("unix:///none?db=0"), Journal(tmp_path, node="n", boot=uuid4()))
        handles = [QuotaHandle(leases, UUID(int=number).hex, Limits(quota=LIMIT)) for number in range(BUCKETS)]
        leases._active = {handle.bucket.key: handle.bucket for handle in handles}
        monkeypatch.setattr(leases.generation, "check", checked)
        monkeypatch.setattr(QuotaBucket, "roll", rolled)
        task = asyncio.create_task(others())
        await leases._tick()
        task.cancel()

    asyncio.run(story())
    assert len(turns) == BUCKETS
    assert max(turns.count(one) for one in set(turns)) <= TICK_BUCKETS
