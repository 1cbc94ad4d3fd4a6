"""The directory on a real Valkey: known callers from the cache, revoked ones gone by push, also when pushes die in silence."""

import asyncio
import json
import os
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import UUID, uuid4

import pytest

from gateway.dataplane.directory import Entry
from gateway.dataplane.resp import StoreDown
from gateway.dataplane.subscriber import Subscriber
from marketplace.contracts.limits import Limits, QuotaLimit
from marketplace.core.secrets import KeyRing
from tests.gateway.state.parts import API, APP, ORGANIZATION, Worker, generation_set, grant_dict, workers
from tests.harness import TEST_SECRETS
from tests.servers import ROOT
from tests.waiting import until

pytestmark = pytest.mark.asyncio
CODE = "c" * 64
GRANT = UUID(int=77)
QUOTA = QuotaLimit(units=50, window="day")


def publish(
    valkey: Any, *, limits: Limits | None = None, key: str = f"tg:dir:code:{CODE}", secret: str = "", app: UUID = APP
) -> None:
    """Write an entry as gateway.services.directory does."""
    entry = {
        "app_id": str(app),
        "app_name": "Bob's app",
        "organization_id": str(ORGANIZATION),
        "organization_name": "Bob Shop",
        "suspended": False,
        "credential_id": str(uuid4()),
        "kind": "key_pair" if secret else "app_code",
        "secret": secret,
        "expires_at": None,
        "grants": [grant_dict(GRANT, limits)],
    }
    valkey.set(key, json.dumps(entry))
    valkey.set("tg:dir:complete", "1")
    valkey.publish("tg:invalidate", f"app:{app}")


def revoke(valkey: Any) -> None:
    valkey.delete(f"tg:dir:code:{CODE}")
    valkey.publish("tg:invalidate", f"app:{APP}")


async def loaded(worker: Worker) -> Entry:
    entry = await worker.directory.load_by_code(CODE)
    assert entry is not None
    return entry


async def is_revoked(worker: Worker) -> bool:
    return worker.directory.cached_by_code(CODE) is None and await worker.directory.load_by_code(CODE) is None


async def test_a_known_caller_is_answered_from_the_cache_without_asking(tmp_path: Path, valkey: Any) -> None:
    publish(valkey)
    async with workers(tmp_path, 1) as (worker,):
        await until(lambda: worker.subscriber.is_live)
        entry = await loaded(worker)
        asked = worker.store.commands
        assert all(worker.directory.cached_by_code(CODE) is entry for _ in range(100))
        assert worker.store.commands == asked
        assert entry.grants[str(API), "release"].journal_prefix == GRANT.bytes + APP.bytes


async def test_many_calls_of_a_caller_that_is_not_cached_cost_one_look_up(tmp_path: Path, valkey: Any) -> None:
    publish(valkey)
    async with workers(tmp_path, 1) as (worker,):
        entries = await asyncio.gather(*(worker.directory.load_by_code(CODE) for _ in range(50)))
        assert entries[0] is not None and set(entries) == {entries[0]}
        assert worker.directory.misses == 1


async def test_a_revoked_credential_is_refused_after_the_push(tmp_path: Path, valkey: Any) -> None:
    publish(valkey)
    async with workers(tmp_path, 2) as crew:
        for worker in crew:
            await until(lambda worker=worker: worker.subscriber.is_live)  # type: ignore[misc]
            await loaded(worker)
        revoke(valkey)
        for worker in crew:
            await until(lambda worker=worker: worker.directory.cached_by_code(CODE) is None)  # type: ignore[misc]
            assert await is_revoked(worker)


