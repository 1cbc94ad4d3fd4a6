"""From an invoice's line to its hours and to the very calls: the same pages for the consumer and for finance."""

from datetime import UTC, datetime
from uuid import UUID

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render

from billing.models import Invoice, InvoiceLine
from billing.selectors.invoices import line_hours
from billing.selectors.trail import hour_calls
from billing.services.documents import invoice_pdf
from billing.views.doors import text_get
from marketplace.selectors.accounts import entity_find

HOUR_FORMAT = "%Y-%m-%dT%HZ"
"""How an hour stands in an address: 2026-11-22T20Z."""


def line_find(invoice: Invoice, line_id: str) -> InvoiceLine:
    """A line of an invoice. Raises NotFound."""
    return entity_find(InvoiceLine, invoice.lines.select_related("meter", "price__plan", "api"), line_id)


def hour_read(text: str) -> datetime:
    """The hour of an address. Raises Http404 when it is none."""
    try:
        return datetime.strptime(text, HOUR_FORMAT).replace(tzinfo=UTC)
    except ValueError as problem:
        raise Http404 from problem


def line_page(request: HttpRequest, invoice: Invoice, line: InvoiceLine, **context: object) -> HttpResponse:
    """The hours of a line, and how its amount came about."""
    hours = line_hours(line=line)
    shown = [(one, one.hour.strftime(HOUR_FORMAT)) for one in hours]
    context |= {"invoice": invoice, "line": line, "hours": shown, "top": max([one.units for one in hours], default=1)}
    return render(request, "billing/invoice_line.html", context)


def hour_page(request: HttpRequest, invoice: Invoice, line: InvoiceLine, hour: str, **context: object) -> HttpResponse:
    """The calls of one hour."""
    page = hour_calls(line=line, hour=hour_read(hour), after=_after(request))
    return render(
        request,
        "billing/invoice_hour.html",
        {**context, "invoice": invoice, "line": line, "page": page, "after": "after" in request.GET},
    )


def _after(request: HttpRequest) -> UUID | None:
    """The request id that a page follows; nonsense begins at the first call."""
    try:
        return UUID(text_get(request, "after", length_max=36))
    except ValueError:
        return None


def pdf_page(invoice: Invoice) -> HttpResponse:
    """The frozen bytes of an issued invoice; a draft is printed as it is now."""
    pdf = bytes(invoice.document.pdf) if invoice.number else invoice_pdf(invoice=invoice)
    return pdf_answer(pdf, invoice.number or invoice.public_id)


def pdf_answer(pdf: bytes, name: str) -> HttpResponse:
    """A PDF as a download."""
    response = HttpResponse(pdf, content_type="application/pdf")
    response["Content-Disposition"] = f'attachment; filename="{name}.pdf"'
    return response
