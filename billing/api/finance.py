"""Endpoints of the platform's finance: the review queue, an invoice's way to its issue, payments, statements."""

from collections.abc import Callable
from typing import Any

from django.utils import timezone
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from billing.api.invoices import InvoiceQuery, filter_read
from billing.api.shapes import (
    InvoiceLinesOut,
    InvoiceOut,
    PaymentIn,
    PaymentOut,
    ReasonIn,
    ReviewOut,
)
from billing.api.statements import StatementOut
from billing.models import Invoice
from billing.selectors import invoices as shown
from billing.selectors.earnings import providers_due
from billing.selectors.invoices import money_show
from billing.selectors.permits import finance_require, invoice_find, statement_find
from billing.selectors.review import QUEUE_STATUSES, ReviewRow, review_list
from billing.services import drafts, invoices, payments, statements
from billing.words import amount_read
from marketplace.api.base import Endpoint, Nothing, Strict, operation
from marketplace.selectors.paging import page_take


class ReviewQuery(Strict):
    """Which part of the queue."""

    status = serializers.ChoiceField(
        choices=[str(status.value) for status in QUEUE_STATUSES], default="", allow_blank=True
    )


class MonthIn(Strict):
    """A month: any day of it."""

    month = serializers.DateField()


class ReviewsOut(serializers.Serializer[Any]):
    """The queue."""

    data = ReviewOut(many=True)  # type: ignore[assignment]


class StatementsOut(serializers.Serializer[Any]):
    """What was computed."""

    data = StatementOut(many=True)  # type: ignore[assignment]


