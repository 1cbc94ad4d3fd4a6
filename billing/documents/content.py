"""What a document says, as frozen values: the shape that services fill. How it looks is the templates' business.

Checked on creation: a document whose lines do not make its total is never printed.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from billing.core.errors import CoreError
from billing.core.money import Money

LINES_MAX = 5_000
"""The most lines of one document; 5,000 fill about 200 pages."""

TEXT_LENGTH_MAX = 4_000
"""Characters of any one text of a document."""


class DocumentInvalid(CoreError):
    """A document that contradicts itself, or is larger than the renderer's limits."""

    code = "document_invalid"


@dataclass(frozen=True, slots=True)
class Party:
    """A legal party as printed. ``address`` keeps its line breaks; empty parts are left out."""

    name: str
    address: str = ""
    country: str = ""
    tax_id: str = ""
    email: str = ""


@dataclass(frozen=True, slots=True)
class DocumentLine:
    """One invoice line. ``group`` is the heading it stands under (Api and plan); lines of one group stand together.

    ``unit_price`` is in major units, None when tiers made the amount. ``parts`` are the ``parts`` of the rating's
    explanation; they are printed where they say more than the line. The period is printed where it differs from the invoice's, and
    ``proration`` ("17/31", as in the explanation) where the line covers only part of a billing period.
    """

    description: str
    quantity: Decimal
    amount_minor: int
    unit_price: Decimal | None = None
    group: str = ""
    first_on: date | None = None
    last_on: date | None = None
    parts: tuple[Mapping[str, Any], ...] = ()
    proration: str = "1"


@dataclass(frozen=True, slots=True)
class InvoiceDocument:
    """An invoice as printed. ``issued_at`` is the only time that reaches the file, also as its creation date.

    ``number`` empty: printed as a draft. ``language``: ``zh…`` is Simplified Chinese, everything else English.
    ``payment`` are label and value pairs such as ("IBAN", "DE…"), in order. ``issued_on`` and ``due_on`` are local dates.
    Raises DocumentInvalid when the lines do not sum to ``total_minor``.
    """

    number: str
    currency: str
    issued_at: datetime
    issued_on: date
    first_on: date
    last_on: date
    seller: Party
    buyer: Party
    lines: tuple[DocumentLine, ...]
    total_minor: int
    language: str = "en"
    due_on: date | None = None
    payment: tuple[tuple[str, str], ...] = ()
    notes: tuple[str, ...] = field(default=())

    def __post_init__(self) -> None:
        _check(self.currency, self.issued_at, len(self.lines))
        if sum(line.amount_minor for line in self.lines) != self.total_minor:
            raise DocumentInvalid("the lines of the invoice do not sum to its total")


@dataclass(frozen=True, slots=True)
class StatementLine:
    """What one invoice brought a provider for one Api: gross = fee + share. Negative when the invoice was voided."""

    api: str
    invoice_number: str
    issued_on: date
    gross_minor: int
    fee_minor: int
    share_minor: int
    is_reversal: bool = False


@dataclass(frozen=True, slots=True)
class StatementDocument:
    """A provider's statement of one month as printed; see InvoiceDocument. Raises DocumentInvalid when sums are off."""

    number: str
    currency: str
    issued_at: datetime
    issued_on: date
    first_on: date
    last_on: date
    platform: Party
    provider: Party
    lines: tuple[StatementLine, ...]
    gross_minor: int
    fee_minor: int
    share_minor: int
    language: str = "en"
    notes: tuple[str, ...] = field(default=())

    def __post_init__(self) -> None:
        _check(self.currency, self.issued_at, len(self.lines))
        totals = (self.gross_minor, self.fee_minor, self.share_minor)
        sums = tuple(
            sum(getattr(line, name) for line in self.lines) for name in ("gross_minor", "fee_minor", "share_minor")
        )
        if sums != totals:
            raise DocumentInvalid("the lines of the statement do not sum to its totals")
        if any(line.gross_minor != line.fee_minor + line.share_minor for line in self.lines):
            raise DocumentInvalid("fee and share of a statement line do not make its gross amount")


def _check(currency: str, issued_at: datetime, lines: int) -> None:
    Money.zero(currency)
    if issued_at.tzinfo is None:
        raise DocumentInvalid("a document's time of issue needs a zone")
    if lines > LINES_MAX:
        raise DocumentInvalid(f"a document has at most {LINES_MAX} lines")
