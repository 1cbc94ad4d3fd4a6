"""Journal: a worker's usage events on disk before their answers leave. One write per turn of the event loop.

``commit`` puts a finished call into the group of this turn; at the end of the turn one ``write`` appends all records to the
open segment, and only then the answers go out. What is in the page cache survives the death of the process; ``fsync`` adds
fdatasync per group for those who fear the death of the machine. When the disk refuses, no answer goes out (fail closed).

The byte form is marketplace.contracts.segment, a call's record journal_records.py; sealed segments are read by shipper.py, those
of a dead worker by recovery.py.
A worker holds a lock on its folder ``<journal dir>/<boot hex>`` for as long as it lives.
"""

from __future__ import annotations

import asyncio
import fcntl
import hashlib
import logging
import os
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import UUID

from gateway.dataplane.journal_records import opened_encode, record_encode
from gateway.dataplane.usage import outcome_of
from marketplace.contracts import segment
from marketplace.contracts.segment import CLOSED, NO_DIGEST, SegmentHeader, SegmentSeal

if TYPE_CHECKING:
    from gateway.dataplane.call import Call

log = logging.getLogger("tollgate.journal")

SEGMENT_BYTES_MAX = 16 << 20
"""A segment is sealed at this size even before its time: readers hold a whole segment in memory."""
OWED_MAX = 10_000
"""Most ends of streamed answers that wait for the disk to accept writes again."""
LOCK_NAME = "lock"
OPEN_SUFFIX, SEALED_SUFFIX = ".open", ".sealed"

Write = Callable[[bytes], object]
Fail = Callable[[], object]


def segment_path(folder: Path, sequence: int, suffix: str) -> Path:
    """Where the segment of this number lies in a worker's folder; names sort as numbers do."""
    return folder / f"{sequence:012d}{suffix}"


