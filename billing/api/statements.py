"""Endpoints of provider statements."""

from typing import Any

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from billing.api.invoices import pdf_response
from billing.api.shapes import MoneyField
from billing.selectors.earnings import statement_list
from billing.selectors.permits import statement_find
from billing.services.documents import statement_pdf
from marketplace.api.base import Endpoint, Paged, operation
from marketplace.selectors.accounts import organization_get
from marketplace.selectors.paging import page_take


class StatementLineOut(serializers.Serializer[Any]):
    """What one invoice brought for one API; negative when it was voided."""

    invoice_number = serializers.CharField(source="invoice.number")
    api = serializers.CharField(source="api_name")
    is_reversal = serializers.BooleanField()
    gross_minor = serializers.IntegerField()
    commission_minor = serializers.IntegerField()
    share_minor = serializers.IntegerField()


class StatementOut(serializers.Serializer[Any]):
    """A provider's month."""

    id = serializers.CharField(source="public_id")
    number = serializers.CharField(allow_null=True)
    provider = serializers.CharField(source="provider.public_id")
    month = serializers.DateField()
    status = serializers.CharField()
    gross = MoneyField("gross_minor")
    commission = MoneyField("commission_minor")
    share = MoneyField("share_minor")
    issued_at = serializers.DateTimeField(allow_null=True)


class StatementLinesOut(StatementOut):
    """A provider's month with its lines."""

    lines = StatementLineOut(many=True, source="lines.all")


class OrganizationStatements(Endpoint):
    """A provider's statements."""

    @operation("List a provider's statements", scope="billing:read", query=Paged, answer=StatementOut, many=True)
    def get(self, request: Request, organization: str) -> Response:
        """Drafts of running months too."""
        found = organization_get(person=self.person, public_id=organization, action="invoice.view", within=self.within)
        rows = statement_list(provider=found)
        return self.page_response(page_take(rows, bound={"of": organization}, **self.query), StatementOut)


class StatementOne(Endpoint):
    """One statement."""

    @operation("Show a statement with its lines", scope="billing:read", answer=StatementLinesOut, has_etag=True)
    def get(self, request: Request, statement: str) -> Response:
        """By API and invoice."""
        found = statement_find(person=self.person, public_id=statement, within=self.within)
        return self.entity_response(StatementLinesOut(found).data)


class StatementPdf(Endpoint):
    """The document."""

    @operation("Download a statement as PDF", scope="billing:read", media_type="application/pdf")
    def get(self, request: Request, statement: str) -> Any:
        """The frozen bytes; a draft is printed as it is now."""
        found = statement_find(person=self.person, public_id=statement, within=self.within)
        pdf = bytes(found.document.pdf) if found.number else statement_pdf(statement=found)
        return pdf_response(pdf, found.number or found.public_id)
