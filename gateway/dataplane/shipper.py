"""Shipper: sealed journal segments to PostgreSQL, once a node: ``python -m gateway.dataplane.shipper``.

A segment is verified, kept as evidence, inserted with its tallies in one transaction, and only then removed. While PostgreSQL is down
it goes on trying; the journal grows on the disk and nothing is dropped. Between rounds it looks after dead workers
(recovery.py) and lost counters (quota_rebuild.py).
"""

from __future__ import annotations

import fcntl
import json
import logging
import os
import signal
import sys
import threading
import time
from pathlib import Path
from types import FrameType

import psycopg
import redis

from gateway.dataplane.evidence import evidence_name, evidence_write
from gateway.dataplane.journal import SEALED_SUFFIX
from gateway.dataplane.lease_recovery import leases_return
from gateway.dataplane.quota_rebuild import Rebuild
from gateway.dataplane.recovery import (
    CORRUPT_SUFFIX,
    boot_folders,
    dead_locked,
    folder_remove,
    segments_list,
    segments_recover,
)
from gateway.dataplane.settings import Settings, SettingsInvalid, settings_read
from gateway.dataplane.shipper_database import database_connect, segment_digest, segment_insert
from marketplace.contracts.segment import NO_DIGEST, SegmentCorrupt, SegmentHeader, SegmentSeal, sealed_read
from marketplace.contracts.tally import tallies_sum

log = logging.getLogger("tollgate.shipper")

POLL_S = 0.2
BACK_OFF_S_MIN, BACK_OFF_S_MAX = 0.2, 5.0
STORE_S_MAX = 2.0
REPORT_S = 1.0
SEGMENTS_PER_ROUND = 500
"""Segments shipped before dead workers are looked after again."""
REPORT_NAME = "shipper.json"


