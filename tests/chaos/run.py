"""One chaos run: load through two gateway workers while a random process is killed about every second; then the comparison by request id.

What must hold afterwards: every answered call is in the evidence exactly once; nothing is in it twice; what is billed without an
answer was in flight when something was killed; and evidence, tallies, usage records and the invoice agree to the unit.
"""

import asyncio
import gzip
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import uvloop

from marketplace.contracts.segment import COUNTED_KINDS, event_build, sealed_read
from marketplace.contracts.usage import UsageEvent
from tests import servers
from tests.chaos.load import Client, request, upstream_start

WORKERS = 2
CLIENTS = 12
PAUSE_S = 0.004
KILL_EVERY_S = (0.6, 1.4)
FLIGHT_S = 1.0
"""A call whose answer nobody read must have been under way this close to a worker's killing (the machine may be busy)."""
SETTLE_S_MAX = 60.0
COUNT_S_MAX = 120


@dataclass
class Seen:
    """What the clients and the killer saw. Times are Unix seconds."""

    answered: dict[str, int] = field(default_factory=dict)
    twice: list[str] = field(default_factory=list)
    lost: list[float] = field(default_factory=list)
    kills: list[tuple[float, float, str]] = field(default_factory=list)


@dataclass
class Result:
    """The numbers of a run, and what is wrong with them (nothing, one hopes)."""

    numbers: dict[str, Any]
    faults: list[str]


class Stage:
    """The processes of a run, and how each of them is killed and comes back."""

    def __init__(self, stack: ExitStack, upstream_port: int) -> None:
        self.stores = stack.enter_context(servers.stores())
        self.environment = {**self.stores.environment, "TOLLGATE_SEAL_S": "0.5"}
        self.world = program_run(self.environment, "make", f"http://127.0.0.1:{upstream_port}")
        self.gateway = stack.enter_context(servers.gateway(self.environment, workers=WORKERS))
        self.shipper = stack.enter_context(servers.shipper(self.environment))
        self.celery = stack.enter_context(servers.celery_worker(self.environment, with_beat=True))
        self.port = int(self.gateway.url.rpartition(":")[2])

    def victims(self) -> dict[str, Callable[[], None]]:
        """Name → kill it with SIGKILL and, unless somebody else does, start it again."""
        return {
            "gateway worker": self._worker_kill,
            "shipper": lambda: self._program_kill(self.shipper),
            "celery": lambda: self._program_kill(self.celery),
            "postgres": lambda: self._store_kill(self.stores.postgres),
            "valkey": lambda: self._store_kill(self.stores.valkey),
        }

    def _worker_kill(self) -> None:
        workers = psutil.Process(self.gateway.pid).children()
        if workers:
            random.choice(workers).send_signal(signal.SIGKILL)

    def _program_kill(self, program: servers.Program) -> None:
        program.kill()
        program.start()

    def _store_kill(self, store: Any) -> None:
        store.kill()
        store.start()

    def journal_is_empty(self) -> bool:
        """Whether everything is shipped."""
        return not any(Path(self.environment["TOLLGATE_JOURNAL_DIR"]).glob("*/[0-9]*"))

    def evidence(self) -> list[UsageEvent]:
        """Every call in the evidence."""
        events = []
        for path in Path(self.environment["TOLLGATE_EVIDENCE_DIR"]).glob("*/*/*.seg.gz"):
            reader, records = sealed_read(gzip.decompress(path.read_bytes()))
            events += [event_build(raw, reader.header) for raw in records if raw.kind in COUNTED_KINDS]
        return events


def program_run(environment: Mapping[str, str], *arguments: str) -> dict[str, Any]:
    """Run tests.chaos.world and return what it says."""
    argv = [sys.executable, "-m", "tests.chaos.world", *arguments]
    done = subprocess.run(
        argv, cwd=servers.ROOT, env=environment, capture_output=True, text=True, timeout=COUNT_S_MAX, check=False
    )
    if done.returncode != 0:
        raise AssertionError(f"{argv}: {done.stderr[-4000:]}")
    return dict(json.loads(done.stdout.strip().splitlines()[-1]))


async def clients_run(stage: Stage, seen: Seen, *, seconds: float) -> None:
    """Call without pause: most calls are small, some stream, some fail upstream."""
    until = time.monotonic() + seconds
    code = stage.world["app_code"]
    small, stream, fail = (request(f"/chaos{path}", code) for path in ("/now", "/stream", "/fail"))

    def ask() -> bytes | None:
        if time.monotonic() > until:
            return None
        chance = random.random()
        return stream if chance < 0.01 else fail if chance < 0.05 else small

    def answered(status: int, request_id: bytes, sent_at: float) -> float:
        name = request_id.decode()
        if name in seen.answered:
            seen.twice.append(name)
        seen.answered[name] = status
        return PAUSE_S

    def lost(sent_at: float, head: bytes) -> None:
        seen.lost.append(sent_at)

    await asyncio.gather(*(Client(stage.port, ask=ask, answered=answered, lost=lost).run() for _ in range(CLIENTS)))


