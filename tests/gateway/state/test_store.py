"""The connection to Valkey: it is given up when its server is of no use, and nobody waits longer than was promised."""

import asyncio
import os
import time
from typing import Any

import pytest
import redis

from gateway.dataplane import store as store_module
from gateway.dataplane.lease_scripts import RATE_LEASE
from gateway.dataplane.resp import Address, StoreDown, connect
from gateway.dataplane.store import Store
from tests.gateway.state.seeding import valkey_own
from tests.waiting import until

RATE = (1_000, 1, 1, 0)


async def test_a_demoted_server_is_left_and_a_promoted_one_is_used_again() -> None:
    with valkey_own() as (_, valkey):
        operator = redis.Redis(unix_socket_path=str(valkey.socket))
        store = Store(valkey.url(), deadline_ms=5_000)
        await store.start()
        await store.script(RATE_LEASE, ("a",), RATE)
        operator.execute_command("REPLICAOF", "127.0.0.1", "1")
        with pytest.raises(StoreDown):
            await store.script(RATE_LEASE, ("b",), RATE)
        assert not store.is_up or store.failures
        until_s = time.monotonic() + 0.5
        while time.monotonic() < until_s:
            with pytest.raises(StoreDown):
                await store.call("SET", "a", "1")
            await asyncio.sleep(0.001)
        assert store.failures < 10  # it is not asked over and over
        operator.execute_command("REPLICAOF", "NO", "ONE")
        await until(lambda: store.is_up)
        assert await store.call("SET", "a", "1") == b"OK"
        await store.close()
        operator.close()


async def test_a_store_that_went_away_is_tried_with_growing_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[object] = []

    async def counted(address: Address, **rest: Any) -> Any:
        tried.append(address)
        return await connect(address, **rest)

    monkeypatch.setattr(store_module, "connect", counted)
    monkeypatch.setattr(store_module, "BACK_OFF_S_MAX", 0.1)
    with valkey_own() as (_, valkey):
        store = Store(valkey.url())
        await store.start()
        await asyncio.sleep(0.15)
        valkey.stop()
        await until(lambda: not store.is_up)
        await asyncio.sleep(0.5)
        assert 2 <= len(tried) < 15
        valkey.start()
        await until(lambda: store.is_up)
        await store.close()


async def test_behind_a_command_that_may_take_longer_nobody_waits_longer_than_was_promised(valkey: Any) -> None:
    store = Store(os.environ["VALKEY_URL"], deadline_ms=50)
    await store.start()
    patient = store.send_within(20, "BLPOP", "nothing:ever", "1")
    with pytest.raises(StoreDown):
        await store.call("GET", "a")
    assert not patient.done()
    assert await patient is None  # the connection is still good
    assert await store.call("SET", "a", "1") == b"OK"
    await store.close()
