"""Quotas over several workers on a real Valkey: never more than the limit, exactly the limit, nothing stranded, nothing counted twice.

Named after the faults of peers that ours must not have, as their public issue threads report them.
"""

import asyncio
import os
import time
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
import redis

from gateway.core.quotas import SHARE
from gateway.dataplane import lease_list, recovery
from gateway.dataplane import leases as leases_module
from gateway.dataplane.journal import SEALED_SUFFIX
from gateway.dataplane.lease_recovery import leases_return
from gateway.dataplane.lease_scripts import GENERATION_KEY, QUOTA_LEASE
from gateway.dataplane.quota_bucket import PROGRESS, QuotaHandle
from gateway.dataplane.store import StoreDown
from marketplace.contracts.limits import QuotaLimit
from tests.gateway.state.parts import Worker, disk_full, generation_set, workers
from tests.waiting import until

DAY = QuotaLimit(units=300, window="day")


@pytest.fixture(autouse=True)
def counters(valkey: redis.Redis) -> redis.Redis:
    generation_set(valkey)
    return valkey


def used(valkey: redis.Redis, handle: QuotaHandle) -> int:
    value: Any = valkey.hget(handle.bucket.key, "u")
    return int(value or 0)


async def call_until_refused(worker: Worker, handle: QuotaHandle, *, patience_s: float = 0.8) -> int:
    """Call without pause until refusals persist; how many were answered."""
    answered, refused_since = 0, None
    while refused_since is None or time.monotonic() - refused_since < patience_s:
        if await worker.call(handle) is not None:
            answered, refused_since = answered + 1, None
        else:
            refused_since = refused_since or time.monotonic()
            await asyncio.sleep(0.02)
    return answered


async def test_four_workers_admit_exactly_the_limit_where_peers_gave_each_node_its_own(
    tmp_path: Path, valkey: Any
) -> None:
    grant_id = uuid4()
    async with workers(tmp_path, 4) as crew:
        handles = [worker.quota(grant_id, DAY) for worker in crew]
        clients = [call_until_refused(w, h) for w, h in zip(crew, handles, strict=True) for _ in range(6)]
        assert sum(await asyncio.gather(*clients)) == DAY.units
        assert used(valkey, handles[0]) == DAY.units


async def test_a_worker_gets_the_last_units_that_others_hold_unspent(tmp_path: Path) -> None:
    grant_id, limit = uuid4(), replace(DAY, units=10)
    async with workers(tmp_path, 3) as crew:
        handles = [worker.quota(grant_id, limit) for worker in crew]
        for worker, handle in zip(crew, handles, strict=True):
            assert await worker.call(handle) is not None
        assert sum(handle.bucket.free for handle in handles[:2]) > 0
        assert await call_until_refused(crew[2], handles[2]) == 10 - 3


async def test_refused_calls_are_not_counted_so_a_raised_quota_helps_at_once(tmp_path: Path, valkey: Any) -> None:
    grant_id, limit = uuid4(), replace(DAY, units=5)
    async with workers(tmp_path, 2) as crew:
        handles = [worker.quota(grant_id, limit) for worker in crew]
        assert await call_until_refused(crew[0], handles[0]) == 5
        for _ in range(50):
            assert await crew[1].call(handles[1]) is None
        assert used(valkey, handles[0]) == 5
        raised = replace(limit, units=8)
        assert crew[0].quota(grant_id, raised) is handles[0]
        assert await crew[0].call(handles[0]) is not None
        assert await call_until_refused(crew[0], handles[0]) == 2
        lowered = replace(limit, units=4)
        crew[0].quota(grant_id, lowered)
        assert await crew[0].call(handles[0]) is None


async def test_a_call_that_is_not_charged_gives_its_unit_back(tmp_path: Path, valkey: Any) -> None:
    limit = replace(DAY, units=3)
    async with workers(tmp_path, 1) as (worker,):
        handle = worker.quota(uuid4(), limit)
        for _ in range(20):
            assert await worker.call(handle, outcome="upstream_failed") is not None
        assert await call_until_refused(worker, handle) == 3


