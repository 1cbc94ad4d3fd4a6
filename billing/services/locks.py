"""Locks: one for each consumer's invoices until the transaction ends, one for each kind of scheduled work while it runs."""

from collections.abc import Iterator
from contextlib import contextmanager
from uuid import UUID

from django.db import connection

NAMESPACE = "tollgate.billing"


def consumer_lock(*, organization_id: UUID, currency: str) -> None:
    """Wait until nobody else drafts, issues, voids or settles for this consumer in this currency."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))",
            [f"{NAMESPACE}.consumer:{organization_id}:{currency}"],
        )


@contextmanager
def work_lock(name: str) -> Iterator[bool]:
    """Hold the lock of a kind of scheduled work; yields False at once when another process has it. Ends with its session."""
    key = [f"{NAMESPACE}.work:{name}"]
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(hashtextextended(%s, 0))", key)
        is_ours = bool(cursor.fetchone()[0])
    try:
        yield is_ours
    finally:
        if is_ours:
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_advisory_unlock(hashtextextended(%s, 0))", key)
