"""The whole of `up` on a fresh folder: the curl line works, what is killed comes back, Ctrl-C leaves nothing."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from config.embedded import places
from tests import harness
from tests.servers import ROOT, port_free

UP_S_MAX = 120.0
BACK_S_MAX = 60.0
RUN = [sys.executable, "-m", "config.runtime"]
PROCESSES = {"postgres", "valkey", "gateway", "portal", "shipper", "worker", "beat", "upstream"}


class Up:
    """`python -m config.runtime` with a var folder and ports of its own."""

    def __init__(self, folder: Path) -> None:
        self.var = folder / "var"
        binds = (
            "TOLLGATE_PORTAL_BIND",
            "TOLLGATE_GATEWAY_BIND",
            "TOLLGATE_GATEWAY_METRICS_BIND",
            "TOLLGATE_UPSTREAM_BIND",
        )
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR") if name in os.environ}
        self.environment = {
            **kept,
            **{name: f"127.0.0.1:{port_free()}" for name in binds},
            "TOLLGATE_VAR": str(self.var),
            "TOLLGATE_GATEWAY_WORKERS": "1",
        }
        self.said = folder / "said.txt"
        self.process: subprocess.Popen[bytes] | None = None

    def begin(self) -> None:
        with self.said.open("wb") as output:
            self.process = subprocess.Popen(
                RUN, cwd=ROOT, env=self.environment, stdout=output, stderr=subprocess.STDOUT
            )

    def start(self) -> None:
        self.begin()
        self.eventually(lambda: "Tollgate is running" in self.output(), UP_S_MAX)

    def stop(self) -> None:
        """Ctrl-C, an orderly end, and nothing left behind: no process, no socket, no note of what ran."""
        assert self.process is not None
        family = self.family()
        self.process.send_signal(signal.SIGINT)
        assert self.process.wait(60) == 0, self.output()
        assert self.output().endswith("Stopped.\n") and "Traceback" not in self.output()
        assert not [process for process in family if process.is_running() and process.status() != psutil.STATUS_ZOMBIE]
        sockets = [places.valkey_socket(places.valkey_home(self.var))]
        sockets += places.postgres_socket_folder(places.postgres_home(self.var)).glob(".s.PGSQL*")
        assert not [path for path in sockets if path.exists()]
        assert not list((self.var / "run").glob("*.json")) and not (self.var / "running.json").exists()

    def output(self) -> str:
        return self.said.read_text()

    def eventually(self, claim: Callable[[], bool], within_s: float = BACK_S_MAX) -> None:
        deadline = time.monotonic() + within_s
        while not claim():
            assert self.process is not None
            assert self.process.poll() is None, self.output()
            assert time.monotonic() < deadline, self.output()
            time.sleep(0.1)

    def pids(self) -> dict[str, int]:
        found = {}
        for note in (self.var / "run").glob("*.json"):
            with contextlib.suppress(FileNotFoundError):  # its process has just ended
                found[note.stem] = int(json.loads(note.read_text())["pid"])
        return found

    def family(self) -> list[psutil.Process]:
        assert self.process is not None
        return psutil.Process(self.process.pid).children(recursive=True)

    def demo(self, **other: str) -> dict[str, Any]:
        """What the command prints, with an environment that may differ from the one that runs."""
        argv = [sys.executable, "manage.py", "demo", "--json"]
        done = subprocess.run(argv, cwd=ROOT, env={**self.environment, **other}, capture_output=True, check=True)
        found: dict[str, Any] = json.loads(done.stdout)
        return found

    def call(self, demo: dict[str, Any]) -> int:
        path = demo["api"]["operations"][0]["path"].replace("{city}", "Oslo")
        request = urllib.request.Request(f"{demo['gateway_url']}{demo['api']['base_path']}{path}")
        request.add_header("Authorization", f"APPCODE {demo['consumer_app']['app_code']}")
        try:
            with urllib.request.urlopen(request, timeout=5) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as refusal:
            return refusal.code
        except OSError:
            return 0


@pytest.fixture
def up() -> Iterator[Up]:
    folder = harness.folder_make()
    one = Up(folder)
    yield one
    if one.process is not None and one.process.poll() is None:
        one.process.kill()
        one.process.wait()
    argv = [sys.executable, "-m", "config.reset"]
    subprocess.run(argv, cwd=ROOT, env=one.environment, capture_output=True)
    one.said.unlink(missing_ok=True)
    folder.rmdir()


@pytest.mark.slow
def test_ctrl_c_while_migrating_leaves_nothing_and_the_next_start_goes_on_and_a_second_one_is_refused(up: Up) -> None:
    up.begin()
    up.eventually(lambda: any("prepare" in process.cmdline() for process in up.family()), UP_S_MAX)
    up.stop()
    assert not (up.var / "demo.json").exists()

    up.start()
    second = subprocess.run(RUN, cwd=ROOT, env=up.environment, capture_output=True, text=True)
    assert up.process is not None
    assert second.returncode == 1 and "Traceback" not in second.stdout + second.stderr
    assert (
        f"Tollgate already runs here as process {up.process.pid}. Stop it first: kill {up.process.pid}" in second.stdout
    )

    elsewhere = {name: f"127.0.0.1:{port_free()}" for name in ("TOLLGATE_PORTAL_BIND", "TOLLGATE_GATEWAY_BIND")}
    demo = up.demo(**elsewhere)
    assert demo == up.demo() and up.call(demo) == 200
    assert demo["gateway_url"] == f"http://{up.environment['TOLLGATE_GATEWAY_BIND']}"
    up.stop()
    assert (
        up.demo(**elsewhere)["gateway_url"] == f"http://{elsewhere['TOLLGATE_GATEWAY_BIND']}"
    )  # nothing runs any more


@pytest.mark.slow
def test_up_serves_the_curl_line_brings_back_the_dead_and_leaves_nothing(up: Up) -> None:
    up.start()
    demo = up.demo()
    assert set(demo) == {"portal_url", "gateway_url", "gateway_tls_url", "people", "consumer_app", "api"}
    assert set(demo["people"]) == {"provider", "consumer", "finance", "operator"}
    assert set(demo["consumer_app"]) == {"app_key", "app_secret", "app_code"}
    assert (up.var / "demo.json").stat().st_mode & 0o777 == 0o600
    assert f"APPCODE {demo['consumer_app']['app_code']}" in up.output()
    assert f"http://{up.environment['TOLLGATE_UPSTREAM_BIND']}" in up.output()
    assert up.call(demo) == 200

    before = up.pids()
    assert set(before) == PROCESSES
    for name in sorted(PROCESSES):
        os.kill(before[name], signal.SIGKILL)
    up.eventually(lambda: set(up.pids()) == PROCESSES and not set(up.pids().values()) & set(before.values()))
    up.eventually(lambda: up.call(demo) == 200)

    up.stop()


def test_a_taken_port_is_named_with_what_to_do(up: Up) -> None:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as holder:
        port = holder.getsockname()[1]
        up.environment["TOLLGATE_GATEWAY_BIND"] = f"127.0.0.1:{port}"
        done = subprocess.run(RUN, cwd=ROOT, env=up.environment, capture_output=True, text=True)
    assert done.returncode == 1
    assert f"127.0.0.1:{port} is taken" in done.stdout
    assert f"TOLLGATE_GATEWAY_BIND=127.0.0.1:{port + 1}" in done.stdout


def test_a_python_that_is_too_old_is_told_so() -> None:
    from config.bootstrap import python_check

    assert "needs Python 3.11" in python_check((3, 9, 2))
    assert python_check(sys.version_info) == ""
