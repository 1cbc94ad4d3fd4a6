"""The trail of who did what: one appended row for each deed that matters to security or money."""

from collections.abc import Mapping
from typing import Any

from marketplace.models import AuditEvent, Organization, Person


def audit_record(
    *,
    verb: str,
    subject: str,
    person: Person | None = None,
    organization: Organization | None = None,
    detail: Mapping[str, Any] | None = None,
) -> AuditEvent:
    """Append a deed. ``verb`` is ``entity.action``; ``subject`` the public id of the object; person None is the platform.

    Call it in the transaction of the deed itself. Never put a secret into ``detail``.
    """
    return AuditEvent.objects.create(
        verb=verb, subject=subject, person=person, organization=organization, detail=dict(detail or {})
    )
