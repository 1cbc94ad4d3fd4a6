"""Journal: a worker's usage events on disk before their answers leave. One write per turn of the event loop.

``commit`` puts a finished call into the group of this turn; at the end of the turn one ``write`` appends all records to the
open segment, and only then the answers go out. What is in the page cache survives the death of the process; ``fsync`` adds
fdatasync per group for those who fear the death of the machine. When the disk refuses, no answer goes out (fail closed).

The byte form is marketplace.contracts.segment; sealed segments are read by shipper.py, those of a dead worker by recovery.py.
A worker holds a lock on its folder ``<journal dir>/<boot hex>`` for as long as it lives.
"""

from __future__ import annotations

import asyncio
import fcntl
import hashlib
import logging
import os
import struct
import time
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID

from gateway.dataplane.usage import outcome_of, units_of
from marketplace.contracts import segment
from marketplace.contracts.segment import CLOSED, EVENT, FRAME, NO_DIGEST, OPENED, RECORD, SegmentHeader, SegmentSeal

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

_FRAME_PACK, _RECORD_PACK, _RECORD_SIZE = FRAME.pack, RECORD.pack, RECORD.size
_RECORD_HEAD = _RECORD_SIZE.to_bytes(2, "big")
_CHECKSUM_PACK = struct.Struct(">I").pack
_OUTCOMES: dict[str, bytes] = {}
_NO_CALLER = segment.caller_pack(None, None)
_NO_TARGET = segment.target_pack(None, None, "")
OUTCOMES_CACHED_MAX = 256


def segment_path(folder: Path, sequence: int, suffix: str) -> Path:
    """Where the segment of this number lies in a worker's folder; names sort as numbers do."""
    return folder / f"{sequence:012d}{suffix}"


def encode_event(call: Call) -> bytes:
    """Return the record of a finished call. Its outcome is known and its leases are settled by now.

    The ordinary call, of a known grant on a known route, is packed right here: this runs once a call.
    """
    grant, route, outcome = call.grant, call.route, _OUTCOMES.get(call.outcome)
    if grant is None or route is None or outcome is None or not route.journal_prefix:
        return _encode(EVENT, call, call.outcome, call.response_bytes, 1)
    window_code = window_start = 0
    if call.taken:
        last = call.taken[-1]
        window_code, window_start = last.window_code, last.window_start
    payload = _RECORD_PACK(
        EVENT,
        call.request_id,
        int(time.time() * 1e6),
        grant.journal_prefix,
        route.journal_prefix,
        outcome,
        call.status,
        call.request_bytes,
        call.response_bytes,
        int((time.monotonic() - call.started) * 1e6),
        int((call.upstream_ended - call.upstream_started) * 1e6) if call.upstream_ended else 0,
        call.units,
        1,
        window_code,
        window_start,
    )
    return _RECORD_HEAD + _CHECKSUM_PACK(zlib.crc32(payload)) + payload


def _encode_opened(call: Call) -> bytes:
    """The record of an answer that streams: what it is so far, so that it counts as that if its end is never recorded."""
    return _encode(OPENED, call, outcome_of(call.status), call.client.sent, 0)


def _encode(kind: int, call: Call, outcome_name: str, response_bytes: int, complete: int) -> bytes:
    route, grant, taken = call.route, call.grant, call.taken
    holder = grant if grant is not None else call.entry
    caller = holder.journal_prefix if holder is not None else _NO_CALLER
    target = _NO_TARGET if route is None else (route.journal_prefix or _route_prefix(route))
    outcome = _OUTCOMES.get(outcome_name) or _outcome(outcome_name)
    units = units_of(outcome_name, taken)
    window_code = window_start = 0
    if taken:
        window_code, window_start = taken[-1].window_code, taken[-1].window_start
    upstream_s = call.upstream_ended - call.upstream_started
    latency_s = time.monotonic() - call.started
    payload = _RECORD_PACK(
        kind,
        call.request_id,
        int(time.time() * 1e6),
        caller,
        target,
        outcome,
        call.status,
        call.request_bytes,
        response_bytes,
        int(latency_s * 1e6) if latency_s > 0 else 0,
        int(upstream_s * 1e6) if upstream_s > 0 else 0,
        units,
        complete,
        window_code,
        window_start,
    )
    return _FRAME_PACK(_RECORD_SIZE, zlib.crc32(payload)) + payload


