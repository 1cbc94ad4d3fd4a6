"""Writes about who may call what: apps and grants. Credentials are in ``services.credentials``.

Each change is announced to the gateways in its own transaction (``services.changes``).
"""

from dataclasses import asdict
from datetime import datetime
from typing import Any
from uuid import UUID
from zoneinfo import available_timezones

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from marketplace.contracts.limits import Limits, LimitsTurn
from marketplace.core.limits import limits_faults
from marketplace.errors import Conflict, Fault, InvalidInput, LimitReached, NameTaken
from marketplace.models import Api, App, Grant, Organization, Person, StageName
from marketplace.services.accounts import entity_check, fields_set
from marketplace.services.audit import audit_record
from marketplace.services.changes import change_announce
from marketplace.services.credentials import (
    IssuedCredential,
    credential_issue,
    credential_revoke,
    credential_rotate,
)

__all__ = [
    "IssuedCredential",
    "app_create",
    "app_delete",
    "app_suspend",
    "app_update",
    "credential_issue",
    "credential_revoke",
    "credential_rotate",
    "grant_issue",
    "grant_limits_set",
    "grant_revoke",
]

APPS_PER_ORGANIZATION_MAX = 100
GRANTS_PER_APP_MAX = 200
_TIME_ZONES = frozenset(available_timezones())


@transaction.atomic
def app_create(*, organization: Organization, name: str, person: Person | None, description: str = "") -> App:
    """Create an app without credentials. Raises InvalidInput, NameTaken, LimitReached."""
    _apps_lock(organization.id)
    if organization.apps.filter(deleted_at=None).count() >= APPS_PER_ORGANIZATION_MAX:
        raise LimitReached(
            _("The organization has %(max)d apps, which is the most there can be. Delete one first.")
            % {"max": APPS_PER_ORGANIZATION_MAX}
        )
    app = App(organization=organization, name=name.strip(), description=description.strip())
    entity_check(app)
    _name_require_free(app)
    app.save()
    audit_record(
        verb="app.create", subject=app.public_id, person=person, organization=organization, detail={"name": app.name}
    )
    change_announce(kind="app", subject_id=app.id)
    return app


@transaction.atomic
def app_update(*, app: App, person: Person | None, **fields: Any) -> App:
    """Change an app's name or description. Raises InvalidInput, NameTaken; Conflict when it is deleted."""
    app = fields_set(app, fields, allowed=frozenset({"name", "description"}))
    _apps_lock(app.organization_id)  # after the app's own row, as its callers have that one locked already
    _living_require(app)
    _name_require_free(app)
    app.save()
    audit_record(
        verb="app.update",
        subject=app.public_id,
        person=person,
        organization=app.organization,
        detail={"fields": sorted(fields)},
    )
    change_announce(kind="app", subject_id=app.id)
    return app


@transaction.atomic
def app_suspend(*, app: App, person: Person | None, is_suspended: bool = True, reason: str = "") -> App:
    """Stop (or let go on) all calls of an app, keeping its credentials and grants. Raises Conflict when it is deleted."""
    app = App.objects.select_for_update(of=("self",)).select_related("organization").get(id=app.id)
    _living_require(app)
    app.is_suspended = is_suspended
    app.save(update_fields=["is_suspended"])
    verb = "app.suspend" if is_suspended else "app.resume"
    audit_record(
        verb=verb,
        subject=app.public_id,
        person=person,
        organization=app.organization,
        detail={"reason": reason[:300]},
    )
    change_announce(kind="app", subject_id=app.id)
    return app


@transaction.atomic
def app_delete(*, app: App, person: Person | None) -> App:
    """Delete an app: its credentials and grants end now; its row stays, since usage refers to it. Safe to repeat."""
    app = App.objects.select_for_update().get(id=app.id)
    if app.deleted_at is not None:
        return app
    now = timezone.now()
    app.deleted_at = now
    app.save(update_fields=["deleted_at"])
    app.credentials.filter(revoked_at=None).update(revoked_at=now)
    app.grants.filter(revoked_at=None).update(revoked_at=now)
    audit_record(verb="app.delete", subject=app.public_id, person=person, organization=app.organization)
    change_announce(kind="app", subject_id=app.id)
    return app


