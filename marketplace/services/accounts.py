"""Writes about people and organizations: who exists, and what each may do where.

Invitations are in ``services.invitations``; bearers of the REST API in ``services.access_tokens``. Whether the person may do
it is asked before, of ``selectors.accounts``.
"""

from typing import Any
from zoneinfo import available_timezones

from allauth.account.models import EmailAddress
from django.conf import settings
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.utils.text import slugify
from django.utils.translation import gettext as _

from marketplace.errors import Conflict, Fault, InvalidInput, LimitReached, NameTaken
from marketplace.models import AccessToken, Membership, Organization, Person, Role
from marketplace.models.base import id_mint
from marketplace.services.audit import audit_record
from marketplace.services.changes import change_announce

ORGANIZATIONS_PER_PERSON_MAX = 20
MEMBERS_PER_ORGANIZATION_MAX = 200
_TIME_ZONES = frozenset(available_timezones())
PERSON_FIELDS = frozenset({"name", "language", "time_zone"})
ORGANIZATION_FIELDS = frozenset(
    {
        "name",
        "legal_name",
        "address",
        "country",
        "tax_id",
        "billing_email",
        "language",
        "time_zone",
        "is_provider",
        "is_consumer",
    }
)


@transaction.atomic
def person_create(
    *,
    email: str,
    password: str | None = None,
    name: str = "",
    language: str = "en",
    time_zone: str = "UTC",
    **roles: bool,
) -> Person:
    """Create a person. ``roles``: is_platform_operator, is_platform_finance, is_staff. Raises InvalidInput, NameTaken."""
    person = Person(
        email=Person.objects.normalize_email(email), name=name, language=language, time_zone=time_zone, **roles
    )
    if password is not None:
        _password_check(password, person)
    person.set_password(password)
    if Person.objects.filter(email__iexact=person.email).exists():
        raise NameTaken(_("There is an account with this e-mail address already. Log in instead."), code="email_taken")
    entity_check(person, exclude=["password"])
    person.save()
    audit_record(verb="person.create", subject=person.public_id, person=person)
    return person


@transaction.atomic
def person_email_verify(*, person: Person) -> None:
    """Take the person's address as verified without a letter: for people made by an operator, a command or the demo."""
    EmailAddress.objects.update_or_create(
        user=person, email=person.email.lower(), defaults={"primary": True, "verified": True}
    )
    audit_record(verb="person.email_verify", subject=person.public_id, person=person)


@transaction.atomic
def person_update(*, person: Person, **fields: Any) -> Person:
    """Change what a person says about themselves (PERSON_FIELDS). Raises InvalidInput."""
    locale_check(fields)
    changed: Person = fields_set(person, fields, allowed=PERSON_FIELDS, exclude=["password"])
    changed.save(update_fields=sorted(fields))
    audit_record(verb="person.update", subject=changed.public_id, person=changed, detail={"fields": sorted(fields)})
    return changed


@transaction.atomic
def organization_create(
    *, name: str, person: Person | None, is_provider: bool = False, is_consumer: bool = True
) -> Organization:
    """Create an organization; ``person`` (unless None: made by the platform) becomes its owner. Raises InvalidInput, LimitReached."""
    if person is not None:
        Person.objects.select_for_update(no_key=True).get(id=person.id)  # one at a time, or the limit is none
    if person is not None and person.memberships.count() >= ORGANIZATIONS_PER_PERSON_MAX:
        raise LimitReached(
            _("You belong to %(max)d organizations, which is the most there can be. Leave one first.")
            % {"max": ORGANIZATIONS_PER_PERSON_MAX}
        )
    identity = id_mint()
    organization = Organization(
        id=identity,
        name=name.strip(),
        slug=slug_make(name, identity.hex),
        is_provider=is_provider,
        is_consumer=is_consumer,
    )
    if person is not None:
        organization.billing_email, organization.language = person.email, person.language
        organization.time_zone = person.time_zone
    entity_check(organization)
    organization.save()
    if person is not None:
        Membership.objects.create(organization=organization, person=person, role=Role.OWNER)
    audit_record(verb="organization.create", subject=organization.public_id, person=person, organization=organization)
    return organization


