"""One supervised process: its start, its log, its death and when it may start again. The order among them is supervisor.py's."""

import contextlib
import os
import signal
import subprocess
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from config.embedded.spawn import Owner, child_spawn
from config.runtime.terminal import Warnings, say

LOG_BYTES_MAX = 16 * 1024 * 1024  # then the file is moved aside once: two files a process at most
READ_BYTES_MAX = 65536
LINE_BYTES_MAX = 65536
RESTARTS_PER_MINUTE_MAX = 8
BACKOFF_FIRST_S = 0.2
BACKOFF_MAX_S = 8.0
PAUSE_S = 60.0
ORPHANS_S_MAX = 2.0
SETTLE_S = 0.5


@dataclass(frozen=True)
class Program:
    """What to run, and how to stop it."""

    name: str
    argv: tuple[str, ...]
    env: Mapping[str, str]
    cwd: Path
    owner: Owner | None = None
    stop_signal: signal.Signals = signal.SIGTERM
    stop_s_max: float = 10.0
    is_ready: Callable[[], bool] | None = None  # None: ready when it has lived for SETTLE_S
    prepare: Callable[[], None] = field(default=lambda: None)


class Managed:
    """A program that is kept alive until it is told to stop."""

    def __init__(self, program: Program, *, logs: Path) -> None:
        self.program = program
        self.name = program.name
        self.child: subprocess.Popen[bytes] | None = None
        self.is_wanted = False
        self.restarts: deque[float] = deque(maxlen=RESTARTS_PER_MINUTE_MAX)
        self.start_at = 0.0
        self._started_at = 0.0
        self._path = logs / f"{program.name}.log"
        self._log: IO[bytes] | None = None
        self._partial = b""
        self._warnings = Warnings(program.name)

    def start(self) -> int:
        """Start it and return the file descriptor that carries its output."""
        self.program.prepare()
        self.is_wanted = True
        self._started_at = time.monotonic()
        self.child = child_spawn(
            self.program.argv,
            env=self.program.env,
            cwd=self.program.cwd,
            owner=self.program.owner,
            output=subprocess.PIPE,
            death_signal=self.program.stop_signal,
        )
        assert self.child.stdout is not None
        os.set_blocking(self.child.stdout.fileno(), False)
        return self.child.stdout.fileno()

    @property
    def is_alive(self) -> bool:
        """Whether the process runs now."""
        return self.child is not None and self.child.poll() is None

    @property
    def is_ready(self) -> bool:
        """Whether it runs and does its work, as far as it can be seen from outside."""
        if not self.is_alive:
            return False
        if self.program.is_ready is not None:
            return self.program.is_ready()
        return time.monotonic() - self._started_at >= SETTLE_S

    def read(self) -> bool:
        """Move what it wrote to its log, and warnings to the terminal. Returns False at the end of the output."""
        if self.child is None or self.child.stdout is None:
            return False
        try:
            chunk = os.read(self.child.stdout.fileno(), READ_BYTES_MAX)
        except BlockingIOError:
            return True
        if not chunk:
            return False
        lines = (self._partial + chunk).split(b"\n")
        self._partial = lines.pop()[-LINE_BYTES_MAX:]
        self._write(lines)
        return True

    def ended(self) -> int:
        """Collect what is left of a process that has died, and end what it left behind. Returns its exit status."""
        assert self.child is not None
        while self.read() and self._has_output():
            pass
        _orphans_end(self.child.pid)
        status = self.child.wait()
        if self.child.stdout is not None:
            self.child.stdout.close()
        self.child = None
        return status

    def restart_plan(self, now: float, *, status: int) -> None:
        """Set ``start_at``: a little later each time, and after too many in a minute only when a minute has passed."""
        how = f"signal {-status}" if status < 0 else f"status {status}"
        recent = [moment for moment in self.restarts if now - moment < 60]
        self.restarts.append(now)
        if len(recent) >= RESTARTS_PER_MINUTE_MAX:
            self.start_at = now + PAUSE_S
            text = f"ended with {how}, {len(recent) + 1} times within a minute: next try in {PAUSE_S:.0f} s."
            say(f"{self.name:>9} | {text} See var/logs/{self.name}.log")
            return
        say(f"{self.name:>9} | ended with {how}; starting it again")
        self.start_at = now + min(BACKOFF_FIRST_S * 2 ** len(recent), BACKOFF_MAX_S)

    def ask_to_stop(self) -> None:
        """Send its stop signal."""
        self.is_wanted = False
        if self.child is not None and self.is_alive:
            self.child.send_signal(self.program.stop_signal)

    def kill(self) -> None:
        """SIGKILL it and its group."""
        if self.child is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.child.pid, signal.SIGKILL)

    def _has_output(self) -> bool:
        assert self.child is not None
        assert self.child.stdout is not None
        import select

        return bool(select.select([self.child.stdout.fileno()], [], [], 0)[0])

    def _write(self, lines: list[bytes]) -> None:
        if self._log is None or self._log.tell() > LOG_BYTES_MAX:
            self._open()
        assert self._log is not None
        for raw in lines:
            self._log.write(raw + b"\n")
            self._warnings.look_at(raw.decode(errors="replace"))
        self._log.flush()

    def _open(self) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        if self._log is not None:
            self._log.close()
            self._path.replace(self._path.with_suffix(".1.log"))
        self._log = self._path.open("ab")


def _orphans_end(group: int) -> None:
    """End what a dead process left in its group: asked first, then killed. We are their reaper (PR_SET_CHILD_SUBREAPER)."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(group, signal.SIGTERM)
    deadline = time.monotonic() + ORPHANS_S_MAX
    while _group_lives(group):
        if time.monotonic() > deadline:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(group, signal.SIGKILL)
            break
        time.sleep(0.02)


def _group_lives(group: int) -> bool:
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-group, os.WNOHANG)[0]:
            pass
    try:
        os.killpg(group, 0)
    except (ProcessLookupError, PermissionError):
        return False
    return True
