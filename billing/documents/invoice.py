"""The invoice as PDF: arranges an InvoiceDocument for ``templates/invoice.typ``. Nothing is computed but subtotals."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from itertools import groupby
from typing import Any

from billing.core.money import Money, decimal_show
from billing.documents.content import DocumentLine, InvoiceDocument, Party
from billing.documents.messages import (
    date_show,
    dates_show,
    language_of,
    message,
    messages_all,
    number_show,
    part_text,
)
from billing.documents.render import pdf_render


def invoice_pdf(document: InvoiceDocument) -> bytes:
    """Print an invoice. The same document gives the same bytes. Raises DocumentInvalid."""
    language = language_of(document.language)
    groups = _groups(document, language)
    values = {
        "language": language,
        "text": messages_all(language),
        "number": document.number,
        "title": message("invoice" if document.number else "draft", language),
        "is_draft": not document.number,
        "meta": _meta(document, language),
        "seller": party_values(document.seller, language),
        "buyer": party_values(document.buyer, language),
        "currency": document.currency,
        "due": message("by_date", language, date=date_show(document.due_on, language)) if document.due_on else "",
        "groups": groups,
        "has_subtotals": len(groups) > 1,
        "total": amount_show(document.total_minor, document.currency),
        "payment": [*map(list, document.payment), *_reference(document, language)],
        "notes": list(document.notes),
    }
    return pdf_render("invoice", values, issued_at=document.issued_at)


def amount_show(minor: int, currency: str) -> str:
    """Return an amount with parted thousands and all places, without its currency: ``-1,234.50``."""
    return Money(minor, currency).format(grouping=",")


def party_values(party: Party, language: str) -> dict[str, Any]:
    """Return a party as the templates print it: its name, then its lines."""
    lines = [*party.address.splitlines(), party.country]
    if party.tax_id:
        lines.append(f"{message('tax_id', language)} {party.tax_id}")
    return {"name": party.name, "lines": [line.strip() for line in [*lines, party.email] if line.strip()]}


def _meta(document: InvoiceDocument, language: str) -> list[list[str]]:
    rows = [
        ("number", document.number),
        ("issued_on", date_show(document.issued_on, language)),
        ("due_on", date_show(document.due_on, language) if document.due_on else ""),
        ("period", dates_show(document.first_on, document.last_on, language)),
    ]
    return [[message(key, language), value] for key, value in rows if value]


def _groups(document: InvoiceDocument, language: str) -> list[dict[str, Any]]:
    """Gather lines by heading; headings keep the order in which they first occur, lines theirs."""
    order = {line.group: place for place, line in reversed(list(enumerate(document.lines)))}
    ordered = sorted(document.lines, key=lambda line: order[line.group])
    return [_group(name, list(lines), document, language) for name, lines in groupby(ordered, lambda line: line.group)]


def _group(name: str, lines: Sequence[DocumentLine], document: InvoiceDocument, language: str) -> dict[str, Any]:
    return {
        "name": name,
        "lines": [_line(line, document, language) for line in lines],
        "subtotal": amount_show(sum(line.amount_minor for line in lines), document.currency),
    }


def _line(line: DocumentLine, document: InvoiceDocument, language: str) -> dict[str, Any]:
    itemised = _is_itemised(line)
    unit_price = None if itemised else line.unit_price
    return {
        "description": line.description,
        "remarks": _remarks(line, document, language),
        "quantity": number_show(decimal_show(line.quantity)),
        "unit_price": "" if unit_price is None else _exact_show(unit_price, document.currency),
        "amount": amount_show(line.amount_minor, document.currency),
        "parts": [_part(part, document.currency, language) for part in line.parts] if itemised else [],
    }


def _remarks(line: DocumentLine, document: InvoiceDocument, language: str) -> list[str]:
    """Say which days a line covers when they are not the invoice's, and which part of a full period that is."""
    remarks = []
    if line.first_on and line.last_on and (line.first_on, line.last_on) != (document.first_on, document.last_on):
        remarks.append(dates_show(line.first_on, line.last_on, language))
    if line.proration != "1":
        remarks.append(message("proration", language, share=line.proration))
    return remarks


def _part(part: Mapping[str, Any], currency: str, language: str) -> dict[str, str]:
    return {
        "description": part_text(part, language),
        "quantity": number_show(part["quantity"]),
        "unit_price": _exact_show(Decimal(part["unit_price"]), currency),
        "amount": _exact_show(Decimal(part["amount"]), currency),
    }


def _exact_show(value: Decimal, currency: str) -> str:
    """Return an unrounded amount or price with all the places it uses, and at least those of its currency."""
    rounded = Money.rounded(value, currency)
    return number_show(rounded.format() if rounded.amount() == value else decimal_show(value))


def _is_itemised(line: DocumentLine) -> bool:
    """True when the parts say more than the line itself: several of them, units included in a fee, or packages of units."""
    return len(line.parts) > 1 or any(part["text"] in ("included", "package") for part in line.parts)


def _reference(document: InvoiceDocument, language: str) -> list[list[str]]:
    if not document.payment or not document.number:
        return []
    return [[message("reference", language), document.number]]
