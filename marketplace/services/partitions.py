"""Makes the monthly partitions of the usage tables ahead of time, and moves rows out of the default partition when asked.

No insert waits for this: what has no month of its own lands in the default partition, where reads find it as well. PostgreSQL
refuses to make a partition whose rows lie in the default one already, so such a month is left alone until an operator says
``manage.py usage_partitions --move``. Which months: marketplace.core.partitions.
"""

import logging
from datetime import datetime

from django.db import IntegrityError, OperationalError, connection, transaction

from marketplace.core.partitions import Month, month_of, months_wanted

log = logging.getLogger("tollgate.usage")

TABLES = {"marketplace_usagesegment": "opened_at", "marketplace_usagetally": "hour"}
"""Each partitioned table with the column that it is cut by."""
MONTHS_BEHIND = 1
MONTHS_AHEAD = 3
LOCK_MS_MAX = 2_000
"""How long making a partition may hold up the shipper; a table that is busy for longer is tried again by the next run."""
LOCK_KEY = 0x7067_6D70
"""Advisory lock: one process makes partitions at a time."""
MOVE_HINT = "manage.py usage_partitions --move puts them there"
MONTH_LAST = Month(9999, 11)
"""Last month that can be made: the end of the next one is beyond what Python can say."""

_PARTITIONED = """
SELECT parent.relname, coalesce(array_agg(child.relname) FILTER (WHERE child.relname IS NOT NULL), '{}')
FROM pg_partitioned_table p JOIN pg_class parent ON parent.oid = p.partrelid
LEFT JOIN pg_inherits i ON i.inhparent = parent.oid LEFT JOIN pg_class child ON child.oid = i.inhrelid
WHERE parent.relname = ANY(%s) AND pg_table_is_visible(parent.oid) GROUP BY parent.relname
"""


def usage_partitions_make(*, now: datetime | None = None, ahead: int = MONTHS_AHEAD) -> list[str]:
    """Make the partitions around ``now`` (by default the database's clock) that are missing; returns their names.

    Safe to repeat and to run twice at once. A month whose rows lie in the default partition is left alone, with a warning.
    """
    made = []
    for table, there in _partitions().items():
        for month in months_wanted(now or _database_now(), behind=MONTHS_BEHIND, ahead=ahead):
            name = f"{table}_{month.suffix}"
            if name not in there and _partition_make(table, month):
                made.append(name)
    return made


def usage_default_months() -> dict[str, list[Month]]:
    """The months of the rows that lie in a default partition, by table; empty when all is as it should be."""
    found = {}
    with connection.cursor() as cursor:
        for table in _partitions():
            cursor.execute(
                f"SELECT DISTINCT date_trunc('month', {TABLES[table]}, 'UTC') FROM {table}_default "  # noqa: S608 - our names
                f"WHERE {TABLES[table]} < %s ORDER BY 1",
                [MONTH_LAST.later(1).starts_at],
            )
            months = [month_of(row[0]) for row in cursor.fetchall()]
            if months:
                found[table] = months
    return found


def usage_partition_move(*, table: str, month: Month) -> int:
    """Make a month's partition out of the rows that lie in the default one; returns how many. All or nothing.

    The table is locked meanwhile: reads wait, the shipper tries again. The default partition is taken off for the move, since
    its own guard would refuse the deletion; putting it back puts the guard back.
    """
    column, default, name = TABLES[table], f"{table}_default", f"{table}_{month.suffix}"
    bounds = [month.starts_at, month.later(1).starts_at]
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE")
        cursor.execute(f"ALTER TABLE {table} DETACH PARTITION {default}")
        cursor.execute(_create(table, month))
        where = f"WHERE {column} >= %s AND {column} < %s"
        cursor.execute(f"INSERT INTO {name} SELECT * FROM {default} {where}", bounds)  # noqa: S608 - our own names
        moved = cursor.rowcount
        cursor.execute(f"DELETE FROM {default} {where}", bounds)  # noqa: S608 - our own names
        cursor.execute(f"ALTER TABLE {table} ATTACH PARTITION {default} DEFAULT")
    return moved


def _partitions() -> dict[str, set[str]]:
    """The partitioned tables of usage with their partitions; none before the migration that makes them so."""
    with connection.cursor() as cursor:
        cursor.execute(_PARTITIONED, [list(TABLES)])
        return {table: set(names) for table, names in cursor.fetchall()}


def _database_now() -> datetime:
    with connection.cursor() as cursor:
        cursor.execute("SELECT now()")
        row = cursor.fetchone()
    assert row is not None
    at: datetime = row[0]
    return at


def _create(table: str, month: Month) -> str:
    first, end = month.starts_at.isoformat(), month.later(1).starts_at.isoformat()
    return f"CREATE TABLE IF NOT EXISTS {table}_{month.suffix} PARTITION OF {table} FOR VALUES FROM ('{first}') TO ('{end}')"


def _partition_make(table: str, month: Month) -> bool:
    """True when it was made. False when the default partition holds its rows, or when the table was busy."""
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(f"SET LOCAL lock_timeout = {LOCK_MS_MAX}")
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [LOCK_KEY])
            cursor.execute(_create(table, month))
    except IntegrityError:
        log.warning("%s_%s is not made: the default partition holds its rows; %s", table, month.suffix, MOVE_HINT)
        return False
    except OperationalError as fault:
        log.warning("%s_%s is not made yet: %s", table, month.suffix, fault)
        return False
    return True
