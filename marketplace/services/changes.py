"""The outbox: tells gateways that an app or the catalogue changed, without importing them.

A service that changes what a gateway enforces calls ``change_announce`` in its own transaction. After commit the
registered publishers are called; what they could not publish stays in the table, and a task calls ``changes_publish``
every second or two until it is done.
"""

import logging
from typing import Literal, Protocol
from uuid import UUID

from django.db import connection, transaction
from django.utils import timezone

from marketplace.models import Change

PUBLISH_BATCH_MAX = 500
"""Changes that one call of ``changes_publish`` looks at."""

logger = logging.getLogger(__name__)

ChangeKind = Literal["app", "catalog"]


class Publisher(Protocol):
    """Called with the kind and the id of an App or Api. Reads the present state and publishes it; raises when it cannot."""

    def __call__(self, *, kind: str, subject_id: UUID) -> None:
        """Publish."""


_publishers: list[Publisher] = []


def publisher_register(callback: Publisher) -> None:
    """Have ``callback(kind=…, subject_id=…)`` called after each committed change. Registering twice is harmless."""
    if callback not in _publishers:
        _publishers.append(callback)


def change_announce(*, kind: ChangeKind, subject_id: UUID) -> None:
    """Note in the present transaction that an App (kind ``app``) or an Api (``catalog``) changed; publish it on commit."""
    Change.objects.create(kind=kind, subject_id=subject_id)
    transaction.on_commit(lambda: _publish_or_log(kind, subject_id), robust=True)


def changes_publish(*, limit: int = PUBLISH_BATCH_MAX) -> int:
    """Publish what is still unpublished, oldest first, at most ``limit`` changes. Returns how many subjects went out."""
    waiting = Change.objects.filter(published_at=None).order_by("id").values_list("kind", "subject_id")[:limit]
    return sum(_publish_or_log(kind, subject_id) for kind, subject_id in dict.fromkeys(waiting))


def changes_forget(*, before: object, limit: int = 10_000) -> int:
    """Delete published changes older than the moment ``before``; at most ``limit``. Returns how many went."""
    old = Change.objects.filter(published_at__lt=before).order_by("id").values("id")[:limit]
    return Change.objects.filter(id__in=old).delete()[0]


def _publish_or_log(kind: str, subject_id: UUID) -> bool:
    try:
        return _publish(kind, subject_id)
    except Exception:
        logger.warning("change not published, will be tried again: %s %s", kind, subject_id, exc_info=True)
        return False


@transaction.atomic
def _publish(kind: str, subject_id: UUID) -> bool:
    """Publish one subject under a lock of its own: the last to publish has then read the newest state."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [f"tollgate.change:{kind}:{subject_id}"]
        )
    ids = list(Change.objects.filter(kind=kind, subject_id=subject_id, published_at=None).values_list("id", flat=True))
    if not ids or not _publishers:
        return False
    for publish in _publishers:
        publish(kind=kind, subject_id=subject_id)
    Change.objects.filter(id__in=ids).update(published_at=timezone.now())
    return True