async def test_nothing_is_counted_twice_after_leases_are_reported(tmp_path: Path, valkey: Any) -> None:
    async with workers(tmp_path, 2) as crew:
        grant_id = uuid4()
        handles = [worker.quota(grant_id, DAY) for worker in crew]
        for _ in range(40):
            for worker, handle in zip(crew, handles, strict=True):
                assert await worker.call(handle) is not None
        for handle in handles:
            for _ in range(5):
                await handle.bucket.report()
        free = sum(handle.bucket.free for handle in handles)
        assert used(valkey, handles[0]) == 80 + free
    assert used(valkey, handles[0]) == 80


def test_a_counter_never_gives_more_than_the_limit_and_gives_the_last_units_one_by_one(valkey: Any) -> None:
    limit, used, grants = 1_000, 0, []
    for number in range(1, 400):
        args = ("first", f"boot{number % 3}", 0, number, 0, 0, 0, 0, 100, limit, int(time.time()) + 60)
        granted, told, _ = valkey.eval(QUOTA_LEASE.text, 2, "tg:q:{x}:day:0", GENERATION_KEY, *args)
        valkey.hset("tg:q:{x}:day:0", f"o:boot{number % 3}", f"0:0:0:0:{number}")  # spent, and counted in ``u``
        used += granted
        assert used == told <= limit and granted <= 100
        if limit - used + granted < 2 * SHARE * 3:
            assert granted <= 1
        grants.append(granted)
    assert used == limit and grants[0] == 100


async def test_an_idle_worker_returns_what_it_holds(tmp_path: Path, valkey: Any) -> None:
    async with workers(tmp_path, 1) as (worker,):
        handle = worker.quota(uuid4(), DAY)
        assert await worker.call(handle) is not None
        assert used(valkey, handle) > 1
        await until(lambda: used(valkey, handle) == 1 and handle.bucket.held == 0)


async def test_what_is_looked_after_on_a_beat_goes_on_when_the_disk_refuses_once(
    tmp_path: Path, valkey: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leases_module, "TICK_S", 0.05)
    monkeypatch.setattr(leases_module, "IDLE_RETURN_S", 0.5)
    monkeypatch.setattr(lease_list, "SLACK", -2)
    async with workers(tmp_path, 1) as (worker,):
        handle = worker.quota(uuid4(), DAY)
        monkeypatch.setattr(os, "replace", refuse)
        assert await worker.call(handle) is not None
        await until(lambda: used(valkey, handle) == 1 and handle.bucket.held == 0)


def refuse(*args: object) -> None:
    raise OSError(28, "No space left on device")


@pytest.mark.parametrize("room", [0, 30])
async def test_a_counter_that_the_disk_cannot_list_is_not_leased_and_recovery_finds_it_when_it_can(
    tmp_path: Path, valkey: Any, room: int
) -> None:
    async with workers(tmp_path, 1) as (worker,):
        handle = worker.quota(uuid4(), DAY)
        with disk_full(room), pytest.raises(StoreDown):
            await worker.call(handle)
        assert not valkey.exists(handle.bucket.key)
        assert await worker.call(handle) is not None
        assert used(valkey, handle) > 1
        await worker.die()
        recover(worker, valkey)
        assert used(valkey, handle) == 1


async def test_a_store_that_comes_back_without_the_last_seconds_hears_all_totals_at_once(
    tmp_path: Path, valkey: Any
) -> None:
    """A replica that lagged behind: what it has not heard must not be given out a second time."""
    grant_id = uuid4()
    async with workers(tmp_path, 2) as crew:
        handles = [worker.quota(grant_id, replace(DAY, units=40)) for worker in crew]
        assert await crew[0].call(handles[0]) is not None
        key = handles[0].bucket.key
        lagged = valkey.hgetall(key)
        for _ in range(19):
            assert await crew[0].call(handles[0]) is not None
        valkey.delete(key)
        valkey.hset(key, mapping=lagged)
        connection: Any = crew[0].store._connection
        connection.close()
        await until(lambda: used(valkey, handles[0]) >= 20)
        assert await call_until_refused(crew[1], handles[1]) == 20


