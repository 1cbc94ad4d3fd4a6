"""Work behind the calls: a round that fails is not the last, a task that ends ends its worker, a worker that hangs is replaced."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.dataplane import worker_reports
from gateway.dataplane.__main__ import Master
from gateway.dataplane.background import Background
from gateway.dataplane.settings import settings_read
from gateway.dataplane.worker import Worker
from gateway.dataplane.worker_reports import DEAD_LOOKS, UNREADY_LOOKS, ReportRead, ReportWrite
from tests import harness, servers
from tests.gateway.http.stand import Stand
from tests.waiting import WAIT_S_MAX, until

ROUND_S = 0.001


def test_a_round_that_fails_is_counted_and_the_next_one_comes(caplog: pytest.LogCaptureFixture) -> None:
    rounds = 0

    def act() -> None:
        nonlocal rounds
        rounds += 1
        raise AttributeError("a shape that nobody thought of")

    async def run() -> int:
        background = Background(lambda: None)
        background.every(ROUND_S, act)
        await until(lambda: rounds > 3)
        background.cancel()
        return background.faults

    assert asyncio.run(run()) > 2
    assert len(caplog.records) == 1


def test_one_connection_that_cannot_expire_keeps_no_other_from_it() -> None:
    folder = harness.folder_make()
    expired = []

    class Connection:
        deadline = 0.0

        def expire(self) -> None:
            expired.append(self)
            raise OSError("this socket is odd")

    async def run() -> None:
        worker = Worker(settings_read({"TOLLGATE_VAR": str(folder), "VALKEY_URL": f"unix://{folder}/none"}), 0)
        worker.connections = {Connection(), Connection()}  # type: ignore[arg-type]
        worker._sweep()
        assert worker._background.faults == 2

    asyncio.run(run())
    assert len(expired) == 2


def test_a_background_task_that_ends_all_the_same_ends_the_worker() -> None:
    deaths = []

    async def work() -> None:
        raise RuntimeError("beyond help")

    async def run() -> None:
        background = Background(lambda: deaths.append(1))
        background.start(work())
        await until(lambda: deaths)
        background.start(asyncio.sleep(WAIT_S_MAX))
        background.cancel()

    asyncio.run(run())
    assert deaths == [1]


def test_a_worker_that_says_nothing_is_not_ready_and_then_given_up_but_not_before_it_began() -> None:
    master = ReportRead()
    worker = ReportWrite(master.memory)
    for _ in range(DEAD_LOOKS + 1):
        master.look()
    assert not master.is_silent
    worker.tell({})
    seen = []
    for _ in range(DEAD_LOOKS + 1):
        master.look()
        seen.append((master.is_silent, master.is_dead))
    assert seen.index((True, False)) == UNREADY_LOOKS
    assert seen.index((True, True)) == DEAD_LOOKS
    worker.tell({})
    master.look()
    assert not master.is_silent
    master.close()


def test_the_master_reads_the_newest_report_whole_and_never_one_that_is_half_written() -> None:
    master = ReportRead()
    assert master.read() is None
    worker = ReportWrite(master.memory)
    worker.tell({"long": "x" * 100_000})
    worker.tell({"short": 1})
    assert master.read() == {"short": 1}
    end = os.fstat(master.memory).st_size
    worker.tell({"other": "y" * 10})
    os.pwrite(master.memory, b"?", 30)
    assert master.read() is None
    worker.tell({"whole": 2})
    assert master.read() == {"whole": 2} and os.fstat(master.memory).st_size == end
    master.close()


def test_a_worker_that_nobody_looks_after_tells_nobody() -> None:
    ReportWrite(None).tell({"calls": 1})


@pytest.fixture
def short_looks(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(worker_reports, "LOOK_S", 0.1)
    monkeypatch.setattr(worker_reports, "UNREADY_LOOKS", 20)
    monkeypatch.setattr(worker_reports, "DEAD_LOOKS", 30)
    yield


@pytest.mark.usefixtures("short_looks")
def test_a_worker_that_hangs_is_not_ready_and_is_replaced(
    stand: Stand, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    environment = servers.environment_make(
        var=tmp_path, database_url="postgres://nobody@127.0.0.1:9/none", valkey_url=stand.valkey.url()
    )
    environment["TOLLGATE_GATEWAY_BIND"] = f"127.0.0.1:{servers.port_free()}"
    environment["TOLLGATE_GATEWAY_METRICS_BIND"] = f"127.0.0.1:{servers.port_free()}"
    environment["TOLLGATE_GATEWAY_WORKERS"] = "1"
    for name, value in environment.items():
        monkeypatch.setenv(name, value)

    async def run() -> None:
        master = Master(settings_read(environment))
        serving = asyncio.create_task(master.run())
        await until(lambda: master._route("/readyz")[0].startswith("200"))
        hung = master.workers[0]
        os.kill(hung.pid, signal.SIGSTOP)
        await until(lambda: master._route("/readyz")[0].startswith("503"))
        assert hung.returncode is None
        await until(lambda: hung.returncode == -signal.SIGKILL)
        await until(lambda: master._route("/readyz")[0].startswith("200"))
        assert master.restarts == 1
        master._stopping.set()
        await serving

    asyncio.run(run())
