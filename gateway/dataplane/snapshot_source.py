"""Where a worker's snapshot comes from: Valkey (pushed, and polled each second), or the last good one on disk.

Compiling it is snapshot.py's, reading its text snapshot_text.py's. What takes long (the text, the disk) is done in a thread.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from gateway.core.store_keys import SNAPSHOT_KEY, SNAPSHOT_VERSION_KEY
from gateway.dataplane.resp import StoreDown
from gateway.dataplane.snapshot import Route, Snapshot, snapshot_compile, snapshot_empty
from gateway.dataplane.snapshot_text import snapshot_read
from gateway.dataplane.store import Store

log = logging.getLogger("tollgate.gateway")

POLL_S = 1.0
FIRST_LOOK_S = 1.0
"""How long a starting worker waits for its first snapshot before it serves without one, in seconds."""

CompileSteps = Callable[[Route], tuple[Any, ...]]


class SnapshotSource:
    """Keeps one worker's snapshot current. ``install`` gets each new one; ``faults`` counts those that were unusable."""

    def __init__(
        self, store: Store, path: Path, *, compile_steps: CompileSteps, install: Callable[[Snapshot], None]
    ) -> None:
        self._store = store
        self._path = path
        self._compile_steps = compile_steps
        self._install = install
        self._wanted = asyncio.Event()
        self._bad = ""
        self._current = snapshot_empty()
        self.faults = 0
        self._known = asyncio.Event()

    @property
    def version(self) -> int:
        """The version in force; 0 before the first."""
        return self._current.version

    @property
    def is_known(self) -> bool:
        """Whether a snapshot is in force, or the store has said that none is published: before, a worker is not ready."""
        return self._known.is_set()

    def report(self) -> dict[str, int]:
        """The counts, for the metrics."""
        return {"version": self.version, "conflicts": len(self._current.conflicts), "faults": self.faults}

    async def first_look(self) -> None:
        """Wait a moment for the first answer about a snapshot, so that a worker that starts well is ready at once."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._known.wait(), FIRST_LOOK_S)

    async def load_from_disk(self) -> None:
        """Start with the last good snapshot, if there is one: a gateway starts while everything else is down."""
        try:
            await self._take(self._path.read_bytes())
        except FileNotFoundError:
            return
        except Exception as fault:  # noqa: BLE001  # whatever is on disk, the gateway starts
            self.faults += 1
            log.warning("the snapshot on disk cannot be used: %s", fault)

    def pushed(self, message: bytes) -> None:
        """A message of ``tg:invalidate``: a new snapshot may be there."""
        if message.startswith((b"snapshot:", b"all")):
            self._wanted.set()

    def wake(self) -> None:
        """Messages may have been missed: look at once."""
        self._wanted.set()

    async def follow(self) -> None:
        """Look for a new version each second, and at once when one is pushed. Runs as long as the worker."""
        while True:
            self._wanted.clear()
            try:
                await self.refresh()
            except StoreDown:
                pass
            except Exception as fault:  # noqa: BLE001  # whatever was published, the next look may find better
                self.faults += 1
                if repr(fault) != self._bad:
                    self._bad = repr(fault)
                    log.error("the published snapshot cannot be used, the one before it stays: %r", fault)
            try:
                await asyncio.wait_for(self._wanted.wait(), POLL_S)
            except TimeoutError:
                continue

    async def refresh(self) -> None:
        """Load the published snapshot when its version is another than ours. Raises StoreDown, or what makes it unusable."""
        version = await self._store.call("GET", SNAPSHOT_VERSION_KEY)
        if version is None or int(version) == self.version:
            self._known.set()
            return
        raw = await self._store.call("GET", SNAPSHOT_KEY)
        if raw is not None:
            await self._take(raw)
            await asyncio.to_thread(self._save, raw)

    async def _take(self, raw: bytes) -> None:
        value = await asyncio.to_thread(snapshot_read, raw)
        snapshot = await snapshot_compile(value, self._compile_steps, before=self._current)
        for conflict in snapshot.conflicts:
            log.warning("a route is not served as published: %s", conflict)
        self._current = snapshot
        self._install(snapshot)
        self._known.set()

    def _save(self, raw: bytes) -> None:
        """Write aside, then rename: what is on disk is always a whole snapshot. Every worker may do it at once."""
        fresh = self._path.with_name(f"{self._path.name}.{os.getpid()}")
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with fresh.open("wb") as file:
                file.write(raw)
                file.flush()
                os.fsync(file.fileno())
            fresh.replace(self._path)
        except OSError as fault:
            self.faults += 1
            log.warning("the snapshot could not be kept on disk: %s", fault)
