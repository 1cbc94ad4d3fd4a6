"""Documents to print in tests: Alice provides, Bob consumes. Rated by the real rating, so that lines are what services fill."""

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from billing.core.periods import calendar_month
from billing.core.pricing import PriceKind, PriceSpec, Tier
from billing.core.rating import PlanPrice, rate
from billing.documents import DocumentLine, InvoiceDocument, Party, StatementDocument, StatementLine

MONTH = calendar_month(datetime(2026, 10, 15, tzinfo=UTC), "Asia/Shanghai")
ISSUED_AT = datetime(2026, 11, 1, 2, 3, 4, tzinfo=UTC)
OVERAGE = PriceSpec(
    PriceKind.INCLUDED,
    tiers=(Tier(100_000, Decimal("0.0004")), Tier(None, Decimal("0.00025"))),
    included_units=10_000,
)
PLATFORM = Party(
    "Tollgate Marketplace GmbH", "Torstraße 12\n10119 Berlin", "Germany", "DE 123 456 789", "pay@tollgate.example"
)
ALICE = Party("Alice Skies SARL", "1 rue de la Paix\n75002 Paris", "France", "FR 12 345678901")
BOB = Party("Bob's Weather Widgets Ltd", "14 Long Acre\nLondon WC2E 9LH", "United Kingdom")


def plan_lines(
    group: str, calls: int, *, fee: str = "Monthly fee", usage: str = "API calls", spec: PriceSpec = OVERAGE
) -> list[DocumentLine]:
    """Return the two lines of a plan with a fee and (included) calls, as billing's services make them."""
    prices = [
        PlanPrice("prc_fee", fee, PriceSpec(PriceKind.FLAT, Decimal(49))),
        PlanPrice("prc_calls", usage, spec, "calls"),
    ]
    rating = rate(prices=prices, quantities={"calls": calls}, currency="USD", period=MONTH)
    return [
        DocumentLine(
            description=line.name,
            quantity=line.quantity,
            amount_minor=line.amount_minor,
            unit_price=line.unit_price,
            group=group,
            first_on=MONTH.first_on,
            last_on=MONTH.last_on,
            parts=tuple(part.explanation for part in line.parts),
        )
        for line in rating.lines
    ]


def invoice(lines: list[DocumentLine] | None = None, **changes: Any) -> InvoiceDocument:
    """Return Bob's invoice for October, with ``changes``."""
    lines = plan_lines("Weather API, Pro", 1_234_567) if lines is None else lines
    values: dict[str, Any] = {
        "number": "INV-2026-000017",
        "currency": "USD",
        "issued_at": ISSUED_AT,
        "issued_on": date(2026, 11, 1),
        "due_on": date(2026, 11, 15),
        "first_on": MONTH.first_on,
        "last_on": MONTH.last_on,
        "seller": PLATFORM,
        "buyer": BOB,
        "lines": tuple(lines),
        "total_minor": sum(line.amount_minor for line in lines),
        "payment": (("IBAN", "DE89 3704 0044 0532 0130 00"),),
        "notes": ("Thank you.",),
    }
    return InvoiceDocument(**{**values, **changes})


def statement(lines: list[StatementLine] | None = None, **changes: Any) -> StatementDocument:
    """Return Alice's statement for October, with ``changes``."""
    if lines is None:
        lines = [
            StatementLine("Weather API", "INV-2026-000017", date(2026, 11, 1), 10_003, 1_500, 8_503),
            StatementLine("Geocoding", "INV-2026-000018", date(2026, 11, 1), 4_900, 735, 4_165),
            StatementLine("Weather API", "INV-2026-000009", date(2026, 11, 2), -200, -30, -170, is_reversal=True),
        ]
    values: dict[str, Any] = {
        "number": "PST-2026-000003",
        "currency": "USD",
        "issued_at": ISSUED_AT,
        "issued_on": date(2026, 11, 2),
        "first_on": MONTH.first_on,
        "last_on": MONTH.last_on,
        "platform": PLATFORM,
        "provider": ALICE,
        "lines": tuple(lines),
        "gross_minor": sum(line.gross_minor for line in lines),
        "fee_minor": sum(line.fee_minor for line in lines),
        "share_minor": sum(line.share_minor for line in lines),
    }
    return StatementDocument(**{**values, **changes})
