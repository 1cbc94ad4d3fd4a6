"""Rebuilds quota counters after Valkey lost its data: from tallies in PostgreSQL, once all journals are in them.

A missing generation key is how everybody notices. Workers then lease nothing; each says from which of its segments on it
counts by itself (``tg:quota:join``), so that the base written here and what workers tell the new counters meet without gap or
overlap. Also sets the first generation. Who calls: shipper.py.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import psycopg
import redis

from gateway.core.windows import Window, window_in_force
from gateway.dataplane.journal import OPEN_SUFFIX, SEALED_SUFFIX
from gateway.dataplane.lease_scripts import EPOCH_KEY, GENERATION_KEY, JOIN_KEY, QUOTA_BASE
from gateway.dataplane.leases import quota_key
from gateway.dataplane.quota_bucket import KEPT_S
from gateway.dataplane.recovery import boot_folders, dead_locked, segments_list
from marketplace.contracts.limits import Limits, LimitsTurn

log = logging.getLogger("tollgate.recovery")

FIRST_S_MIN = 1.0
"""The wait of a first start, when nothing was ever used: nothing can be lost."""
JOIN_S_MIN = 5.0
"""How long workers of other nodes are given to say that they are there: they look twice a second, and may have to connect first."""
JOIN_S_MAX = 10.0
"""How long a living worker of this node may take to join; afterwards all that it has sealed is in the base."""
LATE_S = 900.0
"""A call may reach the quota this long after it began: its body takes time."""
FOREIGN_S_MAX = 30.0
"""How long to wait for segments of joined workers that are not in PostgreSQL yet."""
LOCK_KEY = "tg:quota:rebuild"
LOCK_MS = 60_000
HOUR_S = 3_600
GRANTS_PER_QUERY = 5_000

_GRANTS = """
SELECT id, limits FROM marketplace_grant
WHERE revoked_at IS NULL AND 'object' IN (jsonb_typeof(limits -> 'quota'), jsonb_typeof(limits #> '{turn,limits,quota}'))
"""
_UNITS = """
SELECT t.grant_id, sum(t.units) FROM marketplace_usagetally t
WHERE t.grant_id = ANY(%(grants)s) AND t.hour >= to_timestamp(%(first)s) AND t.hour < to_timestamp(%(end)s)
  AND NOT EXISTS (
    SELECT FROM unnest(%(boots)s::uuid[], %(sequences)s::bigint[]) AS joined(boot, sequence)
    JOIN marketplace_usagesegment s ON s.boot = joined.boot AND s.sequence >= joined.sequence WHERE s.id = t.segment_id)
GROUP BY t.grant_id
"""


@dataclass(slots=True)
class Rebuild:
    """Tries to rebuild, a step a call of ``advance``, until the generation is there."""

    journal_dir: Path
    epoch: bytes = b""
    seen_at: float = 0.0

    def advance(self, store: redis.Redis, connection: psycopg.Connection) -> bool:
        """True when the counters are complete. Raises redis.RedisError, psycopg.Error; then it is tried again."""
        if store.get(GENERATION_KEY) is not None:
            return True
        epoch: Any = store.get(EPOCH_KEY)
        if epoch is None:
            _locked(store, lambda: _epoch_begin(store))
            return False
        now = time.monotonic()
        if epoch != self.epoch:
            self.epoch, self.seen_at = epoch, now
        joined = {key.decode(): int(value) for key, value in _hash(store, JOIN_KEY).items()}
        waited_s = now - self.seen_at
        if waited_s < FIRST_S_MIN or (waited_s < JOIN_S_MIN and _was_used(connection)):
            return False
        if not _is_quiet(self.journal_dir, joined, is_late=waited_s > JOIN_S_MAX):
            return False
        if waited_s < FOREIGN_S_MAX and not _is_shipped(connection, joined):
            return False
        return _locked(store, lambda: _epoch_end(store, connection, epoch=epoch, joined=joined))


def _locked(store: redis.Redis, work: Callable[[], bool]) -> bool:
    """Do one step of the rebuild on one node only; False when another node is at it."""
    if not store.set(LOCK_KEY, "1", nx=True, px=LOCK_MS):
        return False
    try:
        return work()
    finally:
        store.delete(LOCK_KEY)


def _epoch_begin(store: redis.Redis) -> bool:
    """Empty all counters, since each of them may be too low, and have the workers tell what they hold."""
    if store.get(GENERATION_KEY) is not None or store.get(EPOCH_KEY) is not None:
        return False
    for key in store.scan_iter(match="tg:q:*", count=1_000):
        store.delete(key)
    store.delete(JOIN_KEY)
    store.set(EPOCH_KEY, uuid4().hex)
    log.info("no quota counters are there: they are built from the tallies, as on a first start")
    return False


def _epoch_end(store: redis.Redis, connection: psycopg.Connection, *, epoch: bytes, joined: Mapping[str, int]) -> bool:
    """Add the base to every counter, and declare them complete."""
    if store.get(EPOCH_KEY) != epoch:
        return False
    count = counters_write(store, connection, joined=joined, now=time.time())
    store.set(GENERATION_KEY, epoch)
    store.delete(JOIN_KEY, EPOCH_KEY)
    (log.warning if count else log.info)("rebuilt %d quota counters that the store had lost", count)
    return True


def _hash(store: redis.Redis, key: str) -> Mapping[bytes, bytes]:
    value: Any = store.hgetall(key)
    return dict(value)


def _was_used(connection: psycopg.Connection) -> bool:
    with connection.transaction():
        row = connection.execute("SELECT EXISTS (SELECT FROM marketplace_usagesegment)").fetchone()
    return row is not None and bool(row[0])


def _is_quiet(journal_dir: Path, joined: Mapping[str, int], *, is_late: bool) -> bool:
    """Whether all that must be in the base is shipped: all of the dead, and what the living have before they joined."""
    for folder in boot_folders(journal_dir):
        with dead_locked(folder) as is_dead:
            pass
        sealed = segments_list(folder, SEALED_SUFFIX)
        if is_dead:
            if sealed or segments_list(folder, OPEN_SUFFIX):
                return False
        elif folder.name not in joined:
            if sealed or not is_late:
                return False
        elif any(int(path.stem) < joined[folder.name] for path in sealed):
            return False
    return True


def _is_shipped(connection: psycopg.Connection, joined: Mapping[str, int]) -> bool:
    """Whether the last segment before each worker joined is in PostgreSQL; they arrive in order."""
    wanted = [(UUID(hex=boot), sequence - 1) for boot, sequence in joined.items() if sequence > 0]
    query = "SELECT count(*) FROM marketplace_usagesegment WHERE (boot, sequence) IN (SELECT * FROM unnest(%s::uuid[], %s::bigint[]))"
    with connection.transaction():
        row = connection.execute(query, ([boot for boot, _ in wanted], [number for _, number in wanted])).fetchone()
    return row is not None and int(row[0]) == len(wanted)


def counters_write(store: redis.Redis, connection: psycopg.Connection, *, joined: Mapping[str, int], now: float) -> int:
    """Write the counter of every live grant's current window; returns how many are above zero.

    An hour in which a window begins is counted whole: tallies know full hours only, and too much is the safe side.
    """
    count = 0
    for window, grants in _windows(connection, now).items():
        for units in _used(connection, window, grants, joined):
            key = quota_key(units[0].hex, window.kind, window.starts_at)
            store.eval(QUOTA_BASE.text, 1, key, int(units[1]), window.ends_at + KEPT_S)
            count += 1
    return count


def _windows(connection: psycopg.Connection, now: float) -> dict[Window, list[UUID]]:
    """The live grants with a quota, by the window that they are in now, and by one that ended so lately that calls of it may still come."""
    with connection.transaction():
        rows = connection.execute(_GRANTS).fetchall()
    windows: dict[Window, list[UUID]] = {}
    for grant_id, value in rows:
        turn = LimitsTurn.of_grant(value)
        limits = [Limits.from_dict(value), *([turn.limits] if turn else [])]  # gateways turn by their own clocks
        quotas = [each.quota for each in limits if each.quota is not None]
        for window in {window_in_force(quota, moment) for quota in quotas for moment in (now, now - LATE_S)}:
            windows.setdefault(window, []).append(grant_id)
    return windows


def _used(
    connection: psycopg.Connection, window: Window, grants: list[UUID], joined: Mapping[str, int]
) -> Iterable[tuple[UUID, int]]:
    for start in range(0, len(grants), GRANTS_PER_QUERY):
        values = {
            "grants": grants[start : start + GRANTS_PER_QUERY],
            "first": window.starts_at - window.starts_at % HOUR_S,
            "end": window.ends_at,
            "boots": [UUID(hex=boot) for boot in joined],
            "sequences": list(joined.values()),
        }
        with connection.transaction():
            yield from connection.execute(_UNITS, values).fetchall()
