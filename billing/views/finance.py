"""The platform's finance: home with counts and anomalies, the review queue, all invoices, receivables."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_POST, require_safe

from billing.forms.finance import InvoiceFilterForm
from billing.selectors.books import books_check
from billing.selectors.finance import finance_overview, receivables_list, receivables_totals
from billing.selectors.invoices import InvoiceFilter, invoice_list_finance
from billing.selectors.permits import subscription_find
from billing.selectors.review import review_counts, review_list
from billing.services.subscriptions import subscription_unpark
from billing.views.doors import finance_page, text_get
from marketplace.core.ids import MalformedId
from marketplace.models import Organization
from marketplace.selectors.paging import page_take
from marketplace.views.doors import service_try


@require_safe
@finance_page
def finance_home(request: HttpRequest) -> HttpResponse:
    """What waits and what is odd."""
    context = {"overview": finance_overview(now=timezone.now()), "checks": books_check()}
    return render(request, "billing/finance_home.html", context)


@require_safe
@finance_page
def queue(request: HttpRequest) -> HttpResponse:
    """Drafts and what follows them until the issue, the oldest period first, each with its reasons to look."""
    status = text_get(request, "status", length_max=12)
    context = {"rows": review_list(status=status), "counts": review_counts(), "status": status}
    return render(request, "billing/finance_queue.html", context)


@require_safe
@finance_page
def invoices(request: HttpRequest) -> HttpResponse:
    """All invoices of all consumers, filtered by the address."""
    form = InvoiceFilterForm(request.GET)
    form.is_valid()
    values = {name: value for name, value in form.cleaned_data.items() if name != "organization" and value}
    organization = _organization(form.cleaned_data.get("organization", ""))
    is_overdue = bool(text_get(request, "overdue"))
    filters = InvoiceFilter(
        **values,
        organization_id=organization.id if organization else None,
        overdue_on=timezone.localdate() if is_overdue else None,
    )
    page = page_take(
        invoice_list_finance(filters=filters), cursor=request.GET.get("cursor", ""), bound={"filter": str(filters)}
    )
    context = {
        "form": form,
        "page": page,
        "organization": organization,
        "is_overdue": is_overdue,
        "today": timezone.localdate(),
    }
    return render(request, "billing/finance_invoices.html", context)


@require_safe
@finance_page
def receivables(request: HttpRequest) -> HttpResponse:
    """Who owes what, by age."""
    debtors = receivables_list(today=timezone.localdate())
    context = {"debtors": debtors, "totals": receivables_totals(debtors)}
    return render(request, "billing/finance_receivables.html", context)


@require_POST
@finance_page
def unpark(request: HttpRequest, subscription_id: str) -> HttpResponse:
    """Let automation bill a parked subscription again."""
    subscription = subscription_find(person=request.user, public_id=subscription_id)  # type: ignore[arg-type]
    service_try(request, subscription_unpark, subscription=subscription, person=request.user)
    return redirect("billing:finance_home")


def _organization(public_id: str) -> Organization | None:
    try:
        return Organization.objects.filter(id=Organization.id_from_public(public_id)).first()
    except MalformedId:
        return None