async def test_a_late_or_repeated_request_changes_nothing(tmp_path: Path, valkey: Any) -> None:
    """An answer that was lost on the way: the next statement of the worker puts the counter right."""
    async with workers(tmp_path, 1) as (worker,):
        handle = worker.quota(uuid4(), DAY)
        await worker.call(handle)
        bucket = handle.bucket
        before = used(valkey, handle)
        worker.leases.number -= 1
        assert await bucket.report(wanted=50) == (0, PROGRESS)
        assert used(valkey, handle) == before
        granted, _ = await bucket.report(wanted=20)
        bucket.free -= granted
        assert used(valkey, handle) == before + granted
        await bucket.report()
        assert used(valkey, handle) == before


async def test_what_a_killed_worker_held_comes_back_once_and_what_it_charged_does_not(
    tmp_path: Path, valkey: Any
) -> None:
    grant_id = uuid4()
    async with workers(tmp_path, 2) as (doomed, heir):
        handle, other = doomed.quota(grant_id, DAY), heir.quota(grant_id, DAY)
        for _ in range(130):
            assert await doomed.call(handle) is not None
            await asyncio.sleep(0.003)
        stuck = asyncio.create_task(doomed.call(handle, busy_s=60))
        await asyncio.sleep(0.05)
        assert handle.bucket.flying == 1 and doomed.journal.sequence > 0
        await doomed.die()
        stuck.cancel()
        assert used(valkey, other) > 130
        with recovery.dead_locked(doomed.journal.folder) as is_dead:
            assert is_dead
            recovery.segments_recover(doomed.journal.folder)
            returned = leases_return(doomed.journal.folder, evidence_dir=tmp_path, store=valkey)
            assert returned > 0
            assert leases_return(doomed.journal.folder, evidence_dir=tmp_path, store=valkey) == 0
        assert used(valkey, other) == 130
        assert await call_until_refused(heir, other) == DAY.units - 130


def recover(worker: Worker, valkey: Any) -> int:
    """What the shipper does when it finds a dead worker."""
    folder = worker.journal.folder
    with recovery.dead_locked(folder):
        recovery.segments_recover(folder)
        return leases_return(folder, evidence_dir=folder, store=valkey)


@pytest.mark.parametrize("fate", ["missing", "damaged"])
async def test_where_the_journal_of_a_killed_worker_has_a_gap_its_units_stay_spent(
    tmp_path: Path, valkey: Any, fate: str
) -> None:
    async with workers(tmp_path, 1, seal_s=60) as (worker,):
        handle = worker.quota(uuid4(), DAY)
        while worker.journal.sequence < 3 or handle.bucket.free < 2:
            assert await worker.call(handle) is not None
            worker.journal.seal()
        before = used(valkey, handle)
        assert before > handle.bucket.charged
        await worker.die()
        for path in recovery.segments_list(worker.journal.folder, SEALED_SUFFIX)[-2:-1]:
            if fate == "damaged":
                path.with_suffix(recovery.CORRUPT_SUFFIX).write_bytes(path.read_bytes()[:-80])
            path.unlink()
        assert recover(worker, valkey) == 0 and used(valkey, handle) == before


async def test_calls_on_credit_since_the_last_report_of_a_killed_worker_are_counted(
    tmp_path: Path, valkey: Any
) -> None:
    async with workers(tmp_path, 1) as (worker,):
        handle = worker.quota(uuid4(), replace(DAY, units=2, hard=False))
        assert await worker.call(handle) is not None
        await until(lambda: used(valkey, handle) == 1 and handle.bucket.reported_held == handle.bucket.held == 0)
        worker.leases._clockwork.cancel()  # type: ignore[union-attr]
        for _ in range(3):
            assert await worker.call(handle) is not None
        await worker.die()
        recover(worker, valkey)
        assert used(valkey, handle) == 4


