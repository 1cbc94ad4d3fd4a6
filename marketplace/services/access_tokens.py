"""Writes about access tokens: bearers of our own REST API, personal or of an organization, scoped, shown once."""

import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from marketplace.core.credentials import (
    ORGANIZATION_TOKEN_PREFIX,
    PERSON_TOKEN_PREFIX,
    SECRET_ENTROPY_BYTES,
    TOKEN_HINT_LENGTH,
    access_token_make,
    secret_hash,
)
from marketplace.core.permissions import SCOPES
from marketplace.errors import Fault, InvalidInput, LimitReached
from marketplace.models import AccessToken, Organization, Person
from marketplace.services.accounts import entity_check
from marketplace.services.audit import audit_record

ACCESS_TOKENS_MAX = 50
"""Live access tokens of one person."""
LIFETIME_DAYS_MAX = 366
USED_AT_GRAIN_S = 60
"""``last_used_at`` is written at most once in so many seconds."""


@dataclass(frozen=True, slots=True)
class IssuedAccessToken:
    """A new access token and its text, which is shown once."""

    access_token: AccessToken
    text: str

    def __repr__(self) -> str:
        return f"IssuedAccessToken({self.access_token.public_id}, text hidden)"


@transaction.atomic
def access_token_issue(
    *,
    person: Person,
    name: str,
    scopes: list[str],
    organization: Organization | None = None,
    expires_at: datetime | None = None,
) -> IssuedAccessToken:
    """Issue a token that acts as ``person``, in ``organization`` only when one is given (and only while they are a member).

    Raises InvalidInput for unknown scopes or a bad end, LimitReached.
    """
    faults = []
    unknown = sorted(set(scopes) - set(SCOPES))
    if unknown or not scopes:
        faults.append(Fault("/scopes", _("Choose at least one of: %(scopes)s.") % {"scopes": ", ".join(SCOPES)}))
    now = timezone.now()
    if expires_at is not None and not now < expires_at <= now + timedelta(days=LIFETIME_DAYS_MAX):
        detail = _("The end must be in the future, at most %(days)d days ahead.") % {"days": LIFETIME_DAYS_MAX}
        faults.append(Fault("/expires_at", detail))
    if faults:
        raise InvalidInput(" ".join(fault.detail for fault in faults), faults=faults)
    Person.objects.select_for_update().get(id=person.id)
    if person.access_tokens.filter(revoked_at=None).count() >= ACCESS_TOKENS_MAX:
        raise LimitReached(_("You have as many access tokens as you can have. Revoke one first."))
    prefix = ORGANIZATION_TOKEN_PREFIX if organization else PERSON_TOKEN_PREFIX
    text = access_token_make(prefix, secrets.token_bytes(SECRET_ENTROPY_BYTES))
    access_token = AccessToken(
        person=person,
        organization=organization,
        name=name.strip(),
        prefix=text[:TOKEN_HINT_LENGTH],
        token_hash=bytes.fromhex(secret_hash(text)),
        scopes=sorted(set(scopes)),
        expires_at=expires_at,
    )
    entity_check(access_token)
    access_token.save()
    audit_record(
        verb="access_token.issue",
        subject=access_token.public_id,
        person=person,
        organization=organization,
        detail={"scopes": access_token.scopes, "name": access_token.name},
    )
    return IssuedAccessToken(access_token, text)


@transaction.atomic
def access_token_revoke(*, access_token: AccessToken, person: Person | None) -> AccessToken:
    """End an access token now. Safe to repeat."""
    access_token = AccessToken.objects.select_for_update(of=("self",)).get(id=access_token.id)
    if access_token.revoked_at is None:
        access_token.revoked_at = timezone.now()
        access_token.save(update_fields=["revoked_at"])
        audit_record(
            verb="access_token.revoke",
            subject=access_token.public_id,
            person=person,
            organization=access_token.organization,
        )
    return access_token


def access_token_use(*, access_token: AccessToken) -> None:
    """Note that a token was used just now (to the minute, so that busy programs do not write at every request)."""
    now = timezone.now()
    used_at = access_token.last_used_at
    if used_at is None or now - used_at > timedelta(seconds=USED_AT_GRAIN_S):
        AccessToken.objects.filter(id=access_token.id).update(last_used_at=now)
