"""Endpoints of invoices for consumers: lists, lines down to hours, the PDF as it was sent, the file to recompute it with."""

from datetime import UTC, timedelta
from typing import Any

from django.http import HttpResponse
from django.utils.translation import gettext as _
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from billing.api.shapes import BalanceOut, CallOut, HourOut, InvoiceLinesOut, InvoiceOut, PaymentOut
from billing.models import Invoice, InvoiceLine, InvoiceStatus, PaymentStatus
from billing.selectors import invoices as shown
from billing.selectors.balances import consumer_balances, provider_balances
from billing.selectors.invoices import InvoiceFilter, money_show
from billing.selectors.permits import invoice_find
from billing.services.documents import invoice_pdf
from marketplace.api.base import Endpoint, Paged, Strict, operation
from marketplace.errors import Fault, Gone, InvalidInput
from marketplace.selectors.accounts import entity_find, organization_get
from marketplace.selectors.evidence import EvidenceMissing
from marketplace.selectors.paging import page_take

LATE_SPAN = timedelta(hours=1)
"""An ended subscription's last calls may finish in the hour after its period."""


class InvoiceQuery(Paged):
    """Which invoices."""

    status = serializers.ChoiceField(choices=InvoiceStatus.choices, required=False, default="", allow_blank=True)
    payment_status = serializers.ChoiceField(choices=PaymentStatus.choices, default="", allow_blank=True)
    currency = serializers.CharField(max_length=3, default="", allow_blank=True)
    number = serializers.CharField(max_length=40, default="", allow_blank=True)
    since = serializers.DateField(required=False, help_text="periods that end after this day")
    until = serializers.DateField(required=False, help_text="periods that begin on this day or before")


class HoursOut(serializers.Serializer[Any]):
    """The hours of a line."""

    data = HourOut(many=True)  # type: ignore[assignment]


class CallsQuery(Strict):
    """Which hour of the line, and the id of the last call seen."""

    hour = serializers.DateTimeField()
    after = serializers.UUIDField(required=False)


class CallsOut(serializers.Serializer[Any]):
    """Calls of an hour."""

    data = CallOut(many=True)  # type: ignore[assignment]
    has_more = serializers.BooleanField()


class PaymentsOut(serializers.Serializer[Any]):
    """The payments of an invoice."""

    data = PaymentOut(many=True)  # type: ignore[assignment]


class EvidenceOut(serializers.Serializer[Any]):
    """All that ``python -m billing.core.recompute`` needs."""

    number = serializers.CharField()
    currency = serializers.CharField()
    total_minor = serializers.IntegerField()
    pdf_sha256 = serializers.CharField()
    lines = serializers.ListField(child=serializers.DictField())


def filter_read(query: dict[str, Any]) -> tuple[InvoiceFilter, dict[str, Any]]:
    """Split a checked query into the filter and what pages need."""
    paging = {name: query[name] for name in ("limit", "cursor")}
    narrowed = {name: value for name, value in query.items() if name not in paging and "\x00" not in str(value)}
    return InvoiceFilter(**narrowed), paging


def pdf_response(pdf: bytes, name: str) -> HttpResponse:
    """Return a PDF as a download."""
    response = HttpResponse(pdf, content_type="application/pdf")
    response["Content-Disposition"] = f'attachment; filename="{name}.pdf"'
    return response


class OrganizationInvoices(Endpoint):
    """A consumer's invoices."""

    @operation(
        "List an organization's invoices", scope="billing:read", query=InvoiceQuery, answer=InvoiceOut, many=True
    )
    def get(self, request: Request, organization: str) -> Response:
        """Issued and void ones, the newest first."""
        found = organization_get(person=self.person, public_id=organization, action="invoice.view", within=self.within)
        filters, paging = filter_read(self.query)
        rows = shown.invoice_list(organization=found, filters=filters)
        return self.page_response(
            page_take(rows, bound={"of": organization, "filter": str(filters)}, **paging), InvoiceOut
        )


