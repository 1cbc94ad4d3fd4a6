"""Statements of all providers: prepared for a month, looked at, issued with their PDF."""

from datetime import date

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from billing.forms.finance import MonthForm
from billing.models import ProviderStatement
from billing.selectors.earnings import providers_due, statement_list
from billing.selectors.permits import statement_find
from billing.services.statements import statement_issue, statements_compute
from billing.views.doors import finance_page
from billing.views.earnings import statement_answer
from marketplace.selectors.paging import page_take
from marketplace.views.doors import service_try


@require_http_methods(["GET", "HEAD", "POST"])
@finance_page
def statements(request: HttpRequest) -> HttpResponse:
    """All statements, the newest first; a month's drafts are computed (again) on demand."""
    form = MonthForm(request.POST or None, initial={"month": timezone.localdate().strftime("%Y-%m")})
    if request.method == "POST" and form.is_valid():
        month = date.fromisoformat(f"{form.cleaned_data['month']}-01")
        computed = service_try(
            request,
            statements_compute,
            form=form,
            month=month,
            now=timezone.now(),
            providers=providers_due(period_of=month),
        )
        if computed is not None:
            text = _("Prepared: %(n)d statements.") if computed else _("Nobody earned anything in this month.")
            messages.success(request, text % {"n": len(computed)} if computed else text)
            return redirect("billing:finance_statements")
    page = page_take(statement_list(), cursor=request.GET.get("cursor", ""))
    return render(request, "billing/finance_statements.html", {"form": form, "page": page, "is_finance": True})


@require_safe
@finance_page
def statement(request: HttpRequest, statement_id: str) -> HttpResponse:
    """One statement with its lines."""
    found = _find(request, statement_id)
    context = {
        "statement": found,
        "lines": list(found.lines.select_related("invoice").order_by("position")),
        "is_finance": True,
        "is_running": found.period_end > timezone.now(),
        "crumbs": [(_("Statements"), reverse("billing:finance_statements")), (found.number or _("Draft"), "")],
    }
    return render(request, "billing/statement_detail.html", context)


@require_safe
@finance_page
def statement_pdf(request: HttpRequest, statement_id: str) -> HttpResponse:
    """The document."""
    return statement_answer(_find(request, statement_id))


@require_POST
@finance_page
def statement_issue_page(request: HttpRequest, statement_id: str) -> HttpResponse:
    """Number and freeze it. Its page has said what that means."""
    found = _find(request, statement_id)
    issued = service_try(request, statement_issue, statement=found, person=request.user, now=timezone.now())
    if issued is not None:
        messages.success(request, _("Issued as %(number)s.") % {"number": issued.number})
    return redirect("billing:finance_statement", found.public_id)


def _find(request: HttpRequest, statement_id: str) -> ProviderStatement:
    return statement_find(person=request.user, public_id=statement_id)  # type: ignore[arg-type]
