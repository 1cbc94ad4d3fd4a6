"""One supervisor a var folder: a lock that dies with its holder. Standard library only, so that demo-reset needs no .venv."""

import fcntl
import os
from pathlib import Path


class AlreadyRunning(Exception):
    """Another supervisor uses the same var folder; the text says which and what to do."""


class SupervisorLock:
    """The lock file below ``var/run``; it holds the process id of whoever has the lock."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._descriptor = -1

    def take(self) -> None:
        """Become the only one. Raises AlreadyRunning."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self._descriptor = os.open(self.folder / "supervisor.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            pid = os.read(self._descriptor, 32).decode() or "?"
            raise AlreadyRunning(f"Tollgate already runs here as process {pid}. Stop it first: kill {pid}") from None
        os.truncate(self._descriptor, 0)
        os.pwrite(self._descriptor, str(os.getpid()).encode(), 0)
