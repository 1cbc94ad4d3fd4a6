"""Starts the real programs for tests: gateway, shipper, Celery worker, portal, demo upstream; and stores that may be killed.

Every program gets free ports, folders of its own and the environment that it is given; every one is reaped at the end.
"""

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Self

from config.embedded import postgres
from config.embedded.postgres import Postgres
from config.embedded.spawn import child_kill, child_spawn, child_stop
from config.embedded.valkey import Valkey
from tests import harness

ROOT = Path(__file__).resolve().parent.parent
READY_S_MAX = 30.0
POLL_S = 0.03
LOG_CHARACTERS_SHOWN = 4000


def port_free() -> int:
    """A TCP port of the loopback address that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Program:
    """One real process: start, stop, kill, restart, logs. Ready when ``is_ready`` says so."""

    def __init__(
        self,
        *arguments: str,
        name: str,
        environment: Mapping[str, str],
        is_ready: Callable[["Program"], bool] = lambda program: True,
        url: str = "",
        metrics_url: str = "",
    ) -> None:
        self.name = name
        self.argv = [sys.executable, *arguments]
        self.environment = dict(environment)
        self.url = url
        self.metrics_url = metrics_url
        self.log = Path(self.environment["TOLLGATE_VAR"]) / "logs" / f"{name}-{time.monotonic_ns()}.log"
        self.child: subprocess.Popen[bytes] | None = None
        self._is_ready = is_ready

    def start(self) -> Self:
        """Start and wait until ready. Fails with the end of its log when it ends or takes too long."""
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as output:
            self.child = child_spawn(self.argv, env=self.environment, cwd=ROOT, output=output)
        deadline = time.monotonic() + READY_S_MAX
        while not self._is_ready(self):
            if self.child.poll() is not None:
                raise AssertionError(f"{self.name} ended with {self.child.returncode}:\n{self.logs()}")
            if time.monotonic() > deadline:
                said = self.logs()
                self.kill()
                raise AssertionError(f"{self.name} is not ready after {READY_S_MAX:.0f} s:\n{said}")
            time.sleep(POLL_S)
        return self

    def stop(self, *, within_s: float = 15.0) -> int | None:
        """SIGTERM, wait, SIGKILL if it must be. Returns the exit status."""
        if self.child is None:
            return None
        status = child_stop(self.child, within_s=within_s)
        child_kill(self.child)  # whatever the program left in its group
        self.child = None
        return status

    def kill(self) -> None:
        """SIGKILL the whole process group."""
        if self.child is not None:
            child_kill(self.child)
            self.child = None

    def restart(self) -> Self:
        """Stop if it runs, then start again with the same ports and folders."""
        self.stop()
        return self.start()

    @property
    def pid(self) -> int:
        """The process id; the program must be running."""
        assert self.child is not None
        return self.child.pid

    def logs(self) -> str:
        """The end of what it wrote."""
        return self.log.read_text(errors="replace")[-LOG_CHARACTERS_SHOWN:] if self.log.exists() else ""


def answers(url: str) -> bool:
    """Whether this URL answers 200 within two seconds."""
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:
            return bool(answer.status == 200)
    except (OSError, urllib.error.URLError):
        return False


@contextlib.contextmanager
def running(program: Program) -> Iterator[Program]:
    """Start a program for the length of a block."""
    try:
        yield program.start()
    finally:
        program.stop()


@contextlib.contextmanager
def gateway(environment: Mapping[str, str], *, workers: int = 1, **extra: str) -> Iterator[Program]:
    """The data plane on free ports; ``url`` is its address, ``metrics_url`` that of /metrics."""
    bind, metrics = (f"127.0.0.1:{port_free()}" for _ in range(2))
    ours = {"TOLLGATE_GATEWAY_BIND": bind, "TOLLGATE_GATEWAY_METRICS_BIND": metrics}
    ours["TOLLGATE_GATEWAY_WORKERS"] = str(workers)
    program = Program(
        "-m",
        "gateway.dataplane",
        name="gateway",
        environment={**environment, **ours, **extra},
        is_ready=lambda program: answers(f"{program.metrics_url}/readyz"),
        url=f"http://{bind}",
        metrics_url=f"http://{metrics}",
    )
    with running(program):
        yield program


@contextlib.contextmanager
def shipper(environment: Mapping[str, str], **extra: str) -> Iterator[Program]:
    """The journal's way to PostgreSQL."""
    with running(
        Program("-m", "gateway.dataplane.shipper", name="shipper", environment={**environment, **extra})
    ) as it:
        yield it