class Journal:
    """The open segment of one worker.

    ``sequence`` is the number of the segment that the next record will be in. ``is_failing`` is True from a refused write
    until the next good one: calls may then be refused before they reach an upstream. Counters are for the metrics.
    """

    def __init__(self, directory: Path, *, node: str, boot: UUID, fsync: bool = False, seal_s: float = 1.0) -> None:
        self.boot = boot
        self.folder = directory / boot.hex
        self.sequence = 0
        self.is_failing = False
        self.events = self.groups = self.bytes_written = self.failures = 0
        self._node = node
        self._fsync = fsync
        self._seal_s = seal_s
        self._loop: asyncio.AbstractEventLoop | None = None
        self._lock: int | None = None
        self._fd: int | None = None
        self._size = self._records_written = self._events_written = 0
        self._hash = hashlib.sha256()
        self._previous = NO_DIGEST
        self._group: list[bytes] = []
        self._answers: list[tuple[Write, bytes, Fail | None]] = []
        self._is_torn = False
        self._streams: dict[bytes, tuple[Call, int]] = {}
        self._owed: list[bytes] = []
        self._unopened: set[bytes] = set()
        self._unrenamed: list[int] = []
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Make and lock this worker's folder. Raises OSError."""
        self._loop = asyncio.get_running_loop()
        self.folder.mkdir(parents=True, mode=0o750)
        self._lock = os.open(self.folder / LOCK_NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
        fcntl.flock(self._lock, fcntl.LOCK_EX)  # at most a glance of recovery, which finds nothing here, is before us

    def commit(self, record: bytes, write: Write, payload: bytes, fail: Fail | None = None) -> None:
        """Add a record to this turn's group; when it is written, call ``write(payload)``.

        When it cannot be written, ``fail()`` is called instead.
        """
        group = self._group
        if not group:
            self._loop.call_soon(self.flush)  # type: ignore[union-attr]
        group.append(record)
        self._answers.append((write, payload, fail))

    def opened(self, call: Call, write: Write, payload: bytes, fail: Fail) -> None:
        """Record that an answer begins to stream; its first bytes go out after that."""
        self._streams[call.request_id] = (call, call.client.sent)

        def refused() -> None:
            if self._streams.pop(call.request_id, None) is None:
                self._unopened.add(call.request_id)  # its end is in this very group: nobody read a byte of it
            fail()

        self.commit(opened_encode(call), write, payload, refused)

    def closed(self, call: Call, write: Write, payload: bytes, fail: Fail) -> None:
        """Record the end of a streamed answer; its last bytes go out after that.

        When the disk refuses, ``fail()`` ends the answer without them; the record is kept and written later, and its units stay charged.
        """
        self._streams.pop(call.request_id, None)
        record = record_encode(CLOSED, call, call.outcome, call.response_bytes, 1)

        def refused() -> None:
            if call.request_id in self._unopened:
                self._unopened.discard(call.request_id)
                return
            if len(self._owed) < OWED_MAX:  # its first bytes were read: it must count as soon as the disk takes it
                self._owed.append(record)
            fail()

        self.commit(record, write, payload, refused)

    def flush(self) -> None:
        """Write the group, then send its answers. Runs at the end of a turn; a drain may call it at once."""
        group, answers = self._group, self._answers
        if not group:
            return
        self._group, self._answers = [], []
        owed, self._owed = self._owed, []
        try:
            self._append(b"".join(owed + group), len(owed) + len(group))
        except OSError:
            self._owed = owed + self._owed
            self._group_refused([fail for _, _, fail in answers if fail is not None], events=len(group))
            return
        self.events += len(group)
        self._events_written += len(group)
        for write, payload, _ in answers:
            try:
                write(payload)
            except Exception:  # one connection's trouble is not that of the others in this group
                log.exception("an answer could not be written")
        if self._size >= SEGMENT_BYTES_MAX:
            self.seal()

    def _group_refused(self, fails: list[Fail], *, events: int) -> None:
        self.failures += events
        self.is_failing = True
        for fail in fails:
            try:
                fail()
            except Exception:  # one connection's trouble is not that of the others
                log.exception("a call that could not be recorded could not be refused")

    def _append(self, content: bytes, records: int) -> None:
        """Write all of ``content`` to the open segment, or none of it. Raises OSError."""
        if self._fd is None:
            self._open_segment()
        fd = self._fd
        assert fd is not None
        try:
            if self._is_torn:
                self._cut_back(fd)
            _write_all(fd, content)
            if self._fsync:
                os.fdatasync(fd)
        except OSError:
            self._is_torn = True
            self._cut_back(fd)
            raise
        self.is_failing = False
        self._hash.update(content)
        self._size += len(content)
        self._records_written += records
        self.groups += 1
        self.bytes_written += len(content)

    def _cut_back(self, fd: int) -> None:
        """Drop what a failed write left behind the last good record. Raises OSError; then the next write tries again."""
        os.ftruncate(fd, self._size)
        self._is_torn = False

    def _open_segment(self) -> None:
        """Begin segment ``sequence``, with the answers that stream right now at its head. Raises OSError."""
        fd, head = self._segment_create(self.sequence, self._previous)
        self._segment_enter(fd, head)

    def _segment_create(self, sequence: int, previous: bytes) -> tuple[int, bytes]:
        path = segment_path(self.folder, sequence, OPEN_SUFFIX)
        head = segment.header_encode(SegmentHeader(self._node, self.boot, sequence, int(time.time() * 1e6), previous))
        head += b"".join(opened_encode(call) for call, _ in self._streams.values())
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND | os.O_CLOEXEC, 0o640)
        try:
            _write_all(fd, head)
        except OSError:
            os.close(fd)
            path.unlink(missing_ok=True)
            raise
        return fd, head

    def _segment_enter(self, fd: int, head: bytes) -> None:
        self._fd = fd
        self._hash = hashlib.sha256(head)
        self._size = len(head)
        self._records_written = len(self._streams)
        self._events_written = 0
        self._timer_set()

    def _tick(self) -> None:
        """Seal what holds events; otherwise note how far the streaming answers are. An idle worker has no timer and no file."""
        self._timer = None
        self._rename_sealed()
        if self._fd is not None:
            if self._events_written or self._owed or self._size >= SEGMENT_BYTES_MAX:
                self.seal()
            elif self._streams:
                self._progress()
        if self._fd is not None or self._unrenamed:
            self._timer_set()

    def _timer_set(self) -> None:
        if self._timer is None and self._loop is not None:
            self._timer = self._loop.call_later(self._seal_s, self._tick)

    def _progress(self) -> None:
        moved = [call for call, size in self._streams.values() if call.client.sent != size]
        for call in moved:
            self._streams[call.request_id] = (call, call.client.sent)
        if moved:
            try:
                self._append(b"".join(opened_encode(call) for call in moved), len(moved))
            except OSError:
                self.failures += 1

    def seal(self) -> None:
        """Seal the open segment and rename it, so that the shipper takes it. A refusing disk leaves it open for later."""
        self.flush()
        if self._fd is None:
            return
        following = None
        try:
            self._owed_write()  # charged already, so they belong in here
            if self._is_torn:
                self._cut_back(self._fd)
            digest = self._hash.digest()
            if self._streams:  # the next one is there first, so that no open answer is ever in no file
                following = self._segment_create(self.sequence + 1, digest)
            seal = SegmentSeal(self._records_written, int(time.time() * 1e6), False, digest)
            self._seal_write(self._fd, segment.seal_encode(seal))
        except OSError:
            self.failures += 1
            if following is not None:
                os.close(following[0])
                segment_path(self.folder, self.sequence + 1, OPEN_SUFFIX).unlink(missing_ok=True)
            return
        self._segment_leave(digest)
        if following is not None:
            self._segment_enter(*following)
        self._rename_sealed()

    def _owed_write(self) -> None:
        """Write the ends of streamed answers that the disk refused before. Raises OSError."""
        if self._owed:
            self._append(b"".join(self._owed), len(self._owed))
            self._owed = []

    def _segment_leave(self, digest: bytes) -> None:
        """The segment is sealed: whatever comes now belongs in the next one."""
        fd, self._fd = self._fd, None
        self._unrenamed.append(self.sequence)
        self.sequence += 1
        self._previous = digest
        with suppress(OSError):  # the descriptor is gone either way, and its bytes were written
            os.close(fd)  # type: ignore[arg-type]

    def _rename_sealed(self) -> None:
        """Give sealed segments the name by which the shipper finds them. What the disk refuses is tried again, in the end by recovery."""
        while self._unrenamed:
            sequence = self._unrenamed[0]
            names = (segment_path(self.folder, sequence, suffix) for suffix in (OPEN_SUFFIX, SEALED_SUFFIX))
            try:
                os.rename(*names)
            except OSError as fault:
                self.failures += 1
                log.error("segment %d is sealed and cannot be renamed: %s", sequence, fault)
                self._timer_set()
                return
            del self._unrenamed[0]

    def _seal_write(self, fd: int, content: bytes) -> None:
        try:
            _write_all(fd, content)
            if self._fsync:
                os.fsync(fd)
        except OSError:
            self._is_torn = True
            self._cut_back(fd)
            raise

    def report(self) -> dict[str, int]:
        """The counts, for the metrics."""
        counts = {"events": self.events, "groups": self.groups, "failures": self.failures}
        return {**counts, "failing": self.is_failing}

    def close(self) -> None:
        """End this worker's journal: answers that still stream are closed as incomplete, the segment is sealed, the lock freed.

        What a refusing disk leaves open, recovery completes as that of a dead worker.
        """
        self.flush()
        try:
            self._owed_write()
            self._streams_end()
        except OSError as fault:
            self.failures += 1
            log.error("the journal cannot be completed, recovery will do it: %s", fault)
        else:
            self.seal()
        if self._timer is not None:
            self._timer.cancel()
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def _streams_end(self) -> None:
        streams = [call for call, _ in self._streams.values()]
        if streams:
            ends = [record_encode(CLOSED, call, outcome_of(call.status), call.client.sent, 0) for call in streams]
            self._append(b"".join(ends), len(ends))
            self._streams.clear()


def _write_all(fd: int, content: bytes) -> None:
    written = os.write(fd, content)
    while written < len(content):  # the disk is nearly full: the next write says so
        written += os.write(fd, content[written:])
