"""Make it so: money received. A payment is recorded once; it settles its invoice, then the payer's others, oldest first.

What is left stays as the payer's credit and settles its next invoice. Another processor (Stripe) will call the same code.
"""

from datetime import date, datetime, timedelta

from django.db import transaction
from django.db.models import F, Sum
from django.utils.translation import gettext as _

from billing.core.invoice_states import PaymentStatus as Status
from billing.core.invoice_states import PaymentTrigger, advance
from billing.core.ledger import post_payment_received
from billing.core.money import MINOR_MAX, Money
from billing.core.periods import zone_get
from billing.errors import Conflict, Fault, InvalidInput
from billing.models import Invoice, InvoiceStatus, Payment, PaymentAllocation, PaymentStatus
from billing.services.ledger import ledger_post
from billing.services.locks import consumer_lock
from marketplace.models import Person
from marketplace.services.audit import audit_record

REFERENCE_CHARACTERS_MAX = 120
RECEIVED_DAYS_AHEAD_MAX = 1
"""A transfer may carry tomorrow's date: finance may sit east of UTC."""


@transaction.atomic
def payment_record(
    *,
    invoice: Invoice,
    amount_minor: int,
    reference: str,
    received_on: date,
    person: Person | None,
    now: datetime,
    idempotency_key: str = "",
) -> Payment:
    """Record a bank transfer for an issued invoice, in minor units of its currency; less or more than is due is fine.

    With an idempotency key a repetition returns the first payment. Raises InvalidInput; Conflict when the invoice is not
    issued, or the key was used for another payment.
    """
    consumer_lock(organization_id=invoice.organization_id, currency=invoice.currency)
    if idempotency_key:
        first = Payment.objects.filter(idempotency_key=idempotency_key).first()
        if first is not None:
            return _repeated(first, invoice, (amount_minor, reference.strip(), received_on))
    _check(amount_minor, reference)
    _day_check(invoice, received_on, now)
    invoice = Invoice.objects.select_for_update(of=("self",)).get(id=invoice.id)
    if invoice.status != InvoiceStatus.ISSUED:
        raise Conflict(_("Only an issued invoice can be paid."), code="invoice_not_issued")
    payment = Payment.objects.create(
        organization_id=invoice.organization_id,
        invoice=invoice,
        processor_reference=reference.strip(),
        currency=invoice.currency,
        amount_minor=amount_minor,
        received_on=received_on,
        recorded_by=person,
        idempotency_key=idempotency_key or None,
    )
    ledger_post(
        posting=post_payment_received(
            consumer_id=str(invoice.organization_id), currency=invoice.currency, amount_minor=amount_minor
        ),
        reference=payment.public_id,
        booked_at=now,
        description=f"{invoice.number}: {payment.processor_reference}",
    )
    rest = _allocate(payment, invoice, amount_minor, now)
    for other in _open_invoices(invoice):
        rest = _allocate(payment, other, rest, now)
    audit_record(
        verb="payment.record",
        subject=payment.public_id,
        person=person,
        organization=invoice.organization,
        detail={"invoice": invoice.number, "amount_minor": amount_minor, "credit_minor": rest},
    )
    return payment


@transaction.atomic
def credit_apply(*, invoice: Invoice, now: datetime) -> int:
    """Settle a fresh invoice from what the consumer paid too much before. Returns the minor units taken.

    The caller holds the consumer's lock.
    """
    taken = 0
    for payment, rest in payments_with_credit(invoice):
        taken += rest - _allocate(payment, invoice, rest, now)
    if invoice.due_minor <= 0 and invoice.payment_status == PaymentStatus.UNPAID:
        _settle(invoice, now)
    return taken


def payments_with_credit(invoice: Invoice) -> list[tuple[Payment, int]]:
    """Return the consumer's payments that invoices have not used up, the oldest first, with the minor units left."""
    payments = Payment.objects.filter(organization_id=invoice.organization_id, currency=invoice.currency)
    summed = payments.annotate(allocated_minor=Sum("allocations__amount_minor", default=0))
    left = summed.filter(allocated_minor__lt=F("amount_minor")).order_by("id")
    return [(payment, payment.amount_minor - payment.allocated_minor) for payment in left]


def _allocate(payment: Payment, invoice: Invoice, available_minor: int, now: datetime) -> int:
    """Use what is available for one invoice, up to what is due. Returns what is left."""
    used = min(available_minor, invoice.due_minor)
    if used <= 0:
        return available_minor
    PaymentAllocation.objects.create(payment=payment, invoice=invoice, amount_minor=used)
    invoice.paid_minor += used
    invoice.save(update_fields=["paid_minor"])
    if invoice.due_minor == 0:
        _settle(invoice, now)
    return available_minor - used


def _settle(invoice: Invoice, now: datetime) -> None:
    invoice.payment_status = advance(Status(invoice.payment_status), PaymentTrigger.SETTLE).value
    invoice.paid_at = now
    invoice.save(update_fields=["payment_status", "paid_at"])


def _open_invoices(invoice: Invoice) -> list[Invoice]:
    others = Invoice.objects.select_for_update(of=("self",)).filter(
        organization_id=invoice.organization_id,
        currency=invoice.currency,
        status=InvoiceStatus.ISSUED,
        payment_status=PaymentStatus.UNPAID,
    )
    return list(others.exclude(id=invoice.id).order_by("issued_at", "id"))


def _check(amount_minor: int, reference: str) -> None:
    faults = []
    if not 0 < amount_minor <= MINOR_MAX:
        faults.append(Fault("/amount", _("Give an amount above zero.")))
    if not 1 <= len(reference.strip()) <= REFERENCE_CHARACTERS_MAX:
        faults.append(Fault("/reference", _("Give the text of the bank statement, at most 120 characters.")))
    if faults:
        raise InvalidInput(_("This payment cannot be recorded as given."), faults=faults)


def _day_check(invoice: Invoice, received_on: date, now: datetime) -> None:
    """A transfer has come in, and not before there was anything to pay for. Raises InvalidInput."""
    first_on = invoice.period_start.astimezone(zone_get(invoice.time_zone)).date()
    text = ""
    if received_on > now.date() + timedelta(days=RECEIVED_DAYS_AHEAD_MAX):
        text = _("This day has not come yet.")
    elif received_on < first_on:
        text = _("This is before the invoice's period, which began on %(day)s. Check the year.") % {"day": first_on}
    if text:
        raise InvalidInput(_("This payment cannot be recorded as given."), faults=[Fault("/received_on", text)])


def _repeated(first: Payment, invoice: Invoice, asked: tuple[int, str, date]) -> Payment:
    """Return the first payment for its repetition. Another transfer of the same amount is none: it would go unrecorded."""
    if first.invoice_id != invoice.id or asked != (first.amount_minor, first.processor_reference, first.received_on):
        amount = Money(first.amount_minor, first.currency)
        raise Conflict(
            _("This form, or idempotency key, has recorded another payment of %(amount)s. Open the invoice anew.")
            % {"amount": amount},
            code="idempotency_key_reused",
        )
    return first
