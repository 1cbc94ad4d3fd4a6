"""Posting templates: what is booked when an invoice is issued, paid, voided …; each sums to zero per currency or is refused.

Signed minor units: a debit is positive, a credit negative. What an account of each kind means:

| kind | owner | normal | balance says |
| --- | --- | --- | --- |
| bank | platform | debit | money received and not yet paid out |
| receivable | consumer | debit | issued and not yet paid; a credit balance is the consumer's credit |
| commission | platform | credit | platform fees earned |
| payable | provider | credit | its share of issued invoices, not yet paid out |

Nothing is booked for an amount of zero: ask no template for it. Rows are written by billing.services.ledger alone; the
database checks the zero sum again at commit, by its own road.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from billing.core.currencies import currency_exponent
from billing.core.errors import PostingInvalid
from billing.core.money import MINOR_MAX

ENTRIES_MAX = 2_000
"""The most entries of one posting."""


class AccountKind(StrEnum):
    """What an account means; the module's table says which way its balance leans."""

    BANK = "bank"
    RECEIVABLE = "receivable"
    PAYABLE = "payable"
    COMMISSION = "commission"

    @property
    def has_owner(self) -> bool:
        """True when each organization has an account of this kind; the platform's own have no owner."""
        return self not in (AccountKind.BANK, AccountKind.COMMISSION)


class PostingKind(StrEnum):
    """Why a posting was made."""

    INVOICE_ISSUED = "invoice_issued"
    INVOICE_VOIDED = "invoice_voided"
    INVOICE_WRITTEN_OFF = "invoice_written_off"
    INVOICE_REINSTATED = "invoice_reinstated"
    PAYMENT_RECEIVED = "payment_received"
    PAYOUT_SENT = "payout_sent"


@dataclass(frozen=True, slots=True)
class AccountRef:
    """Names an account: kind, the organization's id as text ("" for the platform's own), currency."""

    kind: AccountKind
    owner_id: str
    currency: str

    def __post_init__(self) -> None:
        currency_exponent(self.currency)
        if bool(self.owner_id) != self.kind.has_owner:
            raise PostingInvalid(f"a {self.kind} account {'needs' if self.kind.has_owner else 'has no'} organization")


@dataclass(frozen=True, slots=True)
class Entry:
    """One side of a posting, in signed minor units of the account's currency; never zero."""

    account: AccountRef
    amount_minor: int


@dataclass(frozen=True, slots=True)
class Posting:
    """A balanced set of entries. Raises PostingInvalid for anything that does not sum to zero in each currency."""

    kind: PostingKind
    entries: tuple[Entry, ...]

    def __post_init__(self) -> None:
        if not 2 <= len(self.entries) <= ENTRIES_MAX:
            raise PostingInvalid(f"a posting has 2 to {ENTRIES_MAX} entries")
        sums: defaultdict[str, int] = defaultdict(int)
        for entry in self.entries:
            if type(entry.amount_minor) is not int or not 0 < abs(entry.amount_minor) <= MINOR_MAX:
                raise PostingInvalid("an entry is a whole number of minor units and not zero")
            sums[entry.account.currency] += entry.amount_minor
        off = {currency: total for currency, total in sums.items() if total}
        if off:
            raise PostingInvalid(f"the entries do not sum to zero: {off}")


@dataclass(frozen=True, slots=True)
class Share:
    """What one provider gets of an invoice, in minor units."""

    provider_id: str
    amount_minor: int


@dataclass(frozen=True, slots=True)
class Claim:
    """An invoice as the ledger sees it: total = sum of shares + fee, all in one currency."""

    consumer_id: str
    currency: str
    total_minor: int
    fee_minor: int
    shares: tuple[Share, ...]


def post_invoice_issued(claim: Claim) -> Posting:
    """The consumer owes the total; the platform has earned its fee and each provider its share."""
    return _posting(PostingKind.INVOICE_ISSUED, claim.currency, _claim_rows(claim, sign=1))


def post_invoice_voided(claim: Claim) -> Posting:
    """Undo the issue of an invoice, entry by entry."""
    return _posting(PostingKind.INVOICE_VOIDED, claim.currency, _claim_rows(claim, sign=-1))


def post_invoice_written_off(claim: Claim) -> Posting:
    """Give up an unpaid claim: nobody has earned anything. Booked like a void; the document stays issued."""
    return _posting(PostingKind.INVOICE_WRITTEN_OFF, claim.currency, _claim_rows(claim, sign=-1))


def post_invoice_reinstated(claim: Claim) -> Posting:
    """Take back a write-off, because money arrived after all; the payment is booked next."""
    return _posting(PostingKind.INVOICE_REINSTATED, claim.currency, _claim_rows(claim, sign=1))


def post_payment_received(*, consumer_id: str, currency: str, amount_minor: int) -> Posting:
    """Money reached the bank. More than the consumer owes stays on its account as credit."""
    rows = [(AccountKind.BANK, "", amount_minor), (AccountKind.RECEIVABLE, consumer_id, -amount_minor)]
    return _posting(PostingKind.PAYMENT_RECEIVED, currency, rows)


def post_payout_sent(*, provider_id: str, currency: str, amount_minor: int) -> Posting:
    """Money left the bank for what a provider's statement shows."""
    rows = [(AccountKind.PAYABLE, provider_id, amount_minor), (AccountKind.BANK, "", -amount_minor)]
    return _posting(PostingKind.PAYOUT_SENT, currency, rows)


def balances(postings: Iterable[Posting]) -> dict[AccountRef, int]:
    """Return the balance of every account touched, debits positive. Over all accounts of a currency it is zero."""
    totals: defaultdict[AccountRef, int] = defaultdict(int)
    for posting in postings:
        for entry in posting.entries:
            totals[entry.account] += entry.amount_minor
    return dict(totals)


def _claim_rows(claim: Claim, *, sign: int) -> list[tuple[AccountKind, str, int]]:
    shares = [(AccountKind.PAYABLE, share.provider_id, -sign * share.amount_minor) for share in claim.shares]
    receivable = (AccountKind.RECEIVABLE, claim.consumer_id, sign * claim.total_minor)
    return [receivable, (AccountKind.COMMISSION, "", -sign * claim.fee_minor), *shares]


def _posting(kind: PostingKind, currency: str, rows: Sequence[tuple[AccountKind, str, int]]) -> Posting:
    """Add rows of one account together and leave zeros out; Posting checks the rest."""
    totals: defaultdict[AccountRef, int] = defaultdict(int)
    for account_kind, owner_id, amount_minor in rows:
        totals[AccountRef(account_kind, owner_id, currency)] += amount_minor
    return Posting(kind, tuple(Entry(account, amount) for account, amount in totals.items() if amount))
