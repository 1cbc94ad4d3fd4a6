"""Starts everything in order, keeps it alive, stops it in order. What there is to start is the plan's business."""

import contextlib
import ctypes
import os
import selectors
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType

from config.runtime.leftovers import PidFolder
from config.runtime.lock import SupervisorLock
from config.runtime.managed import Managed, Program
from config.runtime.plan import STOP_ORDER
from config.runtime.terminal import say

PR_SET_CHILD_SUBREAPER = 36  # prctl(2): orphans of our children become ours, so that none stays behind
READY_S_MAX = 300.0
WAITING_SAID_EVERY_S = 30.0
TICK_S = 0.1
START_TRIES_MAX = 3
STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class StartFault(Exception):
    """Something did not start; the text says what, why and where to look."""


class Stopped(BaseException):
    """The user (or the system) asked us to stop while we were starting. Like KeyboardInterrupt it is no fault of anything."""


class Supervisor:
    """The processes of one var folder."""

    def __init__(self, *, var: Path) -> None:
        self.logs = var / "logs"
        self.lock = SupervisorLock(var / "run")
        self.pids = PidFolder(var / "run")
        self.managed: dict[str, Managed] = {}
        self.stops_asked = 0
        self._selector = selectors.DefaultSelector()
        self._wake_in, self._wake_out = socket.socketpair()

    def open(self) -> None:
        """Take the lock, end leftovers of a killed supervisor, listen to signals. Raises AlreadyRunning."""
        self.lock.take()
        for name in self.pids.clean():
            say(f"  ended {name}, left over from a supervisor that was killed")
        for end in (self._wake_in, self._wake_out):
            end.setblocking(False)
        signal.set_wakeup_fd(self._wake_out.fileno(), warn_on_full_buffer=False)
        self._selector.register(self._wake_in, selectors.EVENT_READ, None)
        for number in STOP_SIGNALS:
            signal.signal(number, self._stop_asked)
        signal.signal(signal.SIGCHLD, lambda number, frame: None)  # only to wake the loop
        if sys.platform.startswith("linux"):
            ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, STOP_SIGNALS)  # config.bootstrap held them back for us

    def start(self, *programs: Program) -> None:
        """Start these and wait until all are ready. Raises StartFault, Stopped."""
        for program in programs:
            self.managed[program.name] = Managed(program, logs=self.logs)
            self._start(self.managed[program.name])
        waiting = [program.name for program in programs]
        deadline = time.monotonic() + READY_S_MAX
        say_at = time.monotonic() + WAITING_SAID_EVERY_S
        while waiting:
            self._turn()
            if self.stops_asked:
                raise Stopped
            for name in list(waiting):
                if self.managed[name].is_ready:
                    waiting.remove(name)
                elif len(self.managed[name].restarts) >= START_TRIES_MAX:
                    raise StartFault(f"{name} does not start. The end of its log:\n{_tail(self.logs / f'{name}.log')}")
            if waiting and time.monotonic() > say_at:
                say_at += WAITING_SAID_EVERY_S
                say(f"  still waiting for {', '.join(waiting)}; their logs are in {self.logs}")
            if waiting and time.monotonic() > deadline:
                names = ", ".join(waiting)
                raise StartFault(f"Not ready after {READY_S_MAX:.0f} s: {names}. See {self.logs}/<name>.log")

    def run_once(self, program: Program, *, on_line: Callable[[str], None]) -> None:
        """Run a program to its end, with the others looked after meanwhile. Raises StartFault when it fails, Stopped."""
        log = self.logs / f"{program.name}.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        seen = 0
        task = Managed(program, logs=self.logs)
        log.unlink(missing_ok=True)
        descriptor = task.start()
        try:
            while task.is_alive:
                self._turn(within_s=0.02)
                task.read()
                seen = _lines_new(log, seen, on_line)
                if self.stops_asked:
                    raise Stopped
        finally:
            with contextlib.suppress(OSError):
                os.set_blocking(descriptor, False)
            task.ask_to_stop()
            assert task.child is not None
            task.child.wait()
            status = task.ended()
        _lines_new(log, seen, on_line)
        if status != 0:
            raise StartFault(f"{program.name} failed with status {status}:\n{_tail(log)}")

    def watch(self) -> None:
        """Keep everything alive until somebody asks to stop."""
        while not self.stops_asked:
            self._turn()

    def stop(self) -> None:
        """Stop all in order, each group together; a second request to stop kills what is left."""
        named = {name for group in STOP_ORDER for name in group}
        others = tuple(name for name in self.managed if name not in named)
        for group in (others, *STOP_ORDER):
            members = [self.managed[name] for name in group if name in self.managed]
            for member in members:
                member.ask_to_stop()
            self._wait_ended(members)
        self._selector.close()

    def _wait_ended(self, members: list[Managed]) -> None:
        began, asked = time.monotonic(), self.stops_asked
        while alive := [member for member in members if member.child is not None]:
            self._turn()
            for member in alive:
                is_late = time.monotonic() - began > member.program.stop_s_max
                if member.child is not None and (is_late or self.stops_asked > max(asked, 1)):
                    member.kill()

    def _start(self, managed: Managed) -> None:
        descriptor = managed.start()
        self._selector.register(descriptor, selectors.EVENT_READ, managed)
        assert managed.child is not None
        self.pids.remember(managed.name, managed.child.pid)

    def _turn(self, *, within_s: float = TICK_S) -> None:
        """Wait for output or signals, move output to the logs, note deaths, start again what is due."""
        for key, _ in self._selector.select(within_s):
            if key.data is None:
                self._drain_wakeups()
            elif not key.data.read():
                self._selector.unregister(key.fd)
        now = time.monotonic()
        for managed in list(self.managed.values()):
            if managed.child is not None and not managed.is_alive:
                self._buried(managed, now)
            elif managed.child is None and managed.is_wanted and now >= managed.start_at and not self.stops_asked:
                self._start(managed)

    def _buried(self, managed: Managed, now: float) -> None:
        assert managed.child is not None
        assert managed.child.stdout is not None
        with contextlib.suppress(KeyError, ValueError):
            self._selector.unregister(managed.child.stdout.fileno())
        status = managed.ended()
        self.pids.forget(managed.name)
        if managed.is_wanted and not self.stops_asked:
            managed.restart_plan(now, status=status)

    def _drain_wakeups(self) -> None:
        with contextlib.suppress(BlockingIOError):
            while self._wake_in.recv(512):
                pass

    def _stop_asked(self, number: int, frame: FrameType | None) -> None:
        del frame
        self.stops_asked += 1
        if self.stops_asked == 1:
            say(f"\n{signal.Signals(number).name}: stopping (again to kill)")


def _lines_new(log: Path, seen: int, on_line: Callable[[str], None]) -> int:
    if not log.exists():
        return seen
    lines = log.read_text(errors="replace").splitlines()
    for line in lines[seen:]:
        on_line(line)
    return len(lines)


def _tail(log: Path) -> str:
    return "\n".join(log.read_text(errors="replace").splitlines()[-20:]) if log.exists() else ""


@contextlib.contextmanager
def supervising(var: Path) -> Iterator[Supervisor]:
    """A supervisor that stops everything when the block ends, however it ends."""
    supervisor = Supervisor(var=var)
    supervisor.open()
    try:
        yield supervisor
    finally:
        supervisor.stop()
