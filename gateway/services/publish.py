"""Tells gateways what changed: one subject after a change, or everything when Valkey is empty or in doubt."""

from dataclasses import dataclass
from uuid import UUID

from django.db import connection, transaction

from gateway.core.store_keys import COMPLETE_KEY, INVALIDATE_CHANNEL, SNAPSHOT_VERSION_KEY
from gateway.services.directory import app_publish, directory_publish_all, directory_sweep
from gateway.services.snapshot import CHECKSUM_KEY, snapshot_publish
from gateway.services.store import REVISION_KEY, revision_raise, store_open

REBUILD_LOCK = "tollgate.gateway.rebuild"


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """What a whole rebuild did. ``version`` is the snapshot's, as it is in force now."""

    version: int
    apps: int
    swept: int


def change_publish(*, kind: str, subject_id: UUID) -> None:
    """Publish one change of the outbox: an app's entries, or the snapshot. Raises PublishFailed; then it stays there."""
    if kind == "app":
        app_publish(app_id=subject_id)
    elif kind == "catalog":
        snapshot_publish()
    else:
        raise ValueError(f"a change of kind {kind!r} has no publisher")


def publish_all() -> Rebuilt:
    """Write snapshot and directory whole, drop what belongs to no live credential, and have gateways reread all.

    Raises PublishFailed. Safe to repeat and to run beside single publications: a newer copy is never overwritten.
    """
    with store_open() as store:
        revision_raise(at_least=int(store.get(REVISION_KEY) or 0))
        store.delete(CHECKSUM_KEY)  # so that the snapshot is written even when it seems to be the same
    snapshot_publish()
    apps = directory_publish_all()
    swept = directory_sweep()
    with store_open() as store:
        store.set(COMPLETE_KEY, "1")
        store.publish(INVALIDATE_CHANNEL, "all")
        return Rebuilt(version=int(store.get(SNAPSHOT_VERSION_KEY) or 0), apps=apps, swept=swept)


@transaction.atomic
def publish_heal() -> Rebuilt | None:
    """Run ``publish_all`` when Valkey has lost its data; None when it has not, or when another process is at it.

    Raises PublishFailed.
    """
    with store_open() as store:
        if store.exists(SNAPSHOT_VERSION_KEY, COMPLETE_KEY) == 2:
            return None
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(hashtextextended(%s, 0))", [REBUILD_LOCK])
        if not cursor.fetchone()[0]:
            return None
    return publish_all()
