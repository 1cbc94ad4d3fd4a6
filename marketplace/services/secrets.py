"""Re-encrypts stored signing secrets after TOLLGATE_SECRET_KEYS got a new current key, so that the old key can be dropped."""

from dataclasses import dataclass
from uuid import UUID

from django.db import transaction

from marketplace.core.secrets import SecretFault
from marketplace.models import Credential
from marketplace.services.changes import change_announce
from marketplace.services.keyring import keyring_get

CREDENTIALS_PER_BATCH = 500
"""Credentials locked and re-encrypted in one transaction."""


@dataclass(frozen=True, slots=True)
class Rotation:
    """What a rotation did: how many secrets are now under the current key, and which credentials could not be read."""

    reencrypted: int
    unreadable: tuple[str, ...]


def secrets_rotate() -> Rotation:
    """Bring every stored signing secret under the current key and announce the apps. Safe to repeat and to interrupt.

    A secret whose key is missing is left as it is and reported by the public id of its credential.
    """
    current = f"{keyring_get().current_id}:"
    stale = Credential.objects.exclude(secret_encrypted="").exclude(secret_encrypted__startswith=current)
    done = 0
    unreadable: list[str] = []
    last = None
    while True:
        page = stale if last is None else stale.filter(id__gt=last)
        ids = list(page.order_by("id").values_list("id", flat=True)[:CREDENTIALS_PER_BATCH])
        if not ids:
            return Rotation(reencrypted=done, unreadable=tuple(unreadable))
        failed = _batch_rotate(ids)
        done += len(ids) - len(failed)
        unreadable += failed
        last = ids[-1]


@transaction.atomic
def _batch_rotate(ids: list[UUID]) -> list[str]:
    ring = keyring_get()
    failed = []
    apps: dict[UUID, bool] = {}
    for credential in Credential.objects.select_for_update().filter(id__in=ids):
        try:
            credential.secret_encrypted = ring.reencrypt(credential.secret_encrypted)
        except SecretFault as fault:
            failed.append(f"{credential.public_id}: {fault}")
            continue
        credential.save(update_fields=["secret_encrypted"])
        apps[credential.app_id] = credential.revoked_at is None or apps.get(credential.app_id, False)
    for app_id, has_live in apps.items():
        if has_live:
            change_announce(kind="app", subject_id=app_id)
    return failed