@transaction.atomic
def grant_issue(
    *,
    app: App,
    api: Api,
    stage: str,
    limits: Limits,
    starts_at: datetime,
    ends_at: datetime | None = None,
    source: str = "",
) -> Grant:
    """Let ``app`` call ``api`` on ``stage`` within ``limits`` during [starts_at, ends_at).

    ``source`` names who asked (the public id of a subscription). Raises InvalidInput for bad limits, times or stage,
    Conflict when the app is deleted or holds a live grant for this api and stage, LimitReached.
    """
    app = App.objects.select_for_update().get(id=app.id)
    _living_require(app)
    _grant_check(stage=stage, limits=limits, starts_at=starts_at, ends_at=ends_at)
    live = app.grants.filter(revoked_at=None)
    if live.filter(api=api, stage=stage).exists():
        raise Conflict(
            _("The app may call this API on this stage already. End that grant first."), code="grant_already"
        )
    if live.count() >= GRANTS_PER_APP_MAX:
        raise LimitReached(_("The app has as many grants as it can have."))
    grant = Grant.objects.create(
        app=app, api=api, stage=stage, limits=asdict(limits), source=source, starts_at=starts_at, ends_at=ends_at
    )
    audit_record(
        verb="grant.issue",
        subject=grant.public_id,
        organization=app.organization,
        detail={"app": app.public_id, "api": api.public_id, "stage": stage, "source": source},
    )
    change_announce(kind="app", subject_id=app.id)
    return grant


@transaction.atomic
def grant_limits_set(
    *, grant: Grant, limits: Limits, turn: LimitsTurn | None = None, ends_at: datetime | object | None = ...
) -> Grant:
    """Replace the limits (and, when given, the end) of a live grant. Raises InvalidInput; Conflict when it is revoked.

    ``turn``: the limits that take over later, at their moment to the second; without it none do.
    """
    grant = Grant.objects.select_for_update().get(id=grant.id)
    if grant.revoked_at is not None:
        raise Conflict(_("This grant has ended. Issue a new one."), code="grant_revoked")
    if ends_at is not ...:
        grant.ends_at = ends_at  # type: ignore[assignment]
    for one in (limits, turn.limits) if turn else (limits,):
        _grant_check(stage=grant.stage, limits=one, starts_at=grant.starts_at, ends_at=grant.ends_at)
    grant.limits = {**asdict(limits), "turn": asdict(turn)} if turn else asdict(limits)
    grant.save(update_fields=["limits", "ends_at"])
    audit_record(verb="grant.limits_set", subject=grant.public_id, organization=grant.app.organization)
    change_announce(kind="app", subject_id=grant.app_id)
    return grant


@transaction.atomic
def grant_revoke(*, grant: Grant) -> Grant:
    """End a grant now; every gateway refuses its calls within two seconds. Safe to repeat."""
    grant = Grant.objects.select_for_update().get(id=grant.id)
    if grant.revoked_at is not None:
        return grant
    grant.revoked_at = timezone.now()
    grant.save(update_fields=["revoked_at"])
    audit_record(verb="grant.revoke", subject=grant.public_id, organization=grant.app.organization)
    change_announce(kind="app", subject_id=grant.app_id)
    return grant


def _apps_lock(organization_id: UUID) -> None:
    """One change of an organization's apps at a time; rows that only refer to it may go on being written."""
    Organization.objects.select_for_update(no_key=True).get(id=organization_id)


def _name_require_free(app: App) -> None:
    """Two living apps of one name would look alike in every menu."""
    others = App.objects.filter(organization_id=app.organization_id, deleted_at=None).exclude(id=app.id)
    if others.filter(name__iexact=app.name.strip()).exists():
        message = _(
            "Your organization has an app of this name already. Choose another, so that they can be told apart."
        )
        raise NameTaken(message, faults=[Fault("/name", message)])


def _living_require(app: App) -> None:
    if app.deleted_at is not None:
        raise Conflict(_("This app is deleted."), code="app_deleted")


def _grant_check(*, stage: str, limits: Limits, starts_at: datetime, ends_at: datetime | None) -> None:
    faults = [Fault(f"/limits{pointer}", text) for pointer, text in limits_faults(limits, time_zones=_TIME_ZONES)]
    if stage not in StageName.values:
        faults.append(Fault("/stage", _("Choose one of: %(stages)s.") % {"stages": ", ".join(StageName.values)}))
    if ends_at is not None and ends_at <= starts_at:
        faults.append(Fault("/ends_at", _("The end must come after the start.")))
    if faults:
        raise InvalidInput(_("The grant cannot be issued as asked."), faults=faults)