class Proxy:
    """Stands between a subscriber and Valkey; when frozen it keeps connections open and passes nothing on."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.is_frozen = False
        self._server: asyncio.Server | None = None
        self._pumps: set[asyncio.Task[None]] = set()

    async def start(self) -> str:
        parts = urlsplit(os.environ["VALKEY_URL"])
        self._server = await asyncio.start_unix_server(lambda r, w: self._serve(r, w, parts.path), str(self.path))
        return f"unix://{self.path}?db={parse_qs(parts.query)['db'][0]}"

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, target: str) -> None:
        up_reader, up_writer = await asyncio.open_unix_connection(target)
        is_old = not self.is_frozen
        for source, sink in ((reader, up_writer), (up_reader, writer)):
            self._pumps.add(asyncio.create_task(self._pump(source, sink, is_old=is_old)))

    async def _pump(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, *, is_old: bool) -> None:
        try:
            while data := await source.read(65_536):
                if self.is_frozen and is_old:
                    await asyncio.sleep(3600)
                sink.write(data)
        finally:
            sink.close()

    async def stop(self) -> None:
        assert self._server is not None
        self._server.close()
        for pump in self._pumps:
            pump.cancel()
        await asyncio.gather(*self._pumps, return_exceptions=True)
        await asyncio.sleep(0.01)


async def test_a_revoke_works_although_the_subscription_died_in_silence(tmp_path: Path, valkey: Any) -> None:
    publish(valkey)
    proxy = Proxy(tmp_path / "p.sock")
    url = await proxy.start()
    worker = Worker(tmp_path)
    worker.subscriber = Subscriber(url)
    await worker.start()
    try:
        await until(lambda: worker.subscriber.is_live)
        await loaded(worker)
        proxy.is_frozen = True  # no end of the connection, no error: just nothing any more
        revoke(valkey)
        assert worker.directory.cached_by_code(CODE) is not None
        await until(lambda: worker.directory.cached_by_code(CODE) is None, within_s=6)
        assert await is_revoked(worker)
    finally:
        await worker.close()
        await proxy.stop()


async def test_a_raised_quota_is_in_force_after_the_push_for_every_credential_of_the_grant(
    tmp_path: Path, valkey: Any
) -> None:
    generation_set(valkey)
    publish(valkey, limits=Limits(plan_name="Basic", quota=QUOTA))
    async with workers(tmp_path, 1) as (worker,):
        await until(lambda: worker.subscriber.is_live)
        quota = (await loaded(worker)).grants[str(API), "release"].quota
        assert quota is not None and quota.bucket.units == 50
        publish(valkey, limits=Limits(plan_name="Plus", quota=replace(QUOTA, units=80)))
        await until(lambda: worker.directory.cached_by_code(CODE) is None)
        again = (await loaded(worker)).grants[str(API), "release"].quota
        assert again is quota and quota.bucket.units == 80 and quota.plan_name == "Plus"


async def test_an_unknown_credential_is_remembered_as_such_and_forgotten_when_its_app_is_published(
    tmp_path: Path, valkey: Any
) -> None:
    valkey.set("tg:dir:complete", "1")
    async with workers(tmp_path, 1) as (worker,):
        await until(lambda: worker.subscriber.is_live)
        for _ in range(20):
            assert await worker.directory.load_by_code(CODE) is None
        assert worker.directory.misses == 1
        publish(valkey)
        await until(lambda: worker.directory.invalidations >= 2)
        await loaded(worker)


async def test_known_callers_work_on_while_valkey_is_down_or_being_refilled(tmp_path: Path, valkey: Any) -> None:
    publish(valkey)
    async with workers(tmp_path, 1) as (worker,):
        entry = await loaded(worker)
        valkey.flushdb()
        worker.directory.revalidate()
        assert await worker.directory.load_by_code(CODE) is entry
        with pytest.raises(StoreDown):
            await worker.directory.load_by_code("d" * 64)
        await worker.store.close()
        assert await worker.directory.load_by_code(CODE) is entry
        with pytest.raises(StoreDown):
            await worker.directory.load_by_code("d" * 64)


async def test_a_signing_secret_is_decrypted_once_and_a_broken_entry_is_counted(tmp_path: Path, valkey: Any) -> None:
    ring = KeyRing.parse(TEST_SECRETS["TOLLGATE_SECRET_KEYS"])
    publish(valkey, key="tg:dir:key:tgk_bob", secret=ring.encrypt("tgs_secret"))
    publish(valkey, key="tg:dir:key:tgk_bad", secret="other:gAAAA")
    async with workers(tmp_path, 1) as (worker,):
        entry = await worker.directory.load_by_key("tgk_bob")
        assert entry is not None and entry.secret == b"tgs_secret"
        assert await worker.directory.load_by_key("tgk_bad") is None
        assert worker.directory.faults == 1


MEMORY = """
import asyncio, sys, tempfile
from pathlib import Path
import psutil
from tests.gateway.state.parts import workers

async def main():
    async with workers(Path(tempfile.mkdtemp()), 1) as (worker,):
        before = psutil.Process().memory_info().rss
        for start in range(0, 10_000, 100):
            loads = [worker.directory.load_by_code(f"{number:064d}") for number in range(start, start + 100)]
            for entry in await asyncio.gather(*loads):
                handle = next(iter(entry.grants.values())).quota
                assert await worker.call(handle) is not None
        print((psutil.Process().memory_info().rss - before) >> 20)

asyncio.run(main())
"""
WORKER_ENTRIES_MB_MAX = 75
"""A worker takes about 45 MB without apps; 120 MB is the limit with 10,000 of them."""


async def test_ten_thousand_apps_in_use_fit_into_a_worker(valkey: Any) -> None:
    generation_set(valkey)
    pipe = valkey.pipeline()
    for number in range(10_000):
        grant = {**grant_dict(UUID(int=10**6 + number)), "limits": asdict(Limits(plan_name="Basic", quota=QUOTA))}
        entry = {
            "app_id": str(UUID(int=2 * 10**6 + number)),
            "app_name": f"App {number}",
            "organization_id": str(UUID(int=3 * 10**6 + number)),
            "organization_name": f"Organization {number}",
            "suspended": False,
            "credential_id": str(UUID(int=4 * 10**6 + number)),
            "kind": "app_code",
            "secret": "",
            "expires_at": None,
            "grants": [grant],
        }
        pipe.set(f"tg:dir:code:{number:064d}", json.dumps(entry))
    pipe.set("tg:dir:complete", "1")
    pipe.execute()
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    argv = [sys.executable, "-c", MEMORY]
    done = await asyncio.to_thread(
        subprocess.run, argv, cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert int(done.stdout) < WORKER_ENTRIES_MB_MAX
