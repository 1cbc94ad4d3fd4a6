"""From rows to documents: the parties as they are now, and the values that billing.documents prints.

Everything printed comes from what an invoice froze (lines, parties, number, times), so that printing an old invoice again
gives the same bytes, whatever has been renamed since.
"""

from datetime import date, datetime
from decimal import Decimal
from typing import Any

from django.conf import settings

from billing import documents
from billing.core.periods import Period, zone_get
from billing.models import Invoice, InvoiceLine, LineKind, ProviderStatement
from marketplace.models import Organization

_PARTY_FIELDS = ("name", "address", "country", "tax_id", "email")


def seller_party() -> dict[str, Any]:
    """Return who issues invoices, from the environment (TOLLGATE_SELLER), as an invoice freezes it."""
    return dict(settings.TOLLGATE.seller)


def buyer_party(organization: Organization) -> dict[str, Any]:
    """Return an organization as documents print it, as an invoice or statement freezes it."""
    return {
        "name": organization.legal_name or organization.name,
        "address": organization.address,
        "country": organization.country,
        "tax_id": organization.tax_id,
        "email": organization.billing_email,
    }


provider_party = buyer_party


def invoice_parties(invoice: Invoice) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return who issues an invoice and to whom: as it froze them, or as they would be printed now."""
    return invoice.seller or seller_party(), invoice.buyer or buyer_party(invoice.organization)


def invoice_pdf(*, invoice: Invoice) -> bytes:
    """Print an invoice from its rows; without a number it is printed as a draft. The same rows give the same bytes."""
    issued_at = invoice.issued_at or invoice.drafted_at
    period = Period(invoice.period_start, invoice.period_end, invoice.time_zone)
    seller, buyer = invoice_parties(invoice)
    lines = [_line(line, invoice.time_zone) for line in invoice.lines.order_by("position")]
    document = documents.InvoiceDocument(
        number=invoice.number or "",
        currency=invoice.currency,
        issued_at=issued_at,
        issued_on=_local_day(issued_at, invoice.time_zone),
        first_on=period.first_on,
        last_on=period.last_on,
        seller=_party(seller),
        buyer=_party(buyer),
        lines=tuple(lines),
        total_minor=invoice.total_minor,
        language=invoice.language,
        due_on=invoice.due_on,
        payment=tuple((label, value) for label, value in seller.get("payment", [])),
    )
    return documents.invoice_pdf(document)


def statement_pdf(*, statement: ProviderStatement) -> bytes:
    """Print a provider's statement from its rows; without a number it is printed as a draft."""
    issued_at = statement.issued_at or statement.computed_at
    zone = statement.time_zone
    period = Period(statement.period_start, statement.period_end, zone)
    lines = [
        documents.StatementLine(
            api=line.api_name,
            invoice_number=line.invoice.number or "",
            issued_on=_local_day((line.invoice.voided_at if line.is_reversal else line.invoice.issued_at), zone),
            gross_minor=line.gross_minor,
            fee_minor=line.commission_minor,
            share_minor=line.share_minor,
            is_reversal=line.is_reversal,
        )
        for line in statement.lines.select_related("invoice").order_by("position")
    ]
    document = documents.StatementDocument(
        number=statement.number or "",
        currency=statement.currency,
        issued_at=issued_at,
        issued_on=_local_day(issued_at, zone),
        first_on=period.first_on,
        last_on=period.last_on,
        platform=_party(seller_party()),
        provider=_party(statement.party or provider_party(statement.provider)),
        lines=tuple(lines),
        gross_minor=statement.gross_minor,
        fee_minor=statement.commission_minor,
        share_minor=statement.share_minor,
        language=statement.provider.language,
    )
    return documents.statement_pdf(document)


def _line(line: InvoiceLine, time_zone: str) -> documents.DocumentLine:
    """Return a line as printed; what tiers made of late usage is explained in the portal, not on paper."""
    period = Period(line.period_start, line.period_end, time_zone)
    parts = () if line.kind == LineKind.LATE_USAGE else tuple(line.explanation.get("parts", ()))
    return documents.DocumentLine(
        description=line.description,
        quantity=line.quantity,
        amount_minor=line.amount_minor,
        unit_price=Decimal(line.unit_price) if line.unit_price else None,
        group=line.group,
        first_on=period.first_on,
        last_on=period.last_on,
        parts=parts,
        proration=str(line.explanation.get("proration", "1")),
    )


def _party(values: dict[str, Any]) -> documents.Party:
    return documents.Party(**{name: str(values.get(name) or "") for name in _PARTY_FIELDS})


def _local_day(instant: datetime | None, time_zone: str) -> date:
    assert instant is not None, "an issued document has its time"
    return instant.astimezone(zone_get(time_zone)).date()
