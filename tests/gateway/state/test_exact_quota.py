"""The hard quota over real processes: 64 clients, 4 workers, 10,000 units: exactly 10,000 succeed, also when a worker is killed."""

import asyncio
import os
import random
import signal
import time
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import pytest
import redis
import uvloop

from config.embedded.valkey import Valkey
from marketplace.contracts.definition import ApiPolicies
from marketplace.contracts.limits import Limits, QuotaLimit
from tests import servers
from tests.chaos.load import Client, request, upstream_start
from tests.gateway.state.seeding import Bob, publish, valkey_own

LIMIT = 10_000
CLIENTS, WORKERS = 64, 4
RUNS = int(os.environ.get("TOLLGATE_QUOTA_RUNS", "20"))
REFUSED_PAUSE_S = 0.05
PERSISTENT_S = 1.5
"""Clients stop when every answer of this long was a refusal; after a kill only when the stranded units had time to return."""
RECOVERED_S = 10.0
ROUND_TRIPS_MAX = 0.02


@dataclass
class Run:
    """What the clients of one run saw."""

    answered: int = 0
    refused: int = 0
    odd: list[int] = field(default_factory=list)
    lost: int = 0
    last_good_at: float = field(default_factory=time.monotonic)
    killed_at: float = 0.0


def bob_of(run: int) -> Bob:
    """Each run has an app with a quota of its own."""
    return Bob(run, Limits(plan_name="Basic", quota=QuotaLimit(units=LIMIT, window="month")), path="weather")


async def clients_run(port: int, run: int, *, kill: psutil.Process | None) -> Run:
    """All clients call until refusals persist; in the middle of it a random worker may be killed."""
    seen, call = Run(), request("/weather/now", bob_of(run).code)
    kill_after = random.Random(run).randint(1_000, LIMIT - 1_000)

    def ask() -> bytes | None:
        patience_s = RECOVERED_S if seen.killed_at else PERSISTENT_S
        since = max(seen.last_good_at, seen.killed_at)
        done = seen.answered == LIMIT and time.monotonic() - since > PERSISTENT_S
        return None if done or time.monotonic() - since > patience_s else call

    def answered(status: int, request_id: bytes, sent_at: float) -> float:
        if status == 200:
            seen.answered += 1
            seen.last_good_at = time.monotonic()
            if kill is not None and not seen.killed_at and seen.answered >= kill_after:
                seen.killed_at = time.monotonic()
                random.Random(run).choice(kill.children()).send_signal(signal.SIGKILL)
            return 0.0
        if status == 403:
            seen.refused += 1
        else:
            seen.odd.append(status)
        return REFUSED_PAUSE_S

    def lost(sent_at: float, head: bytes) -> None:
        seen.lost += 1

    await asyncio.gather(*(Client(port, ask=ask, answered=answered, lost=lost).run() for _ in range(CLIENTS)))
    return seen


def round_trips(metrics_url: str) -> float:
    """All leases and reports of all workers, those that were killed included."""
    with urllib.request.urlopen(f"{metrics_url}/metrics", timeout=5) as answer:
        lines = answer.read().decode().splitlines()
    return sum(float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith("tollgate_lease_round_trips_total"))


@pytest.mark.slow
def test_exactly_the_quota_succeeds_over_four_workers_also_when_one_is_killed() -> None:
    async def story(folder: Path, valkey: Valkey) -> None:
        server, upstream_port = await upstream_start()
        try:
            await runs(folder, valkey, upstream_port)
        finally:
            server.close()

    async def runs(folder: Path, valkey: Valkey, upstream_port: int) -> None:
        url = f"http://127.0.0.1:{upstream_port}"
        publish(valkey, {"weather": ApiPolicies()}, [bob_of(run) for run in range(RUNS)], upstream_url=url)
        environment = servers.environment_make(
            var=folder / "var", database_url="postgresql://nobody@127.0.0.1:9/none", valkey_url=valkey.url()
        )
        with servers.gateway(environment, workers=WORKERS) as gateway, servers.shipper(environment):
            port, master = int(gateway.url.rpartition(":")[2]), psutil.Process(gateway.pid)
            store = redis.Redis(unix_socket_path=str(valkey.socket), decode_responses=True)
            for run in range(RUNS):
                is_killing = run % 2 == 1
                seen = await clients_run(port, run, kill=master if is_killing else None)
                (key,) = store.scan_iter(match=f"tg:q:{{{bob_of(run).grant_id.hex}}}:*")
                used = int(store.hget(key, "u") or 0)
                print(
                    f"run {run}: {seen.answered} answered, {seen.refused} refused, {seen.lost} lost, {len(seen.odd)} busy, {used} used"
                )
                assert set(seen.odd) <= {503}, (
                    f"run {run}: answers other than 200, 403 and a busy store: {set(seen.odd)}"
                )
                assert used == LIMIT
                assert LIMIT - seen.lost <= seen.answered <= LIMIT
                assert seen.lost == 0 or is_killing
            store.close()
            assert await asyncio.to_thread(round_trips, gateway.metrics_url) < ROUND_TRIPS_MAX * RUNS * LIMIT

    with valkey_own() as (folder, valkey):
        uvloop.run(story(folder, valkey))
