"""Writes that make a POST safe to repeat: the first answer to an idempotency key is kept for a day, encrypted.

Bodies may carry secrets that are shown once (a new credential), so they lie in the database only under the platform's key.
"""

import json
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.db import IntegrityError, transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from marketplace.errors import Conflict, InvalidInput
from marketplace.models import IdempotentAnswer
from marketplace.services.keyring import keyring_get

ANSWER_HOURS = 24
RUNNING_S_MAX = 120
"""A request that has not answered after so long was killed: its key may be tried again."""


class KeyReused(InvalidInput):
    """The key was used for another request."""

    code = "idempotency_key_reused"
    status = 422


@dataclass(frozen=True, slots=True)
class StoredAnswer:
    """The first answer to a key."""

    status: int
    body: Any


def answer_begin(*, owner: str, key: str, fingerprint: str) -> IdempotentAnswer | StoredAnswer:
    """Claim ``key`` for a request, or return the answer it already has. Commits at once.

    Raises KeyReused when the key belongs to another request, Conflict when the first one is still running.
    """
    _expired_forget(owner, key)
    try:
        with transaction.atomic():
            return IdempotentAnswer.objects.create(owner=owner, key=key, fingerprint=fingerprint)
    except IntegrityError:
        pass
    kept = IdempotentAnswer.objects.filter(owner=owner, key=key).first()
    if kept is not None and kept.fingerprint != fingerprint:
        raise KeyReused(_("This Idempotency-Key was used for another request. Use a new key for a new request."))
    if kept is None or kept.status is None:
        raise Conflict(
            _("The first request with this Idempotency-Key is still running. Try again in a moment."),
            code="idempotency_running",
        )
    return StoredAnswer(kept.status, json.loads(keyring_get().decrypt(str(kept.body))))


def answer_keep(*, answer: IdempotentAnswer, status: int, body: str) -> None:
    """Keep the answer (``body`` is JSON text) in the transaction of the work itself.

    Raises Conflict, which undoes the work, when the request took so long that its key was given to a later one.
    """
    rows = IdempotentAnswer.objects.filter(id=answer.id)
    if not rows.update(status=status, body=keyring_get().encrypt(body)):
        raise Conflict(_("The request took too long. Try again."), code="idempotency_lost")


def answer_release(*, answer: IdempotentAnswer) -> None:
    """Free the key of a request that did nothing, so that it can be tried again."""
    IdempotentAnswer.objects.filter(id=answer.id, status=None).delete()


def answers_forget(*, limit: int = 5_000) -> int:
    """Delete answers older than ANSWER_HOURS, at most ``limit``. Returns how many."""
    old = IdempotentAnswer.objects.filter(at__lt=timezone.now() - timedelta(hours=ANSWER_HOURS))
    return IdempotentAnswer.objects.filter(id__in=list(old.values_list("id", flat=True)[:limit])).delete()[0]


def _expired_forget(owner: str, key: str) -> None:
    now = timezone.now()
    rows = IdempotentAnswer.objects.filter(owner=owner, key=key)
    rows.filter(at__lt=now - timedelta(hours=ANSWER_HOURS)).delete()
    rows.filter(status=None, at__lt=now - timedelta(seconds=RUNNING_S_MAX)).delete()
