"""Writes that put an Api live: publish an immutable deployment on a stage, go back to an earlier one, withdraw."""

import hashlib
import json
from dataclasses import asdict
from typing import Any

from django.db import transaction
from django.db.models import Max
from django.utils.translation import gettext as _

from marketplace.contracts.definition import ApiDefinition, ApiPolicies, OperationDefinition, UpstreamDefinition
from marketplace.errors import Conflict, Fault, InvalidInput
from marketplace.models import Activation, Api, Deployment, Person, Stage
from marketplace.models.base import id_mint
from marketplace.services.audit import audit_record
from marketplace.services.changes import change_announce
from marketplace.services.stages import api_lock, stage_lock

NOTE_LENGTH_MAX = 300


@transaction.atomic
def deployment_publish(*, api: Api, stage: str, person: Person | None, note: str = "") -> Deployment:
    """Freeze the Api as it is now into a deployment, and make it live on ``stage`` (test, pre or release).

    Numbers count 1, 2, 3 … without a gap per stage. Raises InvalidInput when the Api has no operation or the stage no
    upstream, or the note is too long.
    """
    api = api_lock(api=api)
    row = stage_lock(api=api, stage=stage)
    identity = id_mint()
    definition = json.loads(json.dumps(asdict(_definition_make(api, row, deployment_id=str(identity)))))
    _note_check(note)
    last = row.deployments.aggregate(last=Max("number"))["last"] or 0
    deployment = Deployment.objects.create(
        id=identity,
        stage=row,
        number=last + 1,
        definition=definition,
        checksum=definition_checksum(definition),
        note=note,
        deployed_by=person,
    )
    _activate(row, deployment, kind="deploy", person=person)
    return deployment


@transaction.atomic
def deployment_rollback(*, stage: Stage, deployment: Deployment, person: Person | None) -> Activation:
    """Make an earlier (or later) deployment of the stage live again, exactly as it was. Raises Conflict, InvalidInput."""
    row = _stage_lock(stage)
    if deployment.stage_id != row.id:
        message = _("This deployment belongs to another stage.")
        raise InvalidInput(message, faults=[Fault("/deployment", message)])
    if row.live_deployment_id == deployment.id:
        raise Conflict(_("This deployment is live already."), code="deployment_live")
    return _activate(row, deployment, kind="rollback", person=person)


@transaction.atomic
def deployment_withdraw(*, stage: Stage, person: Person | None) -> Activation:
    """Take the stage offline: gateways answer its calls as unknown within two seconds. Raises Conflict when nothing is live."""
    row = _stage_lock(stage)
    if row.live_deployment_id is None:
        raise Conflict(_("Nothing is live on this stage."), code="stage_offline")
    return _activate(row, None, kind="withdraw", person=person)


def definition_checksum(definition: dict[str, Any]) -> str:
    """Return the hex SHA-256 of a definition's canonical JSON (sorted keys, no spaces, UTF-8)."""
    text = json.dumps(definition, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def _definition_make(api: Api, stage: Stage, *, deployment_id: str) -> ApiDefinition:
    operations = tuple(
        OperationDefinition(str(operation.id), operation.method, operation.path_template, operation.name)
        for operation in api.operations.filter(retired_at=None)
    )
    faults = []
    if not operations:
        faults.append(Fault("/operations", _("Import an OpenAPI document first: the API has no operation.")))
    if not stage.upstream_url:
        faults.append(Fault("/stage/upstream_url", _("Set the upstream of this stage first.")))
    if faults:
        raise InvalidInput(" ".join(fault.detail for fault in faults), code="deployment_incomplete", faults=faults)
    return ApiDefinition(
        api_id=str(api.id),
        api_name=api.name,
        provider_id=str(api.provider_id),
        deployment_id=deployment_id,
        stage=stage.name,
        base_path=api.base_path,
        upstream=UpstreamDefinition(stage.upstream_url, stage.upstream_host, stage.upstream_timeout_ms),
        operations=operations,
        policies=ApiPolicies.from_dict(api.policies),
        document_version=api.document_version,
    )


def _activate(stage: Stage, deployment: Deployment | None, *, kind: str, person: Person | None) -> Activation:
    stage.live_deployment = deployment
    stage.save(update_fields=["live_deployment"])
    activation = Activation.objects.create(stage=stage, deployment=deployment, kind=kind, person=person)
    audit_record(
        verb=f"deployment.{kind}",
        subject=deployment.public_id if deployment else stage.public_id,
        person=person,
        organization=stage.api.provider,
        detail={"stage": stage.name, "number": deployment.number if deployment else None},
    )
    change_announce(kind="catalog", subject_id=stage.api_id)
    return activation


def _stage_lock(stage: Stage) -> Stage:
    """Lock the stage alone: a lock on its provider too would hold up everybody whose row refers to it."""
    return Stage.objects.select_for_update(of=("self",)).select_related("api__provider").get(id=stage.id)


def _note_check(note: str) -> None:
    if len(note) > NOTE_LENGTH_MAX:
        message = _("The note has more than %(max)d characters.") % {"max": NOTE_LENGTH_MAX}
        raise InvalidInput(message, faults=[Fault("/note", message)])
