"""The shipper's writing to PostgreSQL: one sealed segment and its tallies in one transaction. No Django: plain SQL by psycopg.

The tables belong to marketplace.models.usage; triggers there refuse every later change. They are cut into months, a segment by
the moment in its header, a tally by its hour; what has no month of its own yet lands in the default partition.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

import psycopg

from marketplace.contracts.segment import COUNTED_KINDS, RawRecord, SegmentCorrupt, SegmentHeader, SegmentSeal
from marketplace.contracts.tally import Tally, TallyKey

CONNECT_S_MAX = 2
STATEMENT_MS_MAX = 30_000

_SEGMENT_INSERT = """
INSERT INTO marketplace_usagesegment
  (id, node, boot, sequence, opened_at, sealed_at, events, size_bytes, sha256, previous_sha256, evidence)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s) ON CONFLICT (id, opened_at) DO NOTHING
"""
_TALLY_COPY = """
COPY marketplace_usagetally (segment_id, hour, grant_id, app_id, api_id, operation_id, stage, outcome, calls, units,
  request_bytes, response_bytes, latency_ms_sum, latency_histogram) FROM STDIN
"""


def database_connect(url: str) -> psycopg.Connection:
    """Open a connection with limits of time. Raises psycopg.OperationalError.

    A commit must survive the death of the server, whatever its own default is: the journal's file is removed after it.
    """
    options = f"-c statement_timeout={STATEMENT_MS_MAX} -c synchronous_commit=on"
    return psycopg.connect(url, connect_timeout=CONNECT_S_MAX, options=options, application_name="tollgate-shipper")


def segment_insert(
    connection: psycopg.Connection,
    *,
    header: SegmentHeader,
    seal: SegmentSeal,
    records: list[RawRecord],
    tallies: Mapping[TallyKey, Tally],
    size_bytes: int,
    evidence: str,
) -> bool:
    """Insert a segment and its tallies, all or nothing. False when it was there already: then nothing is written.

    Raises psycopg.Error and SegmentCorrupt; the transaction is then rolled back.
    """
    row = (
        header.segment_id,
        header.node,
        header.boot,
        header.sequence,
        moment(header.opened_at_us),
        moment(seal.sealed_at_us),
        sum(raw.kind in COUNTED_KINDS for raw in records),
        size_bytes,
        seal.sha256.hex(),
        header.previous_sha256.hex() if header.sequence else "",
        evidence,
    )
    with connection.transaction(), connection.cursor() as cursor:
        cursor.execute(_SEGMENT_INSERT, row)
        if cursor.rowcount == 0:
            return False
        if tallies:
            with cursor.copy(_TALLY_COPY) as copy:
                for key, tally in tallies.items():
                    copy.write_row(_tally_row(header, key, tally))
    return True


def _tally_row(header: SegmentHeader, key: TallyKey, tally: Tally) -> tuple[object, ...]:
    return (
        header.segment_id,
        moment(key.hour * 1_000_000),
        key.grant_id,
        key.app_id,
        key.api_id,
        key.operation_id,
        key.stage,
        key.outcome,
        tally.calls,
        tally.units,
        tally.request_bytes,
        tally.response_bytes,
        tally.latency_ms_sum,
        tally.latency_histogram,
    )


def segment_digest(connection: psycopg.Connection, boot: str, sequence: int) -> str | None:
    """The SHA-256 of a segment that was shipped before, or None."""
    query = "SELECT sha256 FROM marketplace_usagesegment WHERE boot = %s AND sequence = %s"
    with connection.transaction():
        row = connection.execute(query, (boot, sequence)).fetchone()
    return str(row[0]) if row else None


def moment(microseconds: int) -> datetime:
    """A time of the journal as PostgreSQL keeps it. Raises SegmentCorrupt for one that no calendar has."""
    try:
        return datetime.fromtimestamp(microseconds / 1_000_000, UTC)
    except (ValueError, OverflowError) as fault:
        raise SegmentCorrupt(f"{microseconds} µs: {fault}") from fault