class FinanceEndpoint(Endpoint):
    """For people with the platform's finance role, in person or by their own token."""

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Refuse everybody else before anything is looked up."""
        super().initial(request, *args, **kwargs)
        finance_require(self.person, within=self.within)

    def moved(self, public_id: str, step: Callable[[Invoice], Invoice | None]) -> Response:
        """Take one step with an invoice and show it."""
        invoice = step(invoice_find(person=self.person, public_id=public_id))
        if invoice is None:
            return Response(status=204)
        return self.entity_response(InvoiceLinesOut(Invoice.objects.get(id=invoice.id)).data)


class FinanceInvoices(FinanceEndpoint):
    """All invoices."""

    @operation("List all invoices", scope="billing:read", query=InvoiceQuery, answer=InvoiceOut, many=True)
    def get(self, request: Request) -> Response:
        """Drafts too, the newest first."""
        filters, paging = filter_read(self.query)
        rows = shown.invoice_list_finance(filters=filters)
        return self.page_response(page_take(rows, bound={"filter": str(filters)}, **paging), InvoiceOut)


class FinanceReview(FinanceEndpoint):
    """The queue."""

    @operation("Show the review queue", scope="billing:read", query=ReviewQuery, answer=ReviewsOut)
    def get(self, request: Request) -> Response:
        """Each with the reasons to look at it."""
        rows = [_review(row) for row in review_list(status=self.query["status"])]
        return Response(ReviewsOut({"data": rows}).data)


class InvoiceRefresh(FinanceEndpoint):
    """A draft computed anew."""

    @operation("Compute a draft anew", scope="billing:write", body=Nothing, answer=InvoiceLinesOut, creates=True)
    def post(self, request: Request, invoice: str) -> Response:
        """204 when nothing is due any more."""
        return self.moved(invoice, lambda found: drafts.invoice_refresh(invoice=found, now=timezone.now()))


class InvoiceSubmit(FinanceEndpoint):
    """Into review."""

    @operation("Submit a draft for review", scope="billing:write", body=Nothing, answer=InvoiceLinesOut, creates=True)
    def post(self, request: Request, invoice: str) -> Response:
        """It is no longer recomputed."""
        return self.moved(
            invoice, lambda found: invoices.invoice_submit(invoice=found, person=self.person, now=timezone.now())
        )


class InvoiceReturn(FinanceEndpoint):
    """Back to draft."""

    @operation("Return an invoice to draft", scope="billing:write", body=Nothing, answer=InvoiceLinesOut, creates=True)
    def post(self, request: Request, invoice: str) -> Response:
        """So that it can be computed anew."""
        return self.moved(invoice, lambda found: invoices.invoice_return(invoice=found, person=self.person))


class InvoiceApprove(FinanceEndpoint):
    """The word of finance."""

    @operation("Approve an invoice", scope="billing:write", body=Nothing, answer=InvoiceLinesOut, creates=True)
    def post(self, request: Request, invoice: str) -> Response:
        """It may be issued now."""
        return self.moved(
            invoice, lambda found: invoices.invoice_approve(invoice=found, person=self.person, now=timezone.now())
        )


class InvoiceIssue(FinanceEndpoint):
    """The document."""

    @operation("Issue an invoice", scope="billing:write", body=Nothing, answer=InvoiceLinesOut, creates=True)
    def post(self, request: Request, invoice: str) -> Response:
        """Numbered, frozen, booked, sent. 409 usage_disagrees lists every difference to the usage."""
        return self.moved(
            invoice,
            lambda found: invoices.invoice_issue(invoice_id=found.id, person=self.person, now=timezone.now()),
        )


class InvoiceVoid(FinanceEndpoint):
    """The end of a document."""

    @operation("Void an invoice", scope="billing:write", body=ReasonIn, answer=InvoiceLinesOut, creates=True)
    def post(self, request: Request, invoice: str) -> Response:
        """It keeps its number; its usage is billed anew."""
        return self.moved(
            invoice,
            lambda found: invoices.invoice_void(
                invoice=found, reason=self.body["reason"], person=self.person, now=timezone.now()
            ),
        )


class InvoicePay(FinanceEndpoint):
    """Money received."""

    @operation(
        "Record a bank transfer", scope="billing:write", body=PaymentIn, answer=PaymentOut, status=201, creates=True
    )
    def post(self, request: Request, invoice: str) -> Response:
        """Less or more than is due is fine."""
        found = invoice_find(person=self.person, public_id=invoice)
        amount = amount_read(self.body["amount"], found.currency)
        key = request.headers.get("Idempotency-Key", "")
        payment = payments.payment_record(
            invoice=found,
            amount_minor=amount.minor,
            reference=self.body["reference"],
            received_on=self.body["received_on"],
            person=self.person,
            now=timezone.now(),
            idempotency_key=f"{self.person.id}:{key}" if key else "",
        )
        return self.entity_response(PaymentOut(payment).data, status=201)


class FinanceStatements(FinanceEndpoint):
    """Statements of all providers."""

    @operation(
        "Compute the statements of a month", scope="billing:write", body=MonthIn, answer=StatementsOut, creates=True
    )
    def post(self, request: Request) -> Response:
        """Drafts are computed anew, issued ones stay."""
        month = self.body["month"]
        computed = statements.statements_compute(
            month=month, now=timezone.now(), providers=providers_due(period_of=month)
        )
        return Response(StatementsOut({"data": computed}).data)


class StatementIssue(FinanceEndpoint):
    """A statement frozen."""

    @operation("Issue a provider's statement", scope="billing:write", body=Nothing, answer=StatementOut, creates=True)
    def post(self, request: Request, statement: str) -> Response:
        """Numbered, with its PDF; only after the month has ended."""
        found = statement_find(person=self.person, public_id=statement)
        issued = statements.statement_issue(statement=found, person=self.person, now=timezone.now())
        return self.entity_response(StatementOut(issued).data)


def _review(row: ReviewRow) -> dict[str, Any]:
    difference = row.difference_minor
    return {
        "invoice": row.invoice,
        "reasons": row.reasons,
        "difference": None if difference is None else money_show(difference, row.invoice.currency),
    }
