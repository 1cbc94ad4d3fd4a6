"""New snapshots: other calls go on while one is compiled, one bad Api costs nobody else anything, what is gone is let go."""

from __future__ import annotations

import asyncio
import gc
import json
import time
import weakref
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from types import FunctionType
from typing import Any

import pytest
import redis

from gateway.dataplane.call import Call
from gateway.dataplane.settings import settings_read
from gateway.dataplane.snapshot import (
    ROUTES_PER_TURN,
    Route,
    Snapshot,
    snapshot_checksum,
    snapshot_compile,
    snapshot_empty,
)
from gateway.dataplane.snapshot_source import SnapshotSource
from gateway.dataplane.worker import Worker
from marketplace.contracts.definition import ApiDefinition, UpstreamDefinition
from marketplace.contracts.limits import RateLimit
from tests import harness
from tests.gateway.http.stand import METHODS, Stand, api, apis_of, request, standing, status_of
from tests.waiting import eventually

SEEN_S_MAX = 10.0


def document(apis: list[Any], *, version: int) -> dict[str, Any]:
    """The published form of these definitions."""
    values = json.loads(json.dumps([asdict(item) if isinstance(item, ApiDefinition) else item for item in apis]))
    return {"version": version, "checksum": snapshot_checksum(values), "apis": values}


@pytest.fixture
def worker() -> Iterator[Worker]:
    """A worker that is not running; its store is not there."""
    folder = harness.folder_make()
    made: list[Worker] = []

    async def make() -> None:
        made.append(Worker(settings_read({"TOLLGATE_VAR": str(folder), "VALKEY_URL": f"unix://{folder}/none"}), 0))

    asyncio.run(make())
    yield made[0]


def load(worker: Worker, path: Path, apis: list[Any], *, version: int) -> SnapshotSource:
    """Give the worker a snapshot by the disk."""
    path.write_text(json.dumps(document(apis, version=version)))

    async def run() -> SnapshotSource:
        source = SnapshotSource(
            worker.plane.store, path, compile_steps=worker.compile_steps, install=worker.source._install
        )
        await source.load_from_disk()
        return source

    return asyncio.run(run())


def test_calls_get_their_turn_while_a_large_snapshot_is_compiled() -> None:
    turn = 0
    turns: list[int] = []

    def compile_steps(route: Route) -> tuple[()]:
        turns.append(turn)
        return ()

    async def run() -> Snapshot:
        async def others() -> None:
            nonlocal turn
            while True:
                turn += 1
                await asyncio.sleep(0)

        task = asyncio.create_task(others())
        try:
            apis = [api(number, f"/a{number}", "http://127.0.0.1:9") for number in range(1, 60)]
            return await snapshot_compile(document(apis, version=1), compile_steps, before=snapshot_empty())
        finally:
            task.cancel()

    assert len(asyncio.run(run()).routes) == 59 * len(METHODS)
    assert max(turns.count(one) for one in turns) <= ROUTES_PER_TURN


def test_upstreams_that_no_route_names_any_more_are_let_go(worker: Worker, tmp_path: Path) -> None:
    for version in range(1, 20):
        again = api(1, "/shop", "https://alice.example", timeout_ms=1_000 + version)
        load(worker, tmp_path / "snapshot.json", [again], version=version)
        worker.plane.upstreams.sweep(time.monotonic())
    assert len(worker.plane.upstreams.pools) == 1


@pytest.mark.parametrize(
    "spoil", [lambda api: api["operations"][0].update(method=None), lambda api: api.pop("upstream")]
)
def test_an_api_that_cannot_be_compiled_keeps_its_definition_before_and_costs_no_other(
    spoil: Callable[[dict[str, Any]], object],
) -> None:
    async def run() -> Snapshot:
        before = await snapshot_compile(
            document([api(1, "/one", "http://a.example"), api(2, "/two", "http://b.example")], version=1),
            lambda route: (),
            before=snapshot_empty(),
        )
        value = document([api(1, "/uno", "http://a.example"), [], api(2, "/due", "http://b.example")], version=2)
        spoil(value["apis"][0])
        return await snapshot_compile(value, lambda route: (), before=before)

    snapshot = asyncio.run(run())
    assert snapshot.match("release", "GET", b"/one/x")[0].api_name == "one"
    assert snapshot.match("release", "GET", b"/due/x")[0].api_name == "due"
    assert ["before stays" in text for text in snapshot.conflicts] == [True, False]


def test_snapshots_of_no_known_shape_do_not_keep_the_next_good_one_from_being_loaded() -> None:
    with standing() as stand:
        good = document(apis_of(stand.upstream), version=5)
        for version, shape in enumerate(
            ({"version": 2}, [], {**good, "apis": None}, {**good, "version": None}), start=2
        ):
            push(stand, json.dumps(shape), version=version)
        renamed = [{**item, "base_path": "/renamed"} for item in good["apis"][:1]]
        push(stand, json.dumps(document([*renamed, []], version=6)), version=6)
        assert eventually(lambda: status_of(stand.send(request(b"GET /renamed/x"))) == 200, within_s=SEEN_S_MAX)
        told = eventually(
            lambda: 'conflicts{worker="0"} 1' in (text := stand.metrics()) and "snapshot_faults_total 0\n" not in text,
            within_s=SEEN_S_MAX,
        )
        assert told, stand.metrics()


def push(stand: Stand, text: str, *, version: int) -> None:
    """Publish whatever ``text`` is, and leave the gateway some time to look at it."""
    with redis.Redis(unix_socket_path=str(stand.valkey.socket)) as client:
        client.set("tg:snapshot", text)
        client.set("tg:snapshot:version", version)
        client.publish("tg:invalidate", f"snapshot:{version}")
    time.sleep(0.15)


def test_a_replaced_snapshot_goes_at_once_and_waits_for_no_collector_of_garbage(worker: Worker, tmp_path: Path) -> None:
    rates = {"rate_api": RateLimit(calls=10, period_s=1), "nonce_required": True}
    load(worker, tmp_path / "snapshot.json", [api(1, "/shop", "http://alice.example", **rates)], version=1)
    steps = [step for route in worker.plane.snapshot.routes for step in route.steps]
    kept = [weakref.ref(step) for step in steps if isinstance(step, FunctionType) and step.__closure__]
    del steps
    gc.disable()
    try:
        load(worker, tmp_path / "snapshot.json", [], version=2)
        assert kept
        assert [ref() for ref in kept if ref() is not None] == []
    finally:
        gc.enable()


def test_pools_of_one_address_are_shown_together_and_their_retries_stay_counted(worker: Worker) -> None:
    upstreams, metrics = worker.plane.upstreams, worker.metrics
    url = "http://alice.example"
    pools = [upstreams.pool(UpstreamDefinition(url, timeout_ms=timeout_ms)) for timeout_ms in (1_000, 2_000)]
    for pool in pools:
        call = Call()
        call.outcome, call.waiting_since = "", 0.0
        pool.waiting.append(call)
        pool.retries = 3
    for _ in range(2):
        assert metrics.upstreams_report(upstreams.pools) == {url: [0, 0, 2]}
        assert metrics.upstream_retries == 6
    pools[0].waiting.clear()
    upstreams.retain({UpstreamDefinition(url, timeout_ms=2_000)})
    upstreams.sweep(0.0)
    assert metrics.upstreams_report(upstreams.pools) == {url: [0, 0, 1]}
    assert metrics.upstream_retries == 6
