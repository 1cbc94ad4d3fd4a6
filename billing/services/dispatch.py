"""Make it so: send issued invoices to their consumers by e-mail, with the very PDF that was frozen. Once each."""

import logging
from datetime import datetime
from uuid import UUID

from django.conf import settings
from django.core.mail import EmailMessage
from django.db import transaction
from django.template.loader import render_to_string
from django.utils import translation

from billing.core.money import Money
from billing.models import Invoice, InvoiceStatus
from billing.services.queue import RUN_STOPS
from marketplace.models import Membership, Role

SEND_BATCH_MAX = 200
RECIPIENTS_MAX = 10

logger = logging.getLogger(__name__)


@transaction.atomic
def invoice_send(*, invoice_id: UUID, now: datetime) -> bool:
    """Send an issued invoice that was not sent yet. Returns whether it went out now. Safe to repeat.

    The row is locked while the mail server takes the message, so that two workers send it once.
    """
    locked = Invoice.objects.select_for_update(of=("self",), skip_locked=True).select_related("organization")
    invoice = locked.filter(id=invoice_id, status=InvoiceStatus.ISSUED, sent_at=None).first()
    if invoice is None:
        return False
    recipients = invoice_recipients(invoice)
    if not recipients:
        logger.warning("invoice %s has nobody to go to", invoice.number)
        return False
    with translation.override(invoice.language):
        values = {
            "invoice": invoice,
            "total": Money(invoice.total_minor, invoice.currency),
            "portal_url": settings.TOLLGATE.public_url,
        }
        message = EmailMessage(
            subject=render_to_string("billing/emails/invoice_subject.txt", values).strip(),
            body=render_to_string("billing/emails/invoice.txt", values),
            to=recipients,
        )
    message.attach(f"{invoice.number}.pdf", bytes(invoice.document.pdf), "application/pdf")
    message.send()
    invoice.sent_at = now
    invoice.save(update_fields=["sent_at"])
    return True


def invoices_send(*, now: datetime) -> int:
    """Send whatever was issued and not sent. Returns how many went out; one that fails does not stop the others."""
    waiting = Invoice.objects.filter(status=InvoiceStatus.ISSUED, sent_at=None).order_by("id")
    sent = 0
    for invoice_id in waiting.values_list("id", flat=True)[:SEND_BATCH_MAX]:
        try:
            sent += invoice_send(invoice_id=invoice_id, now=now)
        except RUN_STOPS:
            raise
        except Exception:  # an address that no mail server takes, a PDF that is gone: the others go out
            logger.warning("invoice %s not sent, will be tried again", invoice_id, exc_info=True)
    return sent


def invoice_recipients(invoice: Invoice) -> list[str]:
    """Return where invoices go: the organization's billing address, else its finance people, else its owners."""
    organization = invoice.organization
    if organization.billing_email:
        return [organization.billing_email]
    for role in (Role.FINANCE, Role.OWNER):
        members = Membership.objects.filter(organization=organization, role=role, person__is_active=True)
        emails = list(members.order_by("id").values_list("person__email", flat=True)[:RECIPIENTS_MAX])
        if emails:
            return emails
    return []
