"""Rate limits over several workers on a real Valkey: GCRA over all of them, refused calls cost nothing, a low rate is exact."""

import asyncio
import time
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from gateway.dataplane.leases import TAKEN, WAIT
from gateway.dataplane.rate_bucket import SLOT_S, UNHELD, RateBucket
from gateway.dataplane.resp import StoreDown
from marketplace.contracts.limits import QuotaLimit, RateLimit
from tests.gateway.state.parts import generation_set, workers

pytestmark = pytest.mark.asyncio


async def admitted(bucket: RateBucket) -> bool:
    verdict = bucket.try_take(time.monotonic())
    if verdict == WAIT:
        verdict = await bucket.take_slow()
    return verdict in (TAKEN, UNHELD)


@pytest.mark.parametrize("limit", [RateLimit(calls=20, period_s=1), RateLimit(calls=2_000, period_s=1, burst=100)])
async def test_all_workers_together_admit_what_one_limit_says_where_peers_multiply_it(
    tmp_path: Path, valkey: Any, limit: RateLimit
) -> None:
    async with workers(tmp_path, 4) as crew:
        buckets = [worker.leases.rate("{x}:app", limit, name="app") for worker in crew]
        began, taken = time.time(), 0

        async def client(bucket: RateBucket) -> None:
            nonlocal taken
            while time.time() - began < 1.0:
                if await admitted(bucket):
                    taken += 1
                    await asyncio.sleep(0)
                else:
                    await asyncio.sleep(0.002)

        await asyncio.gather(*(client(bucket) for bucket in buckets for _ in range(4)))
        span_s = time.time() - began + SLOT_S
        burst = limit.burst or limit.calls
        assert burst <= taken <= burst + span_s * limit.calls / limit.period_s + 1


async def test_a_call_far_below_its_rate_is_never_refused_because_others_took_what_it_waited_for(
    tmp_path: Path, valkey: Any
) -> None:
    async with workers(tmp_path, 1) as (worker,):
        bucket = worker.leases.rate("{x}:app", RateLimit(calls=1_000_000, period_s=1), name="app")

        async def thief() -> None:
            while True:
                bucket.try_take(
                    time.monotonic()
                )  # in the same turn, ahead of those that wake up for what they waited for
                await asyncio.sleep(0)

        stealing = [asyncio.create_task(thief()) for _ in range(4)]
        assert all([await admitted(bucket) for _ in range(50)])
        for task in stealing:
            task.cancel()


async def test_refused_calls_cost_nothing_so_a_client_above_its_rate_recovers(tmp_path: Path, valkey: Any) -> None:
    async with workers(tmp_path, 1) as (worker,):
        bucket = worker.leases.rate("{x}:app", RateLimit(calls=5, period_s=1), name="app")
        assert [await admitted(bucket) for _ in range(5)] == [True] * 5
        asked = worker.store.commands
        refused = 0
        while not await admitted(bucket):
            refused += 1
            await asyncio.sleep(0.001)
        assert refused > 5 and worker.store.commands - asked < 10  # the worker itself knows until when to refuse
        state = int(valkey.get("tg:r:{x}:app"))
        assert state - time.time() * 1e6 <= 5 * 200_000


async def test_a_clock_that_is_set_back_makes_neither_rate_nor_quota_refuse(
    tmp_path: Path, valkey: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    generation_set(valkey)
    async with workers(tmp_path, 1) as (worker,):
        bucket = worker.leases.rate("{x}:app", RateLimit(calls=5, period_s=1), name="app")
        while await admitted(bucket):
            pass
        limit = QuotaLimit(units=1, window="month")
        handle = worker.quota(uuid4(), limit)
        assert await worker.call(handle) is not None and await worker.call(handle) is None
        right = time.time
        monkeypatch.setattr(time, "time", lambda: right() - 5)
        handle.bucket.units = 2
        assert bucket.retry_after() == 1
        began = time.monotonic()
        while not await admitted(bucket) or await worker.call(handle, at=right()) is None:
            assert time.monotonic() - began < 3
            await asyncio.sleep(0.02)


async def test_calls_given_back_are_free_again_for_every_worker(tmp_path: Path, valkey: Any) -> None:
    async with workers(tmp_path, 2) as (one, other):
        limit = RateLimit(calls=4, period_s=60)
        mine, theirs = (worker.leases.rate("{x}:app", limit, name="app") for worker in (one, other))
        assert [await admitted(mine) for _ in range(4)] == [True] * 4
        assert not await admitted(theirs)
        await asyncio.sleep(SLOT_S * 2)
        for _ in range(2):
            mine.give_back()
        assert await admitted(mine)
        theirs.refused_until = 0.0
        assert await admitted(theirs)
        theirs.refused_until = 0.0
        assert not await admitted(theirs)


async def test_a_state_goes_when_it_means_nothing_any_more(tmp_path: Path, valkey: Any) -> None:
    async with workers(tmp_path, 1) as (worker,):
        bucket = worker.leases.rate("{x}:app", RateLimit(calls=10, period_s=2), name="app")
        for _ in range(10):
            await admitted(bucket)
        assert 1_000 < valkey.pttl("tg:r:{x}:app") <= 3_001  # milliseconds: two seconds of calls and one to spare


async def test_another_limit_is_in_force_at_once(tmp_path: Path, valkey: Any) -> None:
    async with workers(tmp_path, 1) as (worker,):
        bucket = worker.leases.rate("{x}:app", RateLimit(calls=1, period_s=3600), name="app")
        assert await admitted(bucket) and not await admitted(bucket)
        assert worker.leases.rate("{x}:app", RateLimit(calls=3600, period_s=3600, burst=3605), name="app") is bucket
        assert await admitted(bucket)


async def test_without_the_store_a_rate_lets_calls_pass_unless_it_says_deny(tmp_path: Path, valkey: Any) -> None:
    async with workers(tmp_path, 1) as (worker,):
        lax = worker.leases.rate("{x}:app", RateLimit(calls=1, period_s=60), name="app")
        strict = worker.leases.rate("{y}:app", RateLimit(calls=1, period_s=60, store_down="deny"), name="app")
        await worker.store.close()
        assert [await lax.take_slow() for _ in range(5)] == [UNHELD] * 5
        with pytest.raises(StoreDown):
            await strict.take_slow()
        assert (worker.leases.allowed_without_store, worker.leases.denied_without_store) == (5, 1)


async def test_a_policy_names_the_burst_when_more_calls_may_come_at_once_than_its_quota_says(
    tmp_path: Path, valkey: Any
) -> None:
    async with workers(tmp_path, 1) as (worker,):
        bucket = worker.leases.rate("{x}:app", RateLimit(calls=100, period_s=1, burst=200), name="app")
        assert bucket.policy == b'"app";q=100;w=1;burst=200'
        bucket.limit_changed(RateLimit(calls=100, period_s=1))
        assert bucket.policy == b'"app";q=100;w=1'