class OrganizationBalance(Endpoint):
    """What is owed either way."""

    @operation("Show an organization's balances", scope="billing:read", answer=BalanceOut)
    def get(self, request: Request, organization: str) -> Response:
        """Sums over the ledger; below zero: paid too much."""
        found = organization_get(person=self.person, public_id=organization, action="invoice.view", within=self.within)
        owes, owed = consumer_balances(organization=found), provider_balances(organization=found)
        body = {
            "owes": [money_show(minor, currency) for currency, minor in owes.items()],
            "is_owed": [money_show(minor, currency) for currency, minor in owed.items()],
        }
        return Response(BalanceOut(body).data)


class InvoiceEndpoint(Endpoint):
    """Finds the invoice of the address."""

    def seen(self, public_id: str) -> Invoice:
        """One that the caller may see. Raises NotFound, NotPermitted."""
        return invoice_find(person=self.person, public_id=public_id, within=self.within)


class InvoiceOne(InvoiceEndpoint):
    """One invoice."""

    @operation("Show an invoice with its lines", scope="billing:read", answer=InvoiceLinesOut, has_etag=True)
    def get(self, request: Request, invoice: str) -> Response:
        """Each line explains its amount."""
        return self.entity_response(InvoiceLinesOut(self.seen(invoice)).data)


class InvoicePdf(InvoiceEndpoint):
    """The document."""

    @operation("Download an invoice as PDF", scope="billing:read", media_type="application/pdf")
    def get(self, request: Request, invoice: str) -> Any:
        """The bytes that were sent; a draft is printed as it is now."""
        found = self.seen(invoice)
        pdf = bytes(found.document.pdf) if found.number else invoice_pdf(invoice=found)
        return pdf_response(pdf, found.number or found.public_id)


class InvoiceEvidence(InvoiceEndpoint):
    """The proof."""

    @operation("Download what recomputes an invoice", scope="billing:read", answer=EvidenceOut)
    def get(self, request: Request, invoice: str) -> Response:
        """For ``python -m billing.core.recompute``."""
        return Response(shown.invoice_evidence(invoice=self.seen(invoice)))


class LineHours(InvoiceEndpoint):
    """The hours of a line."""

    @operation("List the hours behind a line", scope="billing:read", answer=HoursOut)
    def get(self, request: Request, invoice: str, line: str) -> Response:
        """Their units sum to the line's quantity."""
        found = entity_find(InvoiceLine, self.seen(invoice).lines.all(), line)
        return Response(HoursOut({"data": shown.line_hours(line=found)}).data)


class LineCalls(InvoiceEndpoint):
    """The calls of an hour of a line."""

    @operation("List the calls behind an hour", scope="billing:read", query=CallsQuery, answer=CallsOut)
    def get(self, request: Request, invoice: str, line: str) -> Response:
        """Read back from the kept journal, not from sums; at most 200 at once, the next ones after the last id."""
        found = entity_find(InvoiceLine, self.seen(invoice).lines.select_related("meter"), line)
        hour = self.query["hour"]
        if not found.period_start <= hour <= found.period_end + LATE_SPAN:
            text = _("This hour does not belong to the line.")
            raise InvalidInput(text, faults=[Fault("/hour", text)])
        hour = hour.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
        try:
            page = shown.line_calls(line=found, hour=hour, after=self.query.get("after"))
        except EvidenceMissing as problem:
            raise Gone(_("The kept journal of this hour cannot be read."), code="evidence_missing") from problem
        return Response(CallsOut({"data": page.events, "has_more": page.has_more}).data)


class InvoicePayments(InvoiceEndpoint):
    """What has been paid."""

    @operation("List the payments of an invoice", scope="billing:read", answer=PaymentsOut)
    def get(self, request: Request, invoice: str) -> Response:
        """The oldest first."""
        payments = shown.invoice_payments(invoice=self.seen(invoice))
        return Response(PaymentsOut({"data": payments}).data)
