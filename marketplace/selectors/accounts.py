"""Shows who exists, and answers what a person may see and do. A stranger is told that an object does not exist.

``within`` narrows every answer to one organization: an organization's access token sees nothing else.
"""

import hashlib
from datetime import datetime
from typing import TypeVar

from django.db.models import Q, QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _

from marketplace.core.credentials import access_token_is_wellformed, secret_hash
from marketplace.core.ids import MalformedId
from marketplace.core.permissions import Action, platform_role_permits, role_permits
from marketplace.errors import NotFound, NotPermitted
from marketplace.models import AccessToken, Invitation, Membership, Organization, Person
from marketplace.models.base import Entity

Kind = TypeVar("Kind", bound=Entity)


def role_get(*, person: Person, organization: Organization) -> str:
    """Return the person's role in an organization, or an empty string for none."""
    role = Membership.objects.filter(person=person, organization=organization).values_list("role", flat=True).first()
    return role or ""


def is_permitted(*, person: Person, organization: Organization, action: Action) -> bool:
    """Return whether the person may do ``action`` in the organization, by membership or platform role."""
    return role_permits(role_get(person=person, organization=organization), action) or _platform_permits(person, action)


def permission_require(*, person: Person, organization: Organization, action: Action) -> None:
    """Raise NotFound for a stranger, NotPermitted for a member whose role does not allow ``action``."""
    role = role_get(person=person, organization=organization)
    if role_permits(role, action) or _platform_permits(person, action):
        return
    if not role and not platform_is_staff(person):
        raise NotFound(_("There is no such object, or you may not see it."))
    raise NotPermitted(_("Your role in %(organization)s does not allow this.") % {"organization": organization.name})


def platform_is_staff(person: Person) -> bool:
    """Return whether the person has a platform role."""
    return person.is_platform_operator or person.is_platform_finance


def operator_require(*, person: Person, within: Organization | None = None) -> None:
    """Raise NotPermitted unless the caller is an operator of the platform, and not through an organization's token."""
    if not person.is_platform_operator or within is not None:
        raise NotPermitted(_("Only the platform's operators can do this."), code="operator_required")


def entity_find(model: type[Kind], rows: QuerySet[Kind], public_id: str) -> Kind:
    """Return the row of ``rows`` with a public id. Raises NotFound, also for an id that is not one."""
    try:
        identity = model.id_from_public(public_id)
        return rows.get(id=identity)
    except (MalformedId, model.DoesNotExist) as error:
        raise NotFound(_("There is no such object, or you may not see it.")) from error


def memberships_list(*, person: Person, within: Organization | None = None) -> QuerySet[Membership]:
    """The person's memberships with their organizations, oldest first."""
    rows = Membership.objects.filter(person=person).select_related("organization").order_by("id")
    return rows.filter(organization=within) if within else rows


def organizations_list(*, person: Person, within: Organization | None = None) -> QuerySet[Organization]:
    """The organizations that the person is a member of."""
    rows = Organization.objects.filter(memberships__person=person)
    return rows.filter(id=within.id) if within else rows


def organization_get(
    *, person: Person, public_id: str, action: Action = "organization.view", within: Organization | None = None
) -> Organization:
    """One organization, by public id or slug, that the person may do ``action`` in. Raises NotFound, NotPermitted."""
    rows = Organization.objects.filter(id=within.id) if within else Organization.objects.all()
    if public_id.startswith("org_") or "\x00" in public_id:
        organization = entity_find(Organization, rows, public_id)
    else:
        found = rows.filter(slug=public_id[:60]).first()
        if found is None:
            raise NotFound(_("There is no such object, or you may not see it."))
        organization = found
    permission_require(person=person, organization=organization, action=action)
    return organization


def members_list(*, organization: Organization) -> QuerySet[Membership]:
    """The members of an organization, oldest first."""
    return organization.memberships.select_related("person").order_by("id")


