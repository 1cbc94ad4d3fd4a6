"""What a provider earned: a month's invoices less the platform's fee, the statements with their PDF, what is still owed."""

from datetime import date

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from billing.core.periods import month_shift
from billing.models import ProviderStatement
from billing.selectors.balances import provider_balances
from billing.selectors.earnings import currencies_earned, earnings_list, earnings_summary, month_period, statement_list
from billing.selectors.permits import statement_find
from billing.services.documents import statement_pdf as statement_print
from billing.views.doors import month_read
from billing.views.trail import pdf_answer
from marketplace.selectors.paging import page_take
from marketplace.views.doors import member_page


@require_safe
@member_page("provider", "invoice.view")
def earnings(request: HttpRequest) -> HttpResponse:
    """One month: sums, then Api by invoice; below, all statements."""
    provider = request.organization
    month = month_read(request, timezone.localdate())
    period = month_period(month, provider.time_zone)
    rows = [
        (currency, earning)
        for currency in currencies_earned(provider=provider)
        for earning in earnings_list(provider=provider, currency=currency, period=period)
    ]
    context = {
        "month": month,
        "earlier": month_shift(month, -1),
        "later": _later(month),
        "period": period,
        "sums": earnings_summary(provider=provider, period=period),
        "rows": rows,
        "owed": [(currency, minor) for currency, minor in provider_balances(organization=provider).items() if minor],
        "page": page_take(statement_list(provider=provider), cursor=request.GET.get("cursor", "")),
    }
    return render(request, "billing/earnings.html", context)


@require_safe
@member_page("provider", "invoice.view")
def statement_detail(request: HttpRequest, statement_id: str) -> HttpResponse:
    """One statement with its lines."""
    statement = _find(request, statement_id)
    context = {
        "statement": statement,
        "lines": list(statement.lines.select_related("invoice").order_by("position")),
        "slug": request.organization.slug,
        "crumbs": [
            (_("Earnings"), reverse("billing:earnings", args=[request.organization.slug])),
            (statement.number or _("Draft"), ""),
        ],
    }
    return render(request, "billing/statement_detail.html", context)


@require_safe
@member_page("provider", "invoice.view")
def statement_pdf(request: HttpRequest, statement_id: str) -> HttpResponse:
    """The frozen document; a draft is printed as it is now."""
    return statement_answer(_find(request, statement_id))


def statement_answer(statement: ProviderStatement) -> HttpResponse:
    """A statement as a download."""
    pdf = bytes(statement.document.pdf) if statement.number else statement_print(statement=statement)
    return pdf_answer(pdf, statement.number or statement.public_id)


def _later(month: date) -> date | None:
    following = month_shift(month, 1)
    return following if following <= timezone.localdate() else None


def _find(request: HttpRequest, statement_id: str) -> ProviderStatement:
    return statement_find(person=request.user, public_id=statement_id, within=request.organization)  # type: ignore[arg-type]
