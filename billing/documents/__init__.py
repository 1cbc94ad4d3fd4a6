"""Documents people keep: invoice and provider statement as PDF. Values in, the same bytes out, whenever it is asked.

``invoice_pdf(InvoiceDocument)`` and ``statement_pdf(StatementDocument)`` are all that services need.
"""

from billing.documents.content import (
    DocumentInvalid,
    DocumentLine,
    InvoiceDocument,
    Party,
    StatementDocument,
    StatementLine,
)
from billing.documents.invoice import invoice_pdf
from billing.documents.statement import statement_pdf

__all__ = [
    "DocumentInvalid",
    "DocumentLine",
    "InvoiceDocument",
    "Party",
    "StatementDocument",
    "StatementLine",
    "invoice_pdf",
    "statement_pdf",
]