def membership_get(
    *, person: Person, public_id: str, action: Action = "member.manage", within: Organization | None = None
) -> Membership:
    """One membership of an organization in which the person may do ``action``. A member may always see (and end) their own."""
    rows = Membership.objects.select_related("organization", "person")
    membership = entity_find(Membership, _narrow(rows, within), public_id)
    if membership.person_id != person.id:
        permission_require(person=person, organization=membership.organization, action=action)
    return membership


def invitations_list(*, organization: Organization) -> QuerySet[Invitation]:
    """The open invitations of an organization, newest first."""
    return organization.invitations.filter(
        accepted_at=None, withdrawn_at=None, expires_at__gt=timezone.now()
    ).select_related("invited_by")


def invitation_get(*, person: Person, public_id: str, within: Organization | None = None) -> Invitation:
    """One invitation of an organization whose members the person manages. Raises NotFound, NotPermitted."""
    rows = Invitation.objects.select_related("organization", "invited_by")
    invitation = entity_find(Invitation, _narrow(rows, within), public_id)
    permission_require(person=person, organization=invitation.organization, action="member.manage")
    return invitation


def invitations_unsent(*, invitation_id: str = "", older_than: datetime | None = None) -> QuerySet[Invitation]:
    """Open invitations that no mail has gone out for; one of them, or those made before a moment. At most 500."""
    rows = Invitation.objects.filter(
        sent_at=None, accepted_at=None, withdrawn_at=None, expires_at__gt=timezone.now()
    ).order_by("id")
    if invitation_id:
        rows = rows.filter(id=invitation_id)
    if older_than is not None:
        rows = rows.filter(created_at__lt=older_than)
    return rows[:500]


def invitation_by_token(*, token: str) -> Invitation | None:
    """The open invitation behind a link, to show it before somebody accepts; None for none."""
    token_hash = hashlib.sha256(token[:200].encode("utf-8", "surrogatepass")).digest()
    rows = Invitation.objects.filter(accepted_at=None, withdrawn_at=None, expires_at__gt=timezone.now())
    return rows.filter(token_hash=token_hash).select_related("organization", "invited_by").first()


def access_tokens_list(*, person: Person, organization: Organization | None = None) -> QuerySet[AccessToken]:
    """The person's own live tokens; or all live tokens of ``organization``, for those who may manage them."""
    rows = AccessToken.objects.filter(revoked_at=None).select_related("organization", "person")
    return rows.filter(organization=organization) if organization else rows.filter(person=person)


def access_token_get(*, person: Person, public_id: str) -> AccessToken:
    """One token that the person holds, or of an organization whose tokens they manage. Raises NotFound, NotPermitted."""
    token = entity_find(AccessToken, AccessToken.objects.select_related("organization", "person"), public_id)
    if token.person_id == person.id:
        return token
    if token.organization is None:
        raise NotFound(_("There is no such object, or you may not see it."))
    permission_require(person=person, organization=token.organization, action="member.manage")
    return token


def access_token_find(*, text: str) -> AccessToken | None:
    """The live token with this text, its holder still active (and still a member, for an organization's); else None."""
    if not access_token_is_wellformed(text):
        return None
    live = Q(expires_at=None) | Q(expires_at__gt=timezone.now())
    token = (
        AccessToken.objects.filter(live, revoked_at=None, person__is_active=True)
        .filter(token_hash=bytes.fromhex(secret_hash(text)))
        .select_related("person", "organization")
        .first()
    )
    if token is None or token.organization is None:
        return token
    return token if role_get(person=token.person, organization=token.organization) else None


def _narrow(rows: QuerySet[Kind], within: Organization | None) -> QuerySet[Kind]:
    return rows.filter(organization=within) if within else rows


def _platform_permits(person: Person, action: Action) -> bool:
    return platform_role_permits(
        is_operator=person.is_platform_operator, is_finance=person.is_platform_finance, action=action
    )