async def killer_run(stage: Stage, seen: Seen, *, seconds: float) -> None:
    """Kill somebody, let it come back, wait a moment, again."""
    until = time.monotonic() + seconds - 2
    victims = stage.victims()
    while time.monotonic() < until:
        name = random.choice(list(victims))
        began = time.time()
        await asyncio.to_thread(victims[name])
        seen.kills.append((began, time.time(), name))
        await asyncio.sleep(random.uniform(*KILL_EVERY_S))


async def run(stack: ExitStack, *, seconds: float) -> Result:
    """Set the stage, load and kill, let it settle, compare."""
    server, upstream_port = await upstream_start()
    stack.callback(server.close)
    stage, seen = Stage(stack, upstream_port), Seen()
    await asyncio.gather(clients_run(stage, seen, seconds=seconds), killer_run(stage, seen, seconds=seconds))
    await asyncio.to_thread(stage.gateway.stop)
    deadline = time.monotonic() + SETTLE_S_MAX
    while not stage.journal_is_empty() and time.monotonic() < deadline:
        await asyncio.sleep(0.1)
    counted = await asyncio.to_thread(program_run, stage.environment, "count", stage.world["grant_id"])
    return compare(seen, stage.evidence(), counted, is_settled=stage.journal_is_empty())


def compare(seen: Seen, events: list[UsageEvent], counted: dict[str, Any], *, is_settled: bool) -> Result:
    """Every promise as a sentence when it is broken."""
    faults = [] if is_settled else ["the journal was not shipped in time"]
    recorded = Counter(str(event.id) for event in events)
    good = {name for name, status in seen.answered.items() if status in (200, 500)}
    missing = sorted(good - recorded.keys())
    repeated = sorted(name for name, times in recorded.items() if times > 1)
    ghosts = [event for event in events if str(event.id) not in seen.answered]
    unexplained = unexplained_find(ghosts, seen)
    units = sum(event.units for event in events)
    if missing:
        faults.append(f"{len(missing)} answered calls are not in the evidence, such as {missing[0]}")
    if repeated:
        faults.append(f"{len(repeated)} calls are in the evidence twice, such as {repeated[0]}")
    if seen.twice:
        faults.append(f"{len(seen.twice)} request ids were answered twice")
    if unexplained:
        faults.append(
            f"{len(unexplained)} billed calls without an answer were not in flight at a kill: {unexplained[0]}"
        )
    sums = [units, counted["units"], counted["records"], int(float(counted["lines"]))]
    if len(set(sums)) != 1 or counted["calls"] != len(events):
        faults.append(
            f"units in evidence, tallies, records and lines differ: {sums}, calls {len(events)} {counted['calls']}"
        )
    faults += [f"closing: {fault}" for fault in counted["faults"]]
    numbers = {
        "answered": dict(Counter(seen.answered.values())),
        "lost": len(seen.lost),
        "kills": dict(Counter(name for *_, name in seen.kills)),
        "events": len(events),
        "ghosts": len(ghosts),
        **counted,
    }
    return Result(numbers, faults)


def unexplained_find(ghosts: list[UsageEvent], seen: Seen) -> list[UsageEvent]:
    """Those billed calls without an answer that no client lost, or that were not under way when a gateway worker was killed."""
    lost, kills = sorted(seen.lost), [kill for kill in seen.kills if kill[2] == "gateway worker"]
    unexplained = []
    for event in sorted(ghosts, key=lambda event: event.finished_at_us):
        finished = event.finished_at_us / 1e6
        started = finished - event.latency_us / 1e6
        mine = next((at for at in lost if abs(at - started) < FLIGHT_S), None)
        if mine is None or not any(began <= finished + FLIGHT_S and started <= ended for began, ended, _ in kills):
            unexplained.append(event)
        else:
            lost.remove(mine)  # one lost call explains one event
    return unexplained


def chaos(seconds: float) -> Result:
    """Run it all; the processes are gone afterwards."""
    random.seed(int(os.environ.get("TOLLGATE_CHAOS_SEED", time.time_ns())))

    async def story() -> Result:
        with ExitStack() as stack:
            return await run(stack, seconds=seconds)

    return uvloop.run(story())
