"""Writes about an app's credentials: issue, rotate with a grace time, revoke. A secret is returned once and never again."""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _

from marketplace.core.credentials import (
    APP_CODE_ENTROPY_BYTES,
    APP_CODE_HINT_LENGTH,
    APP_KEY_ENTROPY_BYTES,
    SECRET_ENTROPY_BYTES,
    app_code_make,
    app_key_make,
    app_secret_make,
    secret_hash,
)
from marketplace.errors import Conflict, Fault, InvalidInput, LimitReached
from marketplace.models import App, Credential, CredentialKind, Person
from marketplace.services.audit import audit_record
from marketplace.services.changes import change_announce
from marketplace.services.keyring import keyring_get

GRACE_S_MAX = 30 * 24 * 3600
"""How long the old credential can live on after a rotation, in seconds."""


@dataclass(frozen=True, slots=True)
class IssuedCredential:
    """A new credential with what its owner must keep: key and secret of a pair, or the AppCode. The rest is empty."""

    credential: Credential
    app_key: str = ""
    app_secret: str = ""
    app_code: str = ""

    def __repr__(self) -> str:
        return f"IssuedCredential({self.credential.public_id}, secrets hidden)"


@transaction.atomic
def credential_issue(*, app: App, kind: str, person: Person | None) -> IssuedCredential:
    """Give an app a new credential of ``kind`` (key_pair or app_code). Raises LimitReached when two of the kind live already."""
    app = _app_lock(app)
    _kind_check(kind)
    if _live(app, kind).count() >= Credential.LIVE_MAX:
        raise LimitReached(
            _("The app has two live credentials of this kind, which is the most there can be. Revoke one first."),
            code="credentials_two",
        )
    issued = _credential_make(app, kind)
    _note(issued.credential, "credential.issue", person)
    return issued


@transaction.atomic
def credential_rotate(*, credential: Credential, person: Person | None, grace_s: int = 24 * 3600) -> IssuedCredential:
    """Replace a credential: a new one of its kind now, and the old one ends in ``grace_s`` seconds (0: at once).

    Raises Conflict when it has ended, LimitReached when a rotation of its kind is still in its grace time, InvalidInput.
    """
    if not 0 <= grace_s <= GRACE_S_MAX:
        message = _("The grace time is from 0 to %(max)d seconds.") % {"max": GRACE_S_MAX}
        raise InvalidInput(message, faults=[Fault("/grace_s", message)])
    app = _app_lock(credential.app)
    now = timezone.now()
    old = Credential.objects.select_for_update().get(id=credential.id)
    if old.has_ended:
        raise Conflict(_("This credential has ended. Issue a new one."), code="credential_ended")
    if grace_s == 0:
        old.revoked_at = now
    elif _live(app, old.kind).count() >= Credential.LIVE_MAX:
        raise LimitReached(
            _("Two credentials of this kind are live already. Revoke one, or rotate without a grace time."),
            code="credentials_two",
        )
    else:
        end = now + timedelta(seconds=grace_s)
        old.expires_at = min(old.expires_at, end) if old.expires_at else end
    old.save(update_fields=["revoked_at", "expires_at"])
    issued = _credential_make(app, old.kind)
    _note(issued.credential, "credential.rotate", person, replaces=old.public_id, grace_s=grace_s)
    return issued


@transaction.atomic
def credential_revoke(*, credential: Credential, person: Person | None) -> Credential:
    """End a credential now; every gateway refuses it within two seconds. Safe to repeat."""
    _app_lock(credential.app, is_living=False)
    rows = Credential.objects.select_for_update(of=("self",)).select_related("app__organization")
    credential = rows.get(id=credential.id)
    if credential.revoked_at is None:
        credential.revoked_at = timezone.now()
        credential.save(update_fields=["revoked_at"])
        _note(credential, "credential.revoke", person)
    return credential


@transaction.atomic
def credentials_used_note(*, used_at: Mapping[UUID, datetime]) -> int:
    """Note when credentials were last used; an earlier moment than the one known changes nothing. Returns how many moved.

    Ids that are not credentials are passed over.
    """
    rows = Credential.objects.select_for_update(no_key=True).filter(id__in=list(used_at)).order_by("id")
    moved = [row for row in rows if row.last_used_at is None or row.last_used_at < used_at[row.id]]
    for row in moved:
        row.last_used_at = used_at[row.id]
    return Credential.objects.bulk_update(moved, ["last_used_at"], batch_size=500)


def _credential_make(app: App, kind: str) -> IssuedCredential:
    if kind == CredentialKind.APP_CODE:
        code = app_code_make(secrets.token_bytes(APP_CODE_ENTROPY_BYTES))
        credential = Credential.objects.create(
            app=app, kind=kind, identifier=code[:APP_CODE_HINT_LENGTH], code_hash=secret_hash(code)
        )
        return IssuedCredential(credential, app_code=code)
    key = app_key_make(secrets.token_bytes(APP_KEY_ENTROPY_BYTES))
    secret = app_secret_make(secrets.token_bytes(SECRET_ENTROPY_BYTES))
    credential = Credential.objects.create(
        app=app, kind=kind, identifier=key, secret_encrypted=keyring_get().encrypt(secret)
    )
    return IssuedCredential(credential, app_key=key, app_secret=secret)


def _app_lock(app: App, *, is_living: bool = True) -> App:
    """Lock the app: at most two live credentials of a kind holds however many people rotate at once."""
    app = App.objects.select_for_update().get(id=app.id)
    if is_living and app.deleted_at is not None:
        raise Conflict(_("This app is deleted."), code="app_deleted")
    return app


def _live(app: App, kind: str) -> QuerySet[Credential]:
    not_ended = Q(expires_at=None) | Q(expires_at__gt=timezone.now())
    return app.credentials.filter(not_ended, kind=kind, revoked_at=None)


def _kind_check(kind: str) -> None:
    if kind not in CredentialKind.values:
        message = _("The kind is key_pair or app_code.")
        raise InvalidInput(message, faults=[Fault("/kind", message)])


def _note(credential: Credential, verb: str, person: Person | None, **detail: object) -> None:
    audit_record(
        verb=verb,
        subject=credential.public_id,
        person=person,
        organization=credential.app.organization,
        detail={"app": credential.app.public_id, "kind": credential.kind, **detail},
    )
    change_announce(kind="app", subject_id=credential.app_id)