class Shipper:
    """One node's shipper. Counters are for the metrics."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.journal_dir = settings.journal_dir
        self.evidence_dir = settings.evidence_dir
        self.shipped = self.repeated = self.corrupt = self.returned_units = self.failures = 0
        self.stopping = threading.Event()
        self._connection: psycopg.Connection | None = None
        self._connect_after = 0.0
        self._back_off_s = BACK_OFF_S_MIN
        self._store = redis.Redis.from_url(
            settings.valkey_url.replace("valkey://", "redis://", 1),
            socket_timeout=STORE_S_MAX,
            socket_connect_timeout=STORE_S_MAX,
        )
        self._rebuild = Rebuild(settings.journal_dir)
        self._digests: dict[str, tuple[int, bytes]] = {}
        self._reported_at = 0.0

    def run(self) -> None:
        """Ship until told to stop; then once more what is sealed by now."""
        while not self.stopping.is_set():
            is_busy = self.round()
            self._report()
            if not is_busy:
                self.stopping.wait(POLL_S)
        self.round()
        self._report(is_forced=True)

    def round(self) -> bool:
        """Look after the dead, ship what is sealed, see to the counters. True when there is more to ship at once."""
        for folder in boot_folders(self.journal_dir):
            self._bury(folder)
        is_busy = self._ship_sealed()
        self._counters()
        return is_busy

    def _bury(self, folder: Path) -> None:
        """Recover a dead worker's journal and leases; remove its folder when all is shipped."""
        try:
            with dead_locked(folder) as is_dead:
                if not is_dead:
                    return
                segments_recover(folder)
                self.returned_units += leases_return(folder, evidence_dir=self.evidence_dir, store=self._store)
                if folder_remove(folder):
                    self._digests.pop(folder.name, None)
        except (OSError, redis.RedisError, SegmentCorrupt) as fault:
            self._failed("recovering %s: %s", folder, fault)

    def _ship_sealed(self) -> bool:
        sealed = [path for folder in boot_folders(self.journal_dir) for path in segments_list(folder, SEALED_SUFFIX)]
        for path in sealed[:SEGMENTS_PER_ROUND]:
            connection = self._database()
            if connection is None:
                return False
            try:
                self.ship(connection, path)
            except (
                ValueError,
                psycopg.DataError,
                psycopg.IntegrityError,
            ) as fault:  # of this file, whenever it is tried
                self._quarantine(path, fault)
            except psycopg.Error as fault:
                self._database_lost(fault)
                return False
            except OSError as fault:
                self._failed("shipping %s: %s", path, fault)
                return False
        return len(sealed) > SEGMENTS_PER_ROUND

    def ship(self, connection: psycopg.Connection, path: Path) -> bool:
        """Ship one sealed segment; False when it had been shipped before. Raises SegmentCorrupt, psycopg.Error, OSError."""
        content = path.read_bytes()
        reader, records = sealed_read(content)
        header, seal = reader.header, reader.seal
        assert seal is not None
        self._chain_check(connection, header, seal)
        name = evidence_name(header.boot, header.sequence)
        evidence_write(self.evidence_dir, name, content)
        is_new = segment_insert(
            connection,
            header=header,
            seal=seal,
            records=records,
            tallies=tallies_sum(records),
            size_bytes=len(content),
            evidence=name,
        )
        path.unlink()
        self._digests[header.boot.hex] = (header.sequence, seal.sha256)
        self.shipped += is_new
        self.repeated += not is_new
        return is_new

    def _chain_check(self, connection: psycopg.Connection, header: SegmentHeader, seal: SegmentSeal) -> None:
        """The segment must name the digest of the one before it, and its number must not be another's. Raises SegmentCorrupt.

        In the ordinary case, the next one of a boot, memory answers.
        """
        boot, sequence = header.boot.hex, header.sequence
        known = self._digests.get(boot)
        if known is not None and known[0] == sequence - 1:
            expected: bytes | None = known[1]
        else:
            shipped = segment_digest(connection, boot, sequence)
            if shipped not in (None, seal.sha256.hex()):
                raise SegmentCorrupt(f"segment {boot} {sequence} is not the one that was shipped before")
            before = segment_digest(connection, boot, sequence - 1) if sequence else NO_DIGEST.hex()
            expected = bytes.fromhex(before) if before is not None else None
        if expected is not None and header.previous_sha256 != expected:
            raise SegmentCorrupt(f"segment {boot} {sequence} does not continue the one before it")

    def _quarantine(self, path: Path, fault: Exception) -> None:
        """Set a segment aside that is damaged, or that no table takes, for a human, and say so: it is neither billed nor thrown away."""
        self.corrupt += 1
        self._failed("%s is set aside: %s", path, fault)
        try:
            path.rename(path.with_suffix(CORRUPT_SUFFIX))
        except OSError as refused:
            self._failed("%s stays where it is: %s", path, refused)

    def _counters(self) -> None:
        connection = self._database()
        if connection is None:
            return
        try:
            self._rebuild.advance(self._store, connection)
        except redis.RedisError as fault:
            self._failed("rebuilding counters: %s%s", fault, "")
        except psycopg.Error as fault:
            self._database_lost(fault)

    def _database(self) -> psycopg.Connection | None:
        """The connection, opened again after a pause when it was lost; None while there is none."""
        if self._connection is None and time.monotonic() >= self._connect_after:
            try:
                self._connection = database_connect(self.settings.database_url)
                self._back_off_s = BACK_OFF_S_MIN
            except psycopg.Error as fault:
                self._database_lost(fault)
        return self._connection

    def _database_lost(self, fault: Exception) -> None:
        self._failed("PostgreSQL: %s%s", fault, "; trying again, nothing is lost")
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        self._connect_after = time.monotonic() + self._back_off_s
        self._back_off_s = min(self._back_off_s * 2, BACK_OFF_S_MAX)

    def _failed(self, message: str, *args: object) -> None:
        self.failures += 1
        log.warning(message, *args)

    def _report(self, *, is_forced: bool = False) -> None:
        """Write the metrics where the gateway's exposition reads them."""
        if not is_forced and time.monotonic() - self._reported_at < REPORT_S:
            return
        self._reported_at = time.monotonic()
        path = self.settings.var_dir / "gateway" / REPORT_NAME
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            fresh = path.with_suffix(".new")
            fresh.write_text(json.dumps(self.report()))
            fresh.replace(path)
        except OSError as fault:
            log.warning("metrics: %s", fault)

    def report(self) -> dict[str, float]:
        """What is done, and what waits: the backlog in files and bytes, and the age of its oldest file in seconds."""
        waiting = []
        for folder in boot_folders(self.journal_dir):
            for path in segments_list(folder, SEALED_SUFFIX):
                try:
                    waiting.append(path.stat())
                except FileNotFoundError:
                    continue
        oldest = min((stat.st_mtime for stat in waiting), default=0.0)
        return {
            "at": time.time(),
            "backlog_files": len(waiting),
            "backlog_bytes": sum(stat.st_size for stat in waiting),
            "backlog_oldest_s": max(0.0, time.time() - oldest) if waiting else 0.0,
            "shipped": self.shipped,
            "repeated": self.repeated,
            "corrupt": self.corrupt,
            "returned_units": self.returned_units,
            "failures": self.failures,
            "database_up": self._connection is not None,
        }


def main() -> int:
    """Run until SIGTERM or SIGINT. A second shipper of the same node waits until the first has gone."""
    logging.basicConfig(level=logging.INFO, format="shipper[%(process)d] %(levelname)s %(message)s")
    try:
        settings = settings_read(os.environ)
    except SettingsInvalid as fault:
        sys.stderr.write(f"{fault}\n")
        return 2
    if not settings.database_url:
        sys.stderr.write("DATABASE_URL: the shipper needs it, such as postgresql://tollgate@localhost/tollgate\n")
        return 2
    settings.journal_dir.mkdir(parents=True, exist_ok=True)
    shipper = Shipper(settings)

    def stop(number: int, frame: FrameType | None) -> None:
        shipper.stopping.set()

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    with (settings.journal_dir / ".shipper.lock").open("w") as lock:
        while not shipper.stopping.is_set():
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                shipper.stopping.wait(POLL_S)
            else:
                shipper.run()
    return 0


if __name__ == "__main__":
    sys.exit(main())
