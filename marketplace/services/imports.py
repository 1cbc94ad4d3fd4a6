"""Writes that take an OpenAPI document into an Api: all of it or nothing, ids of operations kept over re-imports."""

from dataclasses import asdict, dataclass, field
from typing import Any

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from marketplace.contracts.definition import ApiPolicies
from marketplace.core.documents import Fault as DocumentFault
from marketplace.core.openapi import ImportedDocument, ImportedOperation, document_read
from marketplace.core.paths import template_parse
from marketplace.errors import DocumentRefused, Fault
from marketplace.models import Api, Operation, Person
from marketplace.services.audit import audit_record
from marketplace.services.stages import api_lock, search_tokens_set


@dataclass(frozen=True, slots=True)
class ImportReport:
    """What an import did. The lists hold ``METHOD /path``; ``warnings`` hold (JSON pointer into the document, text)."""

    title: str
    version: str
    created: list[str] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)
    retired: list[str] = field(default_factory=list)
    warnings: list[DocumentFault] = field(default_factory=list)
    policies_changed: list[str] = field(default_factory=list)
    suggested_upstream: str = ""
    suggested_timeout_ms: int = 0


@transaction.atomic
def api_import_openapi(*, api: Api, text: str, person: Person | None) -> ImportReport:
    """Replace the operations of an Api by those of an OpenAPI 3.0 or 3.1 document (YAML or JSON text).

    An operation with the same method and path keeps its id, also when its path parameters were renamed; one that is gone is
    retired. In force with the next deployment. Raises DocumentRefused with a fault for each thing to mend.
    """
    read = document_read(text)
    if read.faults:
        faults = [Fault(pointer, detail) for pointer, detail in read.faults]
        raise DocumentRefused(_("The document was not imported. Mend what is listed and try again."), faults=faults)
    api = api_lock(api=api)
    created, kept, retired = _operations_replace(api, read.operations)
    policies_changed = _document_keep(api, read)
    search_tokens_set(api)
    audit_record(
        verb="api.import",
        subject=api.public_id,
        person=person,
        organization=api.provider,
        detail={"version": read.version, "created": len(created), "kept": len(kept), "retired": len(retired)},
    )
    return ImportReport(
        title=read.title,
        version=read.version,
        created=created,
        kept=kept,
        retired=retired,
        warnings=read.warnings,
        policies_changed=policies_changed,
        suggested_upstream=read.hints.upstream_url or read.server_url,
        suggested_timeout_ms=read.hints.timeout_ms,
    )


def _operations_replace(api: Api, operations: list[ImportedOperation]) -> tuple[list[str], list[str], list[str]]:
    present = list(Operation.objects.select_for_update().filter(api=api))
    exact = {(row.method, row.path_template): row for row in present}
    wanted = {(operation.method, operation.path_template) for operation in operations}
    by_shape = {
        (row.method, template_parse(row.path_template).shape): row
        for row in present
        if (row.method, row.path_template) not in wanted and row.retired_at is None
    }
    created: list[Operation] = []
    kept: list[Operation] = []
    for position, operation in enumerate(operations):
        row = exact.get((operation.method, operation.path_template)) or by_shape.pop(
            (operation.method, operation.shape), None
        )
        (created if row is None else kept).append(_operation_fill(row or Operation(api=api), operation, position))
    gone = {row.id for row in present} - {row.id for row in kept}
    retired = [row for row in present if row.id in gone and row.retired_at is None]
    Operation.objects.filter(id__in=[row.id for row in retired]).update(retired_at=timezone.now())
    Operation.objects.bulk_update(kept, _OPERATION_FIELDS, batch_size=200)
    Operation.objects.bulk_create(created, batch_size=200)
    return _shown(created), _shown(kept), _shown(retired)


_OPERATION_FIELDS = [
    "method",
    "path_template",
    "name",
    "summary",
    "description",
    "tag",
    "parameters",
    "request_body",
    "responses",
    "position",
    "retired_at",
]


def _operation_fill(row: Operation, operation: ImportedOperation, position: int) -> Operation:
    for name in _OPERATION_FIELDS[:-2]:
        setattr(row, name, getattr(operation, name))
    row.position, row.retired_at = position, None
    return row


def _document_keep(api: Api, read: ImportedDocument) -> list[str]:
    """Keep the document, fill in an empty description, and set the policies that its extensions name. Returns those."""
    before: dict[str, Any] = asdict(ApiPolicies.from_dict(api.policies))
    changed = sorted(name for name, value in read.hints.policies.items() if before[name] != value)
    if changed:
        api.policies = {**before, **read.hints.policies}
    api.document, api.document_version = read.document, read.version
    api.description = api.description or read.description
    api.save(update_fields=["document", "document_version", "description", "policies", "updated_at"])
    return changed


def _shown(rows: list[Operation]) -> list[str]:
    return [f"{row.method} {row.path_template}" for row in rows]
