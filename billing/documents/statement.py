"""The provider's statement as PDF: arranges a StatementDocument for ``templates/statement.typ``."""

from itertools import groupby
from typing import Any

from billing.documents.content import StatementDocument, StatementLine
from billing.documents.invoice import amount_show, party_values
from billing.documents.messages import date_show, dates_show, language_of, message, messages_all
from billing.documents.render import pdf_render


def statement_pdf(document: StatementDocument) -> bytes:
    """Print a provider's statement. The same document gives the same bytes. Raises DocumentInvalid."""
    language, currency = language_of(document.language), document.currency
    order = {line.api: place for place, line in reversed(list(enumerate(document.lines)))}
    ordered = sorted(document.lines, key=lambda line: order[line.api])
    groups = [
        _group(api, list(lines), currency, language) for api, lines in groupby(ordered, key=lambda line: line.api)
    ]
    values = {
        "language": language,
        "text": messages_all(language),
        "number": document.number,
        "title": message("statement", language),
        "is_draft": not document.number,
        "meta": _meta(document, language),
        "platform": party_values(document.platform, language),
        "provider": party_values(document.provider, language),
        "currency": currency,
        "groups": groups,
        "has_subtotals": len(groups) > 1,
        "totals": [
            amount_show(minor, currency) for minor in (document.gross_minor, document.fee_minor, document.share_minor)
        ],
        "notes": [message("statement_note", language), *document.notes],
    }
    return pdf_render("statement", values, issued_at=document.issued_at)


def _meta(document: StatementDocument, language: str) -> list[list[str]]:
    rows = [
        ("number", document.number),
        ("issued_on", date_show(document.issued_on, language)),
        ("period", dates_show(document.first_on, document.last_on, language)),
    ]
    return [[message(key, language), value] for key, value in rows if value]


def _group(api: str, lines: list[StatementLine], currency: str, language: str) -> dict[str, Any]:
    sums = (sum(getattr(line, name) for line in lines) for name in ("gross_minor", "fee_minor", "share_minor"))
    return {
        "name": api,
        "lines": [
            {
                "invoice": line.invoice_number,
                "issued_on": date_show(line.issued_on, language),
                "note": message("reversal", language) if line.is_reversal else "",
                "amounts": [
                    amount_show(minor, currency) for minor in (line.gross_minor, line.fee_minor, line.share_minor)
                ],
            }
            for line in lines
        ],
        "subtotals": [amount_show(minor, currency) for minor in sums],
    }