@contextlib.contextmanager
def celery_worker(environment: Mapping[str, str], *, with_beat: bool = False, **extra: str) -> Iterator[Program]:
    """A real Celery worker (and beat inside it when asked), ready when it says so."""
    arguments = ["-m", "celery", "-A", "config.celery", "worker", "--pool", "prefork", "--concurrency", "1"]
    arguments += ["--without-gossip", "--without-mingle", "--loglevel", "INFO"]
    if with_beat:
        arguments += ["--beat", "--schedule", str(Path(environment["TOLLGATE_VAR"]) / "beat")]
    program = Program(
        *arguments,
        name="celery",
        environment={**environment, **extra},
        is_ready=lambda program: " ready." in program.logs(),
    )
    with running(program):
        yield program


@contextlib.contextmanager
def portal(environment: Mapping[str, str], **extra: str) -> Iterator[Program]:
    """The portal behind gunicorn on a free port, or on TOLLGATE_PORTAL_BIND when others must know its address before."""
    bind = extra.pop("TOLLGATE_PORTAL_BIND", f"127.0.0.1:{port_free()}")
    program = Program(
        *("-m", "gunicorn", "config.wsgi", "--bind", bind, "--worker-class", "gthread", "--threads", "4"),
        name="portal",
        environment={**environment, "TOLLGATE_PORTAL_BIND": bind, "TOLLGATE_PUBLIC_URL": f"http://{bind}", **extra},
        is_ready=lambda program: answers(f"{program.url}/readyz"),
        url=f"http://{bind}",
    )
    with running(program):
        yield program


@contextlib.contextmanager
def upstream(environment: Mapping[str, str], **extra: str) -> Iterator[Program]:
    """The demo upstream on a free port."""
    bind = f"127.0.0.1:{port_free()}"
    program = Program(
        *("-m", "config.demo_upstream"),
        name="upstream",
        environment={**environment, "TOLLGATE_UPSTREAM_BIND": bind, **extra},
        is_ready=lambda program: answers(f"{program.url}/readyz"),
        url=f"http://{bind}",
    )
    with running(program):
        yield program


class Stores:
    """A PostgreSQL and a Valkey of one test alone: it may kill and restart them. The database is migrated."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.postgres = Postgres(home=folder / "postgres", options=postgres.THROWAWAY)
        self.valkey = Valkey(home=folder / "valkey")

    @property
    def environment(self) -> dict[str, str]:
        """The environment of programs that use these stores."""
        return environment_make(var=self.folder / "var", database_url=self.postgres.url(), valkey_url=self.valkey.url())


@contextlib.contextmanager
def stores(*, is_migrated: bool = True) -> Iterator[Stores]:
    """Start stores of one's own; they are gone after the block."""
    folder = harness.folder_make()
    ours = Stores(folder)
    try:
        ours.valkey.start()
        ours.postgres.start()
        if is_migrated:
            argv = [sys.executable, "manage.py", "migrate", "--no-input", "--verbosity", "0"]
            subprocess.run(argv, cwd=ROOT, env=ours.environment, check=True)
        yield ours
    finally:
        ours.postgres.stop()
        ours.valkey.stop()
        shutil.rmtree(folder, ignore_errors=True)


def environment_make(*, var: Path, database_url: str, valkey_url: str) -> dict[str, str]:
    """The environment of a program under test: test secrets, these stores, this var folder."""
    var.mkdir(parents=True, exist_ok=True)
    return {
        **{name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR") if name in os.environ},
        **harness.TEST_SECRETS,
        "PYTHONPATH": str(ROOT),
        "TOLLGATE_ENV": "test",
        "TOLLGATE_VAR": str(var),
        "TOLLGATE_JOURNAL_DIR": str(var / "journal"),
        "TOLLGATE_EVIDENCE_DIR": str(var / "evidence"),
        "TOLLGATE_NODE": "test-node",
        "DATABASE_URL": database_url,
        "VALKEY_URL": valkey_url,
        "EMAIL_URL": f"file://{var}/mail",
        "DJANGO_SETTINGS_MODULE": "config.settings",
    }
