"""Gives back what a dead worker had leased and not charged: its counters are on its list, what it charged is in its journal.

Where the journal cannot be read, nothing comes back: a unit too few for the rest of a window is better than one too many. Sealing what
the worker left open comes first and is recovery.py's; counters that Valkey lost are quota_rebuild.py's.
"""

from __future__ import annotations

import logging
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID

import redis

from gateway.dataplane.evidence import evidence_name, evidence_read
from gateway.dataplane.journal import SEALED_SUFFIX, segment_path
from gateway.dataplane.lease_list import LIST_NAME, SCRATCH_SUFFIX, keys_listed
from gateway.dataplane.lease_scripts import QUOTA_LEAVE
from gateway.dataplane.leases import quota_key
from gateway.dataplane.recovery import CORRUPT_SUFFIX
from marketplace.contracts.segment import COUNTED_KINDS, WINDOW_NAMES, SegmentCorrupt, SegmentReader

log = logging.getLogger("tollgate.recovery")

RECENT_SEGMENTS = 5
"""Of a worker that held nothing, so many last segments are read: calls on credit (soft quotas) since its last report are in them."""
KEPT_SUFFIXES = (SEALED_SUFFIX, CORRUPT_SUFFIX, Path(evidence_name(UUID(int=0), 0)).suffix)


@dataclass(frozen=True, slots=True)
class _Owner:
    """What a dead worker last said to one counter."""

    charged: int
    held: int
    sequence: int


@dataclass(slots=True)
class _Charged:
    """What a worker's segments say: units by (sequence, counter), and the last segment that is missing or damaged."""

    units: Counter[tuple[int, str]] = field(default_factory=Counter)
    gap: int = -1

    def total(self, key: str, owner: _Owner) -> int:
        """All units that the worker charged at a counter, as far as anybody can know."""
        if owner.held > 0 and self.gap >= owner.sequence:
            return owner.charged + owner.held
        since = sum(
            units for (sequence, name), units in self.units.items() if name == key and sequence >= owner.sequence
        )
        return owner.charged + since


def leases_return(folder: Path, *, evidence_dir: Path, store: redis.Redis) -> int:
    """Give back what a dead worker had leased and not charged; returns the units. Hold its lock; its segments must be sealed.

    Charged are the units that it had reported, and those of calls in its segments since that report. Safe to repeat: the
    counter forgets the owner in the same script. Raises redis.RedisError, OSError; then nothing is forgotten.
    """
    path = folder / LIST_NAME
    if not path.exists():
        return 0
    owners = {key: owner for key in keys_listed(path) if (owner := _owner_read(store, key, folder.name)) is not None}
    charged = _charged_since(folder, [owner.sequence for owner in owners.values() if owner.held > 0], evidence_dir)
    returned = 0
    for key, owner in owners.items():
        back, _ = store.eval(QUOTA_LEAVE.text, 1, key, folder.name, charged.total(key, owner))
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


def _charged_since(folder: Path, holding: list[int], evidence_dir: Path) -> _Charged:
    """Read this worker's segments from the first of ``holding`` on, wherever they are by now. Raises OSError."""
    boot, charged = UUID(hex=folder.name), _Charged()
    kept = (evidence_dir / evidence_name(boot, 0)).parent
    files = [*folder.glob("[0-9]*.*"), *kept.glob("[0-9]*.*")]
    last = max((int(path.name[:12]) for path in files if path.suffix in KEPT_SUFFIXES), default=-1)
    for sequence in range(max(0, min([*holding, last + 1 - RECENT_SEGMENTS])), last + 1):
        if not _segment_read(_segment_find(folder, boot, sequence, evidence_dir), sequence, charged.units):
            charged.gap = sequence
    return charged


def _segment_read(content: bytes | None, sequence: int, units: Counter[tuple[int, str]]) -> bool:
    """Add up what a segment charged; False when it is not there or not whole."""
    if content is None:
        return False
    try:
        reader = SegmentReader(content)
    except SegmentCorrupt:
        return False
    for raw in reader.records():
        if raw.kind in COUNTED_KINDS and raw.units and raw.window_code:
            kind = WINDOW_NAMES[raw.window_code]
            units[sequence, quota_key(raw.caller[:16].hex(), str(kind), raw.window_start)] += raw.units
    return reader.fault is None and reader.seal is not None


def _segment_find(folder: Path, boot: UUID, sequence: int, evidence_dir: Path) -> bytes | None:
    for suffix in (SEALED_SUFFIX, CORRUPT_SUFFIX):
        path = segment_path(folder, sequence, suffix)
        if path.exists():
            return path.read_bytes()
    try:
        return evidence_read(evidence_dir, evidence_name(boot, sequence))
    except FileNotFoundError:
        return None
