"""Recovery: what a worker left behind when it died: its open segments are cut, completed and sealed; its leases go back.

A worker holds a lock on its folder; when the lock can be taken, it is dead. Every step may be interrupted and repeated.
Shipping what is sealed here is shipper.py's; counters that Valkey lost are quota_rebuild.py's.
"""

from __future__ import annotations

import fcntl
import hashlib
import logging
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

import redis

from gateway.dataplane.evidence import evidence_name, evidence_read
from gateway.dataplane.journal import LOCK_NAME, OPEN_SUFFIX, SEALED_SUFFIX, segment_path
from gateway.dataplane.lease_list import LIST_NAME, SCRATCH_SUFFIX, keys_listed
from gateway.dataplane.lease_scripts import QUOTA_LEAVE
from gateway.dataplane.leases import quota_key
from marketplace.contracts import segment
from marketplace.contracts.segment import (
    CLOSED,
    COUNTED_KINDS,
    OPENED,
    WINDOW_NAMES,
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


@dataclass(frozen=True, slots=True)
class _Owner:
    """What a dead worker last said to one counter."""

    charged: int
    held: int
    sequence: int


def leases_return(folder: Path, *, evidence_dir: Path, store: redis.Redis) -> int:
    """Give back what a dead worker had leased and not charged; returns the units. Hold its lock; its segments must be sealed.

    Charged are the units that it had reported, and those of calls in its segments since that report. Safe to repeat: the
    counter forgets the owner in the same script. Raises redis.RedisError, OSError; then nothing is forgotten.
    """
    path = folder / LIST_NAME
    if not path.exists():
        return 0
    owners = {key: owner for key in keys_listed(path) if (owner := _owner_read(store, key, folder.name)) is not None}
    holding = [owner.sequence for owner in owners.values() if owner.held > 0]
    charged = _charged_since(folder, min(holding), evidence_dir) if holding else []
    returned = 0
    for key, owner in owners.items():
        final = owner.charged
        if owner.held > 0:
            final += sum(units for sequence, name, units in charged if name == key and sequence >= owner.sequence)
        back, _ = store.eval(QUOTA_LEAVE.text, 1, key, folder.name, final)
        returned += int(back)
    path.with_suffix(SCRATCH_SUFFIX).unlink(missing_ok=True)
    path.unlink()
    if returned:
        log.info("returned %d units that a dead worker held", returned)
    return returned


def _owner_read(store: redis.Redis, key: str, boot_hex: str) -> _Owner | None:
    value: Any = store.hget(key, f"o:{boot_hex}")
    if value is None:
        return None
    charged, held, _, sequence, _ = value.decode().split(":")
    return _Owner(int(charged), int(held), int(sequence))


def _charged_since(folder: Path, first: int, evidence_dir: Path) -> list[tuple[int, str, int]]:
    """(sequence, counter, units) of the calls in this worker's segments from ``first`` on, wherever they are by now."""
    boot = UUID(hex=folder.name)
    sums: dict[tuple[int, str], int] = {}
    sequence = first
    while (content := _segment_find(folder, boot, sequence, evidence_dir)) is not None:
        for raw in SegmentReader(content).records():
            if raw.kind in COUNTED_KINDS and raw.units and raw.window_code:
                kind = WINDOW_NAMES[raw.window_code]
                name = quota_key(raw.caller[:16].hex(), str(kind), raw.window_start)
                sums[sequence, name] = sums.get((sequence, name), 0) + raw.units
        sequence += 1
    return [(sequence, name, units) for (sequence, name), units in sums.items()]


def _segment_find(folder: Path, boot: UUID, sequence: int, evidence_dir: Path) -> bytes | None:
    try:
        return segment_path(folder, sequence, SEALED_SUFFIX).read_bytes()
    except FileNotFoundError:
        try:
            return evidence_read(evidence_dir, evidence_name(boot, sequence))
        except FileNotFoundError:
            return None


def folder_remove(folder: Path) -> bool:
    """Remove a dead worker's folder when nothing is left in it but the lock. Hold the lock."""
    names = {path.name for path in folder.iterdir()}
    if names - {LOCK_NAME} or time.time() - folder.stat().st_mtime < NEWBORN_S:
        return False
    (folder / LOCK_NAME).unlink(missing_ok=True)
    folder.rmdir()
    return True