async def test_a_window_that_ends_gives_its_units_back_and_the_next_begins_at_zero(tmp_path: Path, valkey: Any) -> None:
    now = int(time.time())
    limit = QuotaLimit(units=4, window="period", period_start=now - 100, period_end=now + 2)
    async with workers(tmp_path, 1) as (worker,):
        handle = worker.quota(uuid4(), limit)
        assert await call_until_refused(worker, handle, patience_s=0.2) == 4
        first = handle.bucket
        await asyncio.sleep(max(0.0, now + 2.05 - time.time()))
        assert await worker.call(handle) is not None
        assert handle.bucket is not first and handle.bucket.starts_at == now + 2
        turned = replace(limit, period_start=now + 2, period_end=now + 1000)
        worker.quota(handle_id(handle), turned)
        assert await call_until_refused(worker, handle, patience_s=0.2) == 3


async def test_late_calls_of_a_window_that_is_over_get_what_is_left_of_it_and_no_more(
    tmp_path: Path, valkey: Any
) -> None:
    """A form that takes long to arrive, or a clock that is set back: the worker has forgotten by then what it charged."""
    began = int(time.time())
    limit = QuotaLimit(units=4, window="period", period_start=began - 100, period_end=began + 2)
    async with workers(tmp_path, 1) as (worker,):
        handle = worker.quota(uuid4(), limit)
        assert [await worker.call(handle, at=began) is not None for _ in range(3)] == [True] * 3
        key = handle.bucket.key
        await asyncio.sleep(max(0.0, began + 2 - time.time()))
        assert await worker.call(handle) is not None
        await until(lambda: key not in worker.leases._active)
        assert [await worker.call(handle, at=began) is not None for _ in range(4)] == [True, False, False, False]
        assert int(valkey.hget(key, "u")) == 4
        await worker.die()
        recover(worker, valkey)
        assert int(valkey.hget(key, "u")) == 4


def handle_id(handle: QuotaHandle) -> UUID:
    return UUID(hex=handle.grant_hex)


async def test_a_soft_quota_counts_and_never_refuses(tmp_path: Path, valkey: Any) -> None:
    limit = replace(DAY, units=2, hard=False)
    async with workers(tmp_path, 1) as (worker,):
        handle = worker.quota(uuid4(), limit)
        for _ in range(7):
            assert await worker.call(handle) is not None
        await until(lambda: used(valkey, handle) == 7)
        assert handle.bucket.used >= limit.units


async def test_a_counter_goes_some_days_after_its_window_and_not_before(tmp_path: Path, valkey: Any) -> None:
    async with workers(tmp_path, 1) as (worker,):
        handle = worker.quota(uuid4(), replace(DAY, window="hour"))
        await worker.call(handle)
        ttl: Any = valkey.ttl(handle.bucket.key)
        assert 3 * 24 * 3600 <= ttl <= 3 * 24 * 3600 + 3600


async def test_an_ordinary_call_needs_fewer_than_two_store_round_trips_in_a_hundred(tmp_path: Path) -> None:
    limit = replace(DAY, units=1_000_000)
    async with workers(tmp_path, 1) as (worker,):
        handle = worker.quota(uuid4(), limit)

        async def client() -> None:
            for _ in range(300):
                assert await worker.call(handle) is not None

        await asyncio.gather(*(client() for _ in range(20)))
        assert worker.leases.round_trips < 0.02 * 6_000


async def test_without_the_store_open_leases_are_spent_and_then_the_plan_decides(tmp_path: Path, valkey: Any) -> None:
    async with workers(tmp_path, 1) as (worker,):
        strict, lax = worker.quota(uuid4(), DAY), worker.quota(uuid4(), replace(DAY, store_down="allow"))
        for handle in (strict, lax):
            assert await worker.call(handle) is not None
        held = strict.bucket.free
        assert held > 0
        await worker.store.close()
        for _ in range(held):
            assert await worker.call(strict) is not None
        started = time.monotonic()
        with pytest.raises(StoreDown):
            await worker.call(strict)
        for _ in range(20):
            assert await worker.call(lax) is not None
        assert time.monotonic() - started < 1.0  # nobody waited for a store that is known to be down
        assert worker.leases.denied_without_store == 1 and worker.leases.allowed_without_store > 0
