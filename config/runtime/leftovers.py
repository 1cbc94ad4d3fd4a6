"""Remembers which processes were started, and ends those that a killed supervisor left behind. Never touches a stranger's."""

import contextlib
import json
import os
import signal
import time
from pathlib import Path
from typing import Any

import psutil

END_S_MAX = 5.0
POLL_S = 0.05
START_TIME_TOLERANCE_S = 0.02


class PidFolder:
    """``var/run``: one file a process, with its id and start time."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.folder.mkdir(parents=True, exist_ok=True)

    def remember(self, name: str, pid: int) -> None:
        """Note a child that was just started."""
        with contextlib.suppress(psutil.NoSuchProcess):
            note_write(self.folder / f"{name}.json", pid)

    def forget(self, name: str) -> None:
        """Drop the note of a child that has ended."""
        (self.folder / f"{name}.json").unlink(missing_ok=True)

    def clean(self) -> list[str]:
        """End what an earlier supervisor left running, in order of no importance. Returns the names of what was found."""
        found: dict[str, psutil.Process] = {}
        for note in sorted(self.folder.glob("*.json")):
            process = process_of(note)
            if process is not None:
                found[note.stem] = process
            note.unlink(missing_ok=True)
        for name, process in found.items():
            _group_signal(process.pid, signal.SIGINT if name == "postgres" else signal.SIGTERM)
        deadline = time.monotonic() + END_S_MAX
        while any(_is_alive(process) for process in found.values()) and time.monotonic() < deadline:
            time.sleep(POLL_S)
        for process in found.values():
            _group_signal(process.pid, signal.SIGKILL)
        return sorted(found)


def note_write(note: Path, pid: int, **more: Any) -> None:
    """Note a process; whole or not at all, since a note cut short would hide a leftover. Raises psutil.NoSuchProcess."""
    born = psutil.Process(pid).create_time()
    part = note.with_suffix(".part")
    part.write_text(json.dumps({"pid": pid, "born": born, **more}))
    part.replace(note)


def process_of(note: Path) -> psutil.Process | None:
    """The process that the note is about, unless it has ended and its number now means another."""
    try:
        kept = json.loads(note.read_text())
        process = psutil.Process(int(kept["pid"]))
        is_same = abs(process.create_time() - float(kept["born"])) <= START_TIME_TOLERANCE_S
    except (OSError, ValueError, KeyError, TypeError, psutil.Error):
        return None
    return process if is_same and _is_alive(process) else None


def _is_alive(process: psutil.Process) -> bool:
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.Error:
        return False


def _group_signal(group: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)
