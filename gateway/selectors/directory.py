"""Reads the directory as gateways know it: one DirectoryEntry per live credential, with the app's grants. Never writes."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db.models import Prefetch, Q

from gateway.core.store_keys import APP_CODE_PREFIX, APP_KEY_PREFIX
from marketplace.models import App, Credential, CredentialKind, Grant


@dataclass(frozen=True, slots=True)
class AppEntries:
    """What Valkey must hold about one app: ``live`` maps keys to entries, ``ended`` are keys that must be gone."""

    app_id: UUID
    live: dict[str, dict[str, Any]] = field(default_factory=dict)
    ended: tuple[str, ...] = ()


def app_entries_list(app_ids: Iterable[UUID], *, now: datetime) -> list[AppEntries]:
    """The entries of the given apps as of ``now``; apps that do not exist are left out.

    Suspended apps, and those of suspended organizations, keep their entries (calls are refused with a reason); deleted
    apps have none. Grants that have ended by
    time are kept, so that a call is told that its authorization expired; revoked ones are not.
    """
    grants = Grant.objects.filter(revoked_at=None).order_by("id")
    apps = App.objects.filter(id__in=list(app_ids)).select_related("organization")
    found = apps.prefetch_related("credentials", Prefetch("grants", queryset=grants, to_attr="unrevoked")).order_by(
        "id"
    )
    return [_entries(app, now) for app in found]


def live_keys_filter(keys: Iterable[str], *, now: datetime) -> set[str]:
    """Which of these directory keys belong to a live credential."""
    wanted = list(keys)
    app_keys = [key.removeprefix(APP_KEY_PREFIX) for key in wanted if key.startswith(APP_KEY_PREFIX)]
    codes = [key.removeprefix(APP_CODE_PREFIX) for key in wanted if key.startswith(APP_CODE_PREFIX)]
    live = Credential.objects.filter(_live(now), app__deleted_at=None)
    pairs = live.filter(kind=CredentialKind.KEY_PAIR, identifier__in=app_keys)
    simple = live.filter(kind=CredentialKind.APP_CODE, code_hash__in=codes)
    return {credential_key(credential) for credential in [*pairs, *simple]}


def credential_key(credential: Credential) -> str:
    """The Valkey key of a credential: by AppKey, or by the SHA-256 of the AppCode."""
    if credential.kind == CredentialKind.APP_CODE:
        return APP_CODE_PREFIX + credential.code_hash
    return APP_KEY_PREFIX + credential.identifier


def _live(now: datetime) -> Q:
    return Q(revoked_at=None) & (Q(expires_at=None) | Q(expires_at__gt=now))


def _entries(app: App, now: datetime) -> AppEntries:
    common = {
        "app_id": str(app.id),
        "app_name": app.name,
        "organization_id": str(app.organization_id),
        "organization_name": app.organization.name,
        "suspended": app.is_suspended or app.organization.is_suspended,
        "grants": [_grant(grant) for grant in app.unrevoked],  # type: ignore[attr-defined]
    }
    live: dict[str, dict[str, Any]] = {}
    ended = []
    for credential in app.credentials.all():
        key = credential_key(credential)
        if app.deleted_at or credential.revoked_at or (credential.expires_at and credential.expires_at <= now):
            ended.append(key)
            continue
        live[key] = {
            **common,
            "credential_id": str(credential.id),
            "kind": credential.kind,
            "secret": credential.secret_encrypted,
            "expires_at": credential.expires_at.timestamp() if credential.expires_at else None,
        }
    return AppEntries(app_id=app.id, live=live, ended=tuple(ended))


def _grant(grant: Grant) -> dict[str, Any]:
    return {
        "id": str(grant.id),
        "api_id": str(grant.api_id),
        "stage": grant.stage,
        "starts_at": grant.starts_at.timestamp(),
        "ends_at": grant.ends_at.timestamp() if grant.ends_at else None,
        "limits": grant.limits,
    }
