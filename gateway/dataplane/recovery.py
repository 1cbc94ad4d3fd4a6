"""Recovery: what a worker left behind when it died: its open segments are cut, completed and sealed, its folder goes.

A worker holds a lock on its folder; when the lock can be taken, it is dead. Every step may be interrupted and repeated.
Its leases go back by lease_recovery.py; shipping what is sealed here is shipper.py's.
"""

from __future__ import annotations

import fcntl
import hashlib
import logging
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gateway.dataplane.journal import LOCK_NAME, OPEN_SUFFIX, SEALED_SUFFIX
from marketplace.contracts import segment
from marketplace.contracts.segment import (
    CLOSED,
    OPENED,
    RawRecord,
    SegmentCorrupt,
    SegmentReader,
    SegmentSeal,
)

log = logging.getLogger("tollgate.recovery")

TORN_SUFFIX, CORRUPT_SUFFIX = ".torn", ".corrupt"
NEWBORN_S = 5.0
"""A folder younger than this is not removed: its worker may be about to lock it."""


@contextmanager
def dead_locked(folder: Path) -> Iterator[bool]:
    """Hold the lock of a dead worker's folder for a block; False when the worker lives (or somebody else recovers it)."""
    try:
        lock = os.open(folder / LOCK_NAME, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        yield False
        return
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        yield False
    else:
        yield True
    finally:
        os.close(lock)


def boot_folders(journal_dir: Path) -> list[Path]:
    """The folders of all workers, living and dead, that still have something here."""
    return sorted(path for path in journal_dir.glob("*") if path.is_dir() and _is_boot(path.name))


def _is_boot(name: str) -> bool:
    return len(name) == 32 and all(character in "0123456789abcdef" for character in name)


def segments_list(folder: Path, suffix: str) -> list[Path]:
    """The segments of a worker in order."""
    return sorted(folder.glob(f"[0-9]*{suffix}"))


def segments_recover(folder: Path) -> int:
    """Seal what a dead worker left open; returns how many segments. Hold its lock. Raises OSError."""
    opened = [path for path in segments_list(folder, OPEN_SUFFIX) if _has_header(path)]
    if len(opened) > 1 and _is_half_born(opened[-1], opened[-2]):
        _set_aside(opened[-1], opened[-1].read_bytes())
        opened.pop().unlink()
    for path in opened[:-1]:
        _seal(path, is_last=False)
    if opened:
        _seal(opened[-1], is_last=True)
    return len(opened)


def _has_header(path: Path) -> bool:
    """False, and the file is set aside, when it was born as the worker died: no answer ever depended on it."""
    try:
        SegmentReader(path.read_bytes())
    except SegmentCorrupt:
        _set_aside(path, path.read_bytes())
        path.unlink()
        return False
    return True


def _is_half_born(path: Path, before: Path) -> bool:
    """Whether the worker died while it wrote the head of this segment, so that answers are missing that stream in the one before.

    A kill ends a long write after any page of it. The segment before is then unsealed, and nothing was written after the head.
    """
    reader, reader_before = SegmentReader(path.read_bytes()), SegmentReader(before.read_bytes())
    records, streaming = list(reader.records()), _still_open(list(reader_before.records()))
    if reader_before.seal is not None or any(raw.kind != OPENED for raw in records):
        return False
    return not {raw.id for raw in streaming} <= {raw.id for raw in records}


def _seal(path: Path, *, is_last: bool) -> None:
    """Cut a torn end, complete answers that were still streaming, seal, rename."""
    content = path.read_bytes()
    reader = SegmentReader(content)
    records = list(reader.records())
    streaming = _still_open(records) if is_last else []
    if reader.seal is not None and reader.fault is None and not streaming:
        path.rename(path.with_suffix(SEALED_SUFFIX))
        return
    good = content[: reader.valid_bytes]
    if reader.fault is not None:
        _set_aside(path, content[reader.valid_bytes :])
    good += b"".join(segment.raw_encode(raw._replace(kind=CLOSED, complete=0)) for raw in streaming)
    digest = hashlib.sha256(good).digest()
    good += segment.seal_encode(SegmentSeal(len(records) + len(streaming), int(time.time() * 1e6), True, digest))
    with path.open("r+b") as file:
        file.truncate(reader.valid_bytes)
        file.seek(reader.valid_bytes)
        file.write(good[reader.valid_bytes :])
        file.flush()
        os.fsync(file.fileno())
    path.rename(path.with_suffix(SEALED_SUFFIX))
    log.info("sealed %s of a dead worker: %d records, %d answers cut short", path, len(records), len(streaming))


def _still_open(records: list[RawRecord]) -> list[RawRecord]:
    """The newest OPENED record of each answer whose CLOSED never came."""
    streaming: dict[bytes, RawRecord] = {}
    for raw in records:
        if raw.kind == OPENED:
            streaming[raw.id] = raw
        elif raw.kind == CLOSED:
            streaming.pop(raw.id, None)
    return list(streaming.values())


def _set_aside(path: Path, rest: bytes) -> None:
    """Keep what is cut off, for a human: it belongs to calls whose answers never went out."""
    if rest:
        with path.with_suffix(TORN_SUFFIX).open("ab") as file:
            file.write(rest)


def folder_remove(folder: Path) -> bool:
    """Remove a dead worker's folder when nothing is left in it but the lock. Hold the lock."""
    names = {path.name for path in folder.iterdir()}
    if names - {LOCK_NAME} or time.time() - folder.stat().st_mtime < NEWBORN_S:
        return False
    (folder / LOCK_NAME).unlink(missing_ok=True)
    folder.rmdir()
    return True
