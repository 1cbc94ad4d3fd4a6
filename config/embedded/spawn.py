"""Starts a child that dies with its parent. Who restarts it and when is the supervisor's business, not this file's."""

import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

PR_SET_PDEATHSIG = 1  # prctl(2)


@dataclass(frozen=True)
class Owner:
    """The unprivileged account that a server runs as when we are root."""

    uid: int
    gid: int
    name: str


def child_spawn(
    argv: Sequence[str],
    *,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    owner: Owner | None = None,
    output: IO[bytes] | int | None = None,
    death_signal: signal.Signals = signal.SIGTERM,
) -> "subprocess.Popen[bytes]":
    """Start a program in a process group of its own; the kernel sends it ``death_signal`` when our thread dies.

    Call it from a thread that lives as long as the child should: Linux ties the signal to the thread, not to the process.
    """
    return subprocess.Popen(
        list(argv),
        env=dict(os.environ if env is None else env),
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT if output is not None else None,
        process_group=0,
        user=owner.uid if owner else None,
        group=owner.gid if owner else None,
        extra_groups=[] if owner else None,
        preexec_fn=_death_tie(death_signal),  # noqa: PLW1509  (one prctl call, no Python locks)
    )


def child_stop(child: "subprocess.Popen[bytes]", *, by: signal.Signals = signal.SIGTERM, within_s: float = 10.0) -> int:
    """Ask a child to end, then kill its whole group if it has not within the time. Returns its exit status."""
    if child.poll() is None:
        child.send_signal(by)
        try:
            child.wait(within_s)
        except subprocess.TimeoutExpired:
            child_kill(child)
    return child.wait()


def child_kill(child: "subprocess.Popen[bytes]") -> None:
    """SIGKILL the child and everything in its process group, and reap it."""
    try:
        os.killpg(child.pid, signal.SIGKILL)
    except ProcessLookupError:
        child.poll()
    child.wait()


def _death_tie(death_signal: signal.Signals) -> Callable[[], None] | None:
    if not sys.platform.startswith("linux"):
        return None
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    number = int(death_signal)

    def tie() -> None:
        prctl(PR_SET_PDEATHSIG, number, 0, 0, 0)

    return tie
