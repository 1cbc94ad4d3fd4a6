"""Make it so: an invoice through review, approval, issue, dispatch, and, if it must be, void. Drafting is services/drafts.

Issuing is one transaction: the gate of selectors/reconcile, usage frozen, number, parties, PDF, ledger. Nothing of it
happens alone. The database refuses to change what was issued.
"""

import hashlib
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from uuid import UUID

from django.db import transaction
from django.utils.translation import gettext as _

from billing.core.errors import TransitionRefused
from billing.core.invoice_states import InvoiceStatus as Status
from billing.core.invoice_states import InvoiceTrigger, advance
from billing.core.ledger import Claim, Posting, post_invoice_issued, post_invoice_voided
from billing.core.periods import zone_get
from billing.errors import Conflict, Fault, InvalidInput, UsageDisagrees
from billing.models import BillingPeriod, Invoice, InvoiceDocument, InvoiceStatus, Subscription
from billing.selectors.rating import late_of_period
from billing.selectors.reconcile import invoice_differences
from billing.services.documents import buyer_party, invoice_pdf, seller_party
from billing.services.ledger import invoice_claim, ledger_post
from billing.services.locks import consumer_lock
from billing.services.numbering import INVOICE_SERIES, number_take
from billing.services.payments import credit_apply
from billing.services.queue import task_enqueue
from billing.services.usage import usage_freeze, usage_release
from marketplace.models import Person
from marketplace.services.audit import audit_record

PAYMENT_TERM_DAYS = 14
REASON_CHARACTERS_MAX = 300


@transaction.atomic
def invoice_submit(*, invoice: Invoice, person: Person | None, now: datetime) -> Invoice:
    """Hand a draft to finance for review: it is no longer recomputed. Raises Conflict unless it is a draft."""
    return _move(invoice, InvoiceTrigger.SUBMIT, person, submitted_at=now)


@transaction.atomic
def invoice_return(*, invoice: Invoice, person: Person | None) -> Invoice:
    """Give an invoice back to be a draft, so that it can be computed anew. Raises Conflict once it is issued."""
    same = Invoice.objects.filter(
        organization_id=invoice.organization_id,
        currency=invoice.currency,
        period_start=invoice.period_start,
        period_end=invoice.period_end,
        status=InvoiceStatus.DRAFT,
    )
    if same.exclude(id=invoice.id).exists():
        raise Conflict(_("There is another draft for this consumer and period. Issue that one first."))
    return _move(invoice, InvoiceTrigger.RETURN, person, submitted_at=None, approved_at=None, approved_by=None)


@transaction.atomic
def invoice_approve(*, invoice: Invoice, person: Person | None, now: datetime) -> Invoice:
    """Say that the invoice is right. Raises Conflict unless it is in review."""
    return _move(invoice, InvoiceTrigger.APPROVE, person, approved_at=now, approved_by=person)


@transaction.atomic
def invoice_issue(*, invoice_id: UUID, person: Person | None, now: datetime) -> Invoice:
    """Turn an approved invoice into a numbered, frozen document, book it, and send it after commit.

    Safe to repeat: an issued invoice is returned unchanged. Raises UsageDisagrees with every difference between tallies,
    usage records and lines; Conflict unless it is approved.
    """
    invoice = _lock(invoice_id)
    if invoice.status == InvoiceStatus.ISSUED:
        return invoice
    status = _advance(invoice, InvoiceTrigger.ISSUE)
    _subscriptions_lock(invoice)
    differences = invoice_differences(invoice=invoice)
    if differences:
        raise UsageDisagrees(
            _(
                "The usage behind this invoice has changed since it was drafted. Return it to draft and compute it anew."
            ),
            faults=[Fault("", str(difference)) for difference in differences],
        )
    usage_freeze(invoice=invoice)
    invoice.status = status.value
    invoice.number = number_take(series=INVOICE_SERIES, issued_at=now)
    invoice.issued_at, invoice.issued_by = now, person
    invoice.due_on = now.astimezone(zone_get(invoice.time_zone)).date() + timedelta(days=PAYMENT_TERM_DAYS)
    invoice.seller, invoice.buyer = seller_party(), buyer_party(invoice.organization)
    pdf = invoice_pdf(invoice=invoice)
    invoice.pdf_sha256 = hashlib.sha256(pdf).hexdigest()
    invoice.save()
    InvoiceDocument.objects.create(invoice=invoice, pdf=pdf, sha256=invoice.pdf_sha256)
    _book(invoice, post_invoice_issued, now)
    credit_apply(invoice=invoice, now=now)
    _audit(invoice, "invoice.issue", person)
    task_enqueue("billing.tasks.invoice_send", str(invoice.id))
    return invoice