@transaction.atomic
def organization_update(*, organization: Organization, person: Person | None, **fields: Any) -> Organization:
    """Change what an organization says about itself (ORGANIZATION_FIELDS). Raises InvalidInput."""
    locale_check(fields)
    organization = fields_set(organization, fields, allowed=ORGANIZATION_FIELDS)
    if not (organization.is_provider or organization.is_consumer):
        raise InvalidInput(
            _("An organization provides, consumes, or both. Choose at least one."),
            faults=[Fault("/is_consumer", _("Choose at least one of provider and consumer."))],
        )
    organization.save()
    audit_record(
        verb="organization.update",
        subject=organization.public_id,
        person=person,
        organization=organization,
        detail={"fields": sorted(fields)},
    )
    if "name" in fields:  # all that gateways know of these
        _apps_announce(organization)
    return organization


@transaction.atomic
def organization_suspend(
    *, organization: Organization, person: Person, is_suspended: bool = True, reason: str = ""
) -> Organization:
    """Stop (or let go on) the calls of an organization's apps, and what it provides: its APIs leave gateways and catalogue.

    The gateways learn of it within two seconds.
    """
    organization = Organization.objects.select_for_update().get(id=organization.id)
    organization.is_suspended = is_suspended
    organization.save(update_fields=["is_suspended"])
    verb = "organization.suspend" if is_suspended else "organization.resume"
    audit_record(
        verb=verb,
        subject=organization.public_id,
        person=person,
        organization=organization,
        detail={"reason": reason[:300]},
    )
    _apps_announce(organization)
    _apis_announce(organization)
    return organization


@transaction.atomic
def member_role_set(*, membership: Membership, role: str, person: Person | None) -> Membership:
    """Give a member another role. Raises InvalidInput for no such role, Conflict when it would leave no owner."""
    role_check(role)
    membership = _membership_lock(membership)
    if membership.role == Role.OWNER and role != Role.OWNER:
        _other_owner_require(membership)
    before, membership.role = membership.role, role
    membership.save(update_fields=["role"])
    audit_record(
        verb="member.role_set",
        subject=membership.public_id,
        person=person,
        organization=membership.organization,
        detail={"from": before, "to": role, "member": membership.person.public_id},
    )
    return membership


@transaction.atomic
def member_remove(*, membership: Membership, person: Person | None) -> None:
    """End a membership, and with it the person's access tokens of the organization. Raises Conflict for the last owner."""
    membership = _membership_lock(membership)
    if membership.role == Role.OWNER:
        _other_owner_require(membership)
    AccessToken.objects.filter(person=membership.person, organization=membership.organization).delete()
    audit_record(
        verb="member.remove",
        subject=membership.public_id,
        person=person,
        organization=membership.organization,
        detail={"member": membership.person.public_id, "role": membership.role},
    )
    membership.delete()


def member_add(*, organization: Organization, person: Person, role: str) -> Membership:
    """Make ``person`` a member at once (an accepted invitation, or demo data). Raises Conflict when they are one already."""
    role_check(role)
    if organization.memberships.count() >= MEMBERS_PER_ORGANIZATION_MAX:
        raise LimitReached(_("The organization has as many members as it can have."))
    try:
        with transaction.atomic():
            membership = Membership.objects.create(organization=organization, person=person, role=role)
    except IntegrityError as error:
        raise Conflict(_("This person is a member already."), code="member_already") from error
    audit_record(
        verb="member.add",
        subject=membership.public_id,
        person=person,
        organization=organization,
        detail={"role": role},
    )
    return membership


