"""A consumer's invoices: list, one with its lines, a line's hours and calls, the PDF. For those who may settle."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from billing.models import Invoice
from billing.selectors.balances import consumer_balances
from billing.selectors.invoices import invoice_list, invoice_payments
from billing.selectors.overviews import invoice_expected
from billing.selectors.permits import invoice_find
from billing.views import trail
from marketplace.selectors.paging import page_take
from marketplace.views.doors import member_page


@require_safe
@member_page("consumer", "invoice.view")
def invoices(request: HttpRequest) -> HttpResponse:
    """Issued and void ones, the newest first; before the first, when it comes and about how much."""
    organization, now = request.organization, timezone.now()
    page = page_take(invoice_list(organization=organization), cursor=request.GET.get("cursor", ""))
    balances = [(currency, minor) for currency, minor in consumer_balances(organization=organization).items() if minor]
    context = {
        "page": page,
        "balances": balances,
        "expected": invoice_expected(organization=organization, now=now),
        "today": timezone.localdate(),
        "zone": organization.time_zone,
    }
    return render(request, "billing/invoice_list.html", context)


@require_safe
@member_page("consumer", "invoice.view")
def invoice_detail(request: HttpRequest, invoice_id: str) -> HttpResponse:
    """One invoice: parties, lines in words, payments, what happened to it."""
    invoice = _find(request, invoice_id)
    context = {
        "invoice": invoice,
        "lines": list(invoice.lines.order_by("position")),
        "payments": list(invoice_payments(invoice=invoice)),
        "today": timezone.localdate(),
        "crumbs": [*_crumbs(request)[:1], (str(invoice), "")],
        "slug": request.organization.slug,
    }
    return render(request, "billing/invoice_detail.html", context)


@require_safe
@member_page("consumer", "invoice.view")
def invoice_line(request: HttpRequest, invoice_id: str, line_id: str) -> HttpResponse:
    """What a line counts, hour by hour."""
    invoice = _find(request, invoice_id)
    line = trail.line_find(invoice, line_id)
    crumbs = [*_crumbs(request, invoice), (line.description, "")]
    return trail.line_page(request, invoice, line, crumbs=crumbs, slug=request.organization.slug)


@require_safe
@member_page("consumer", "invoice.view")
def invoice_hour(request: HttpRequest, invoice_id: str, line_id: str, hour: str) -> HttpResponse:
    """The calls that a line counts in one hour."""
    invoice = _find(request, invoice_id)
    line = trail.line_find(invoice, line_id)
    slug = request.organization.slug
    line_url = reverse("billing:invoice_line", args=[slug, invoice.public_id, line.public_id])
    crumbs = [*_crumbs(request, invoice), (line.description, line_url), (_("Calls"), "")]
    return trail.hour_page(request, invoice, line, hour, crumbs=crumbs, slug=slug)


@require_safe
@member_page("consumer", "invoice.view")
def invoice_pdf(request: HttpRequest, invoice_id: str) -> HttpResponse:
    """The document as it was sent."""
    return trail.pdf_page(_find(request, invoice_id))


def _find(request: HttpRequest, invoice_id: str) -> Invoice:
    return invoice_find(person=request.user, public_id=invoice_id, within=request.organization)  # type: ignore[arg-type]


def _crumbs(request: HttpRequest, invoice: Invoice | None = None) -> list[tuple[str, str]]:
    slug = request.organization.slug
    crumbs = [(_("Invoices"), reverse("billing:invoice_list", args=[slug]))]
    if invoice is not None:
        crumbs.append((str(invoice), reverse("billing:invoice_detail", args=[slug, invoice.public_id])))
    return crumbs
