"""Re-encrypts stored secrets after TOLLGATE_SECRET_KEYS got a new current key, so that the old key can be dropped.

They are the signing secrets of credentials and the seeds of people's second factors.
"""

from dataclasses import dataclass
from uuid import UUID

from allauth.mfa.models import Authenticator
from django.db import transaction

from marketplace.core.secrets import SecretFault
from marketplace.models import Credential
from marketplace.services.changes import change_announce
from marketplace.services.keyring import keyring_get

CREDENTIALS_PER_BATCH = 500
"""Credentials locked and re-encrypted in one transaction."""
SEEDS = {Authenticator.Type.TOTP: "secret", Authenticator.Type.RECOVERY_CODES: "seed"}
"""Where an authenticator's data holds what must be read again."""


@dataclass(frozen=True, slots=True)
class Rotation:
    """What a rotation did: how many secrets are now under the current key, and what could not be read."""

    reencrypted: int
    unreadable: tuple[str, ...]


def secrets_rotate() -> Rotation:
    """Bring every stored secret under the current key and announce the apps. Safe to repeat and to interrupt.

    A secret whose key is missing is left as it is and reported by the public id of its credential or person.
    """
    signing, second = _signing_rotate(), _second_factors_rotate()
    return Rotation(
        reencrypted=signing.reencrypted + second.reencrypted, unreadable=signing.unreadable + second.unreadable
    )


def _signing_rotate() -> Rotation:
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


def _second_factors_rotate() -> Rotation:
    """Seeds of authenticator apps and of recovery codes, one person's at a time: they change with every login."""
    done = 0
    unreadable: list[str] = []
    for kind, name in SEEDS.items():
        stale = Authenticator.objects.filter(type=kind).exclude(
            **{f"data__{name}__startswith": f"{keyring_get().current_id}:"}
        )
        for identity in list(stale.values_list("id", flat=True)):
            fault = _seed_rotate(identity, name)
            done += not fault
            unreadable += [fault] if fault else []
    return Rotation(reencrypted=done, unreadable=tuple(unreadable))


@transaction.atomic
def _seed_rotate(identity: int, name: str) -> str:
    """The fault, in words, or nothing."""
    found = Authenticator.objects.select_for_update(of=("self",)).select_related("user").filter(id=identity).first()
    if found is None:  # turned off meanwhile
        return ""
    try:
        found.data[name] = keyring_get().reencrypt(found.data[name])
    except SecretFault as fault:
        return f"{found.user.public_id} ({found.type}): {fault}"
    found.save(update_fields=["data"])
    return ""
