"""Say what an irreversible step will do, without doing it: the bookings, the number, the letter, what stands in the way."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta

from billing.core.ledger import Entry, Posting, post_invoice_issued, post_invoice_voided
from billing.core.numbering import number_format
from billing.core.periods import zone_get
from billing.models import AccountKind, Invoice, NumberSeries
from billing.selectors.reconcile import Difference, invoice_differences
from billing.services.dispatch import invoice_recipients
from billing.services.invoices import PAYMENT_TERM_DAYS
from billing.services.ledger import invoice_claim
from billing.services.numbering import INVOICE_SERIES
from billing.services.payments import payments_with_credit
from marketplace.models import Organization


@dataclass(frozen=True, slots=True)
class Booking:
    """One entry to be: the account's kind in words, whose it is, and signed minor units (debits positive)."""

    account: str
    owner: str
    amount_minor: int


@dataclass(frozen=True, slots=True)
class IssueEffect:
    """What issuing will do. ``number`` is the next one now; another issue may take it first. ``credit_minor`` is used at once."""

    number: str
    due_on: date
    recipients: list[str]
    credit_minor: int
    bookings: list[Booking]
    differences: list[Difference]


def issue_effect(*, invoice: Invoice, now: datetime) -> IssueEffect:
    """Return what issuing this invoice now will do; with differences it will be refused."""
    row = NumberSeries.objects.filter(code=f"{INVOICE_SERIES}-{now.year}").first()
    credit = sum(rest for _payment, rest in payments_with_credit(invoice))
    return IssueEffect(
        number=number_format(series=INVOICE_SERIES, year=now.year, sequence=(row.last_number if row else 0) + 1),
        due_on=now.astimezone(zone_get(invoice.time_zone)).date() + timedelta(days=PAYMENT_TERM_DAYS),
        recipients=invoice_recipients(invoice),
        credit_minor=min(credit, invoice.total_minor),
        bookings=_bookings(invoice, is_void=False),
        differences=invoice_differences(invoice=invoice),
    )


def void_effect(*, invoice: Invoice) -> list[Booking]:
    """Return the bookings that declaring it void will add."""
    return _bookings(invoice, is_void=True)


def _bookings(invoice: Invoice, *, is_void: bool) -> list[Booking]:
    claim = invoice_claim(invoice=invoice)
    if not (claim.total_minor or claim.fee_minor or any(share.amount_minor for share in claim.shares)):
        return []
    posting: Posting = post_invoice_voided(claim) if is_void else post_invoice_issued(claim)
    ids = {entry.account.owner_id for entry in posting.entries if entry.account.owner_id}
    names = {str(key): name for key, name in Organization.objects.filter(id__in=ids).values_list("id", "name")}
    return [_booking(entry, names) for entry in posting.entries]


def _booking(entry: Entry, names: dict[str, str]) -> Booking:
    kind = AccountKind(entry.account.kind.value)
    return Booking(str(kind.label), names.get(entry.account.owner_id, ""), entry.amount_minor)