def role_check(role: str) -> None:
    """Raise InvalidInput unless ``role`` is one of Role."""
    if role not in Role.values:
        choices = ", ".join(Role.values)
        raise InvalidInput(
            _("There is no such role."), faults=[Fault("/role", _("Choose one of: %(roles)s.") % {"roles": choices})]
        )


def entity_check(entity: Any, *, exclude: list[str] | None = None) -> None:
    """Run a model's own field checks. Raises InvalidInput with a fault for each field."""
    try:
        entity.full_clean(exclude=exclude, validate_constraints=False)
    except ValidationError as error:
        faults = [
            Fault("" if name == "__all__" else f"/{name}", text)
            for name, texts in error.message_dict.items()
            for text in texts
        ]
        message = " ".join(fault.detail for fault in faults)
        raise InvalidInput(message, faults=faults) from error


def locale_check(fields: dict[str, Any]) -> None:
    """Raise InvalidInput for a language that we do not speak, or a time zone that does not exist."""
    faults = []
    if fields.get("time_zone", "UTC") not in _TIME_ZONES:
        faults.append(Fault("/time_zone", _("There is no such time zone. Write it as Asia/Shanghai.")))
    languages = dict(settings.LANGUAGES)
    if fields.get("language", "en") not in languages:
        faults.append(Fault("/language", _("Choose one of: %(codes)s.") % {"codes": ", ".join(languages)}))
    if faults:
        raise InvalidInput(" ".join(fault.detail for fault in faults), faults=faults)


def fields_set(
    entity: Any, fields: dict[str, Any], *, allowed: frozenset[str], exclude: list[str] | None = None
) -> Any:
    """Lock the row, set ``fields`` and check them. Raises InvalidInput for a field that cannot be set or a bad value."""
    unknown = sorted(set(fields) - allowed)
    if unknown:
        raise InvalidInput(
            _("Some fields cannot be changed."),
            faults=[Fault(f"/{name}", _("This field cannot be changed.")) for name in unknown],
        )
    locked = type(entity).objects.select_for_update().get(pk=entity.pk)
    for name, value in fields.items():
        setattr(locked, name, value)
    entity_check(locked, exclude=exclude)
    return locked


def slug_make(name: str, unique: str) -> str:
    """Return a readable, unique slug: the Latin part of the name and eight characters of randomness."""
    head = slugify(name)[:40].strip("-")
    return f"{head}-{unique[-8:]}" if head else f"o-{unique[-12:]}"


def _password_check(password: str, person: Person) -> None:
    try:
        validate_password(password, person)
    except ValidationError as error:
        raise InvalidInput(
            " ".join(error.messages), faults=[Fault("/password", text) for text in error.messages]
        ) from error


def _membership_lock(membership: Membership) -> Membership:
    """Lock the organization first, so that two owners who remove each other are served one after the other."""
    Organization.objects.select_for_update().get(id=membership.organization_id)
    try:
        return Membership.objects.select_related("organization", "person").get(id=membership.id)
    except Membership.DoesNotExist as error:
        raise Conflict(_("This person is no longer a member."), code="member_gone") from error


def _other_owner_require(membership: Membership) -> None:
    others = Membership.objects.filter(organization=membership.organization, role=Role.OWNER).exclude(id=membership.id)
    if not others.exists():
        raise Conflict(
            _("An organization always keeps one owner. Make somebody else an owner first."), code="owner_last"
        )


def _apps_announce(organization: Organization) -> None:
    for app_id in organization.apps.filter(deleted_at=None).values_list("id", flat=True):
        change_announce(kind="app", subject_id=app_id)


def _apis_announce(organization: Organization) -> None:
    """One change for all: what is published is the catalogue as a whole."""
    live = organization.apis.filter(stages__live_deployment__isnull=False).order_by("id").values_list("id", flat=True)
    if (api_id := live.first()) is not None:
        change_announce(kind="catalog", subject_id=api_id)