@transaction.atomic
def invoice_void(*, invoice: Invoice, reason: str, person: Person | None, now: datetime) -> Invoice:
    """Declare an issued invoice void: it keeps its number, the books are reversed, its usage is billed anew.

    Safe to repeat. Raises InvalidInput without a reason; Conflict when payments settle a part of it already, or when a later
    invoice bills usage of its periods that came late.
    """
    invoice = _lock(invoice.id)
    if invoice.status == InvoiceStatus.VOID:
        return invoice
    status = _advance(invoice, InvoiceTrigger.VOID)
    if not 1 <= len(reason.strip()) <= REASON_CHARACTERS_MAX:
        raise InvalidInput(_("Say why."), faults=[Fault("/reason", _("Give a reason of at most 300 characters."))])
    if invoice.paid_minor:
        raise Conflict(paid_words(), code="paid")
    _subscriptions_lock(invoice)
    periods = list(invoice.periods.select_related("subscription"))
    _later_check(periods)
    _book(invoice, post_invoice_voided, now)
    invoice.status, invoice.voided_at, invoice.voided_by = status.value, now, person
    invoice.void_reason = reason.strip()
    invoice.save(update_fields=["status", "voided_at", "voided_by", "void_reason"])
    BillingPeriod.objects.filter(invoice=invoice).update(invoice=None, closed_at=None)
    usage_release(invoice=invoice, periods=periods, now=now)
    _audit(invoice, "invoice.void", person, reason=invoice.void_reason)
    return invoice


def paid_words() -> str:
    """Say why an invoice that was paid, or in part, is not declared void."""
    return _("A payment settles this invoice. It can be corrected by a credit note only.")


def _later_check(periods: Sequence[BillingPeriod]) -> None:
    """A later invoice prices late usage as a difference to this one: without it, a new draft would bill the whole again."""
    later = {
        str(late.invoice)
        for period in periods
        for late in late_of_period(period).filter(invoice__status=Status.ISSUED).select_related("invoice")
    }
    if later:
        text = _("%(numbers)s bills usage of the same period that came late. Declare that void first.")
        raise Conflict(text % {"numbers": ", ".join(sorted(later))}, code="late_usage_billed")


def _move(invoice: Invoice, trigger: InvoiceTrigger, person: Person | None, **fields: object) -> Invoice:
    """Walk one step of the document's table and set what belongs to it."""
    invoice = _lock(invoice.id)
    invoice.status = _advance(invoice, trigger).value
    for name, value in fields.items():
        setattr(invoice, name, value)
    invoice.save(update_fields=["status", *fields])
    _audit(invoice, f"invoice.{trigger.value}", person)
    return invoice


def _book(invoice: Invoice, template: Callable[[Claim], Posting], now: datetime) -> None:
    """Book an invoice; one whose charges and corrections cancel out in every account moves nothing."""
    claim = invoice_claim(invoice=invoice)
    if claim.total_minor or claim.fee_minor or any(share.amount_minor for share in claim.shares):
        ledger_post(
            posting=template(claim), reference=invoice.public_id, booked_at=now, description=str(invoice.number)
        )


def _advance(invoice: Invoice, trigger: InvoiceTrigger) -> Status:
    try:
        return advance(Status(invoice.status), trigger)
    except TransitionRefused as refusal:
        text = _("This invoice is %(status)s: that cannot be done with it now.") % {
            "status": invoice.get_status_display()
        }
        raise Conflict(text, code="invoice_status") from refusal


def _lock(invoice_id: UUID) -> Invoice:
    """Lock the consumer first and the row second: the order of everybody who writes invoices."""
    invoice = Invoice.objects.only("organization_id", "currency").get(id=invoice_id)
    consumer_lock(organization_id=invoice.organization_id, currency=invoice.currency)
    return Invoice.objects.select_for_update(of=("self",)).select_related("organization").get(id=invoice_id)


def _subscriptions_lock(invoice: Invoice) -> None:
    """Keep usage from being rebuilt under our hands."""
    ids = set(invoice.lines.values_list("subscription_id", flat=True))
    ids |= set(invoice.periods.values_list("subscription_id", flat=True))
    list(Subscription.objects.select_for_update(no_key=True).filter(id__in=ids).order_by("id"))


def _audit(invoice: Invoice, verb: str, person: Person | None, **detail: str) -> None:
    audit_record(
        verb=verb,
        subject=invoice.public_id,
        person=person,
        organization=invoice.organization,
        detail={"number": invoice.number, "total_minor": invoice.total_minor, **detail},
    )
