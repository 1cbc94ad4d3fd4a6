"""Writes about invitations: offer a role by e-mail, accept, withdraw.

The random part of the link is minted when the mail is sent, by a task, and only its hash is kept: nobody can read it from the
database or from the queue, and sending again makes the earlier link void.
"""

import hashlib
import logging
import secrets
from datetime import timedelta

from celery import current_app
from django.conf import settings
from django.core.mail import EmailMultiAlternatives
from django.db import transaction
from django.template.loader import render_to_string
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import override

from marketplace.errors import Conflict, Gone, LimitReached, NotFound
from marketplace.models import Invitation, Membership, Organization, Person
from marketplace.services.accounts import entity_check, member_add, role_check
from marketplace.services.audit import audit_record

INVITATION_DAYS = 7
INVITATIONS_OPEN_MAX = 50
"""Open invitations of one organization."""
MAIL_TASK = "marketplace.tasks.invitation_mail"

logger = logging.getLogger(__name__)


@transaction.atomic
def member_invite(*, organization: Organization, email: str, role: str, person: Person) -> Invitation:
    """Offer ``role`` to the holder of an e-mail address, and send them a link. An open offer to them is replaced.

    Raises InvalidInput, Conflict when they are a member already, LimitReached.
    """
    role_check(role)
    organization = Organization.objects.select_for_update().get(id=organization.id)
    address = Person.objects.normalize_email(email.strip())
    if Membership.objects.filter(organization=organization, person__email__iexact=address).exists():
        raise Conflict(_("This person is a member already."), code="member_already")
    now = timezone.now()
    open_ones = organization.invitations.filter(accepted_at=None, withdrawn_at=None, expires_at__gt=now)
    open_ones.filter(email__iexact=address).update(withdrawn_at=now)
    if open_ones.count() >= INVITATIONS_OPEN_MAX:
        raise LimitReached(_("The organization has as many open invitations as it can have. Withdraw one first."))
    invitation = Invitation(
        organization=organization,
        email=address,
        role=role,
        token_hash=secrets.token_bytes(32),
        invited_by=person,
        expires_at=now + timedelta(days=INVITATION_DAYS),
    )
    entity_check(invitation, exclude=["token_hash"])
    invitation.save()
    _audit(invitation, "member.invite", person, email=address, role=role)
    transaction.on_commit(lambda: _mail_enqueue(invitation), robust=True)
    return invitation


def invitation_send(*, invitation: Invitation) -> str:
    """Mint the link of an open invitation, keep its hash, and send the mail. Returns the link. Raises Gone; OSError of the mail server."""
    with transaction.atomic():
        invitation = Invitation.objects.select_for_update().get(id=invitation.id)
        _open_require(invitation)
        text = secrets.token_urlsafe(32)
        invitation.token_hash = _hash(text)
        invitation.save(update_fields=["token_hash"])
    link = f"{settings.TOLLGATE.public_url.rstrip('/')}/invitations/{text}/"
    _mail_send(invitation, link)
    Invitation.objects.filter(id=invitation.id).update(sent_at=timezone.now())
    return link


@transaction.atomic
def invitation_accept(*, token: str, person: Person) -> Membership:
    """Become a member by the random part of an invitation's link.

    Raises NotFound for an unknown one, Gone when it ended, Conflict when it was sent to another address or was accepted.
    """
    invitation = (
        Invitation.objects.select_for_update(of=("self",))
        .select_related("organization")
        .filter(token_hash=_hash(token[:200]))
        .first()
    )
    if invitation is None:
        raise NotFound(_("There is no such invitation. Ask for a new one."), code="invitation_unknown")
    if not invitation.is_for(person.email):
        raise Conflict(
            _("This invitation was sent to another e-mail address. Log in with that address to accept it."),
            code="invitation_other",
        )
    _open_require(invitation)
    membership = member_add(organization=invitation.organization, person=person, role=invitation.role)
    invitation.accepted_at = timezone.now()
    invitation.save(update_fields=["accepted_at"])
    _audit(invitation, "invitation.accept", person)
    return membership


@transaction.atomic
def invitation_withdraw(*, invitation: Invitation, person: Person | None) -> Invitation:
    """Make an open invitation void. Safe to repeat. Raises Conflict when it was accepted."""
    invitation = Invitation.objects.select_for_update().get(id=invitation.id)
    if invitation.accepted_at is not None:
        raise Conflict(_("This invitation was accepted. Remove the member instead."), code="invitation_accepted")
    if invitation.withdrawn_at is None:
        invitation.withdrawn_at = timezone.now()
        invitation.save(update_fields=["withdrawn_at"])
        _audit(invitation, "invitation.withdraw", person)
    return invitation


def invitations_forget(*, days: int = 30, limit: int = 1_000) -> int:
    """Delete invitations that ended more than ``days`` days ago, at most ``limit``. Returns how many."""
    old = Invitation.objects.filter(expires_at__lt=timezone.now() - timedelta(days=days))
    return Invitation.objects.filter(id__in=list(old.values_list("id", flat=True)[:limit])).delete()[0]


def _open_require(invitation: Invitation) -> None:
    if invitation.accepted_at is not None:
        raise Conflict(_("This invitation was accepted already."), code="invitation_accepted")
    if invitation.withdrawn_at is not None or invitation.expires_at <= timezone.now():
        raise Gone(_("This invitation has ended. Ask for a new one."), code="invitation_ended")


def _mail_enqueue(invitation: Invitation) -> None:
    """Hand the mail to a task. With the broker down the sweep of unsent invitations finds it later."""
    try:
        current_app.send_task(MAIL_TASK, args=[str(invitation.id)], retry=False)
    except Exception:
        logger.warning("invitation mail not enqueued, the sweep will: %s", invitation.id, exc_info=True)


def _mail_send(invitation: Invitation, link: str) -> None:
    known = Person.objects.filter(email__iexact=invitation.email).first()
    language = known.language if known else invitation.invited_by.language
    context = {
        "invitation": invitation,
        "organization": invitation.organization,
        "inviter": invitation.invited_by.get_full_name(),
        "role": invitation.get_role_display(),
        "link": link,
        "days": INVITATION_DAYS,
    }
    with override(language):
        subject = _("Invitation to %(organization)s") % {"organization": invitation.organization.name}
        text = render_to_string("marketplace/emails/invitation.txt", context)
        html = render_to_string("marketplace/emails/invitation.html", context)
    mail = EmailMultiAlternatives(" ".join(subject.split()), text, to=[invitation.email])
    mail.attach_alternative(html, "text/html")
    mail.send()


def _hash(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()


def _audit(invitation: Invitation, verb: str, person: Person | None, **detail: object) -> None:
    audit_record(
        verb=verb, subject=invitation.public_id, person=person, organization=invitation.organization, detail=detail
    )