def _route_prefix(route: Any) -> bytes:
    prefix = segment.target_pack(route.api_id_bytes, route.operation_id_bytes, route.stage)
    route.journal_prefix = prefix
    return prefix


def _outcome(outcome: str) -> bytes:
    packed = segment.outcome_pack(outcome)
    if len(_OUTCOMES) < OUTCOMES_CACHED_MAX:
        _OUTCOMES[outcome] = packed
    return packed


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
            self._streams.pop(call.request_id, None)
            fail()

        self.commit(_encode_opened(call), write, payload, refused)

    def closed(self, call: Call, write: Write, payload: bytes, fail: Fail) -> None:
        """Record the end of a streamed answer; its last bytes go out after that."""
        self._streams.pop(call.request_id, None)
        record = _encode(CLOSED, call, call.outcome, call.response_bytes, 1)

        def refused() -> None:
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
            self.failures += len(group)
            self.is_failing = True
            for _, _, fail in answers:
                if fail is not None:
                    fail()
            return
        self.is_failing = False
        self.events += len(group)
        self._events_written += len(group)
        for write, payload, _ in answers:
            try:
                write(payload)
            except Exception:  # one connection's trouble is not that of the others in this group
                log.exception("an answer could not be written")
        if self._size >= SEGMENT_BYTES_MAX:
            self.seal()

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
        head += b"".join(_encode_opened(call) for call, _ in self._streams.values())
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
        if self._timer is None and self._loop is not None:
            self._timer = self._loop.call_later(self._seal_s, self._tick)

    def _tick(self) -> None:
        """Seal what holds events; otherwise note how far the streaming answers are. An idle worker has no timer and no file."""
        self._timer = None
        if self._fd is None:
            return
        if self._events_written or self._size >= SEGMENT_BYTES_MAX:
            self.seal()
        elif self._streams:
            self._progress()
        if self._fd is not None and self._timer is None and self._loop is not None:
            self._timer = self._loop.call_later(self._seal_s, self._tick)

    def _progress(self) -> None:
        moved = [call for call, size in self._streams.values() if call.client.sent != size]
        for call in moved:
            self._streams[call.request_id] = (call, call.client.sent)
        if moved:
            try:
                self._append(b"".join(_encode_opened(call) for call in moved), len(moved))
            except OSError:
                self.failures += 1

    def seal(self) -> None:
        """Seal the open segment and rename it, so that the shipper takes it. A refusing disk leaves it open for later."""
        self.flush()
        if self._fd is None:
            return
        fd, digest, following = self._fd, self._hash.digest(), None
        seal = SegmentSeal(self._records_written, int(time.time() * 1e6), False, digest)
        try:
            if self._streams:  # the next one is there first, so that no open answer is ever in no file
                following = self._segment_create(self.sequence + 1, digest)
            self._seal_write(fd, segment.seal_encode(seal))
        except OSError:
            self.failures += 1
            if following is not None:
                os.close(following[0])
                segment_path(self.folder, self.sequence + 1, OPEN_SUFFIX).unlink(missing_ok=True)
            return
        os.close(fd)
        os.rename(
            segment_path(self.folder, self.sequence, OPEN_SUFFIX),
            segment_path(self.folder, self.sequence, SEALED_SUFFIX),
        )
        self.sequence += 1
        self._previous = digest
        self._fd = None
        if following is not None:
            self._segment_enter(*following)

    def _seal_write(self, fd: int, content: bytes) -> None:
        try:
            _write_all(fd, content)
            if self._fsync:
                os.fsync(fd)
        except OSError:
            self._is_torn = True
            self._cut_back(fd)
            raise

    def close(self) -> None:
        """End this worker's journal: answers that still stream are closed as incomplete, the segment is sealed, the lock freed."""
        self.flush()
        streams = [call for call, _ in self._streams.values()]
        self._streams.clear()
        if streams or self._owed:
            content = b"".join(
                [
                    *self._owed,
                    *(_encode(CLOSED, call, outcome_of(call.status), call.client.sent, 0) for call in streams),
                ]
            )
            self._append(content, len(self._owed) + len(streams))
        self.seal()
        if self._timer is not None:
            self._timer.cancel()
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None


def _write_all(fd: int, content: bytes) -> None:
    written = os.write(fd, content)
    while written < len(content):  # the disk is nearly full: the next write says so
        written += os.write(fd, content[written:])
