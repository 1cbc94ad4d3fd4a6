"""An invoice as finance sees it: lines with their rating, hours and calls; its steps, each shown with its effect; payments."""

from collections.abc import Callable
from typing import Any

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from billing.core.money import Money
from billing.errors import ApplicationError
from billing.forms.finance import ReasonForm, TransferForm
from billing.models import Invoice, InvoiceStatus
from billing.selectors.finance import lines_compare
from billing.selectors.invoices import invoice_payments, payment_exists, submitted_by
from billing.selectors.permits import invoice_find
from billing.selectors.review import reasons_shown
from billing.services.documents import invoice_parties
from billing.services.drafts import invoice_refresh
from billing.services.invoices import (
    invoice_approve,
    invoice_issue,
    invoice_return,
    invoice_submit,
    invoice_void,
    paid_words,
)
from billing.services.payments import payment_record
from billing.services.previews import issue_effect, void_effect
from billing.views import trail
from billing.views.doors import finance_page
from billing.views.words import amount_words
from marketplace.views.doors import service_try


@require_safe
@finance_page
def invoice_detail(request: HttpRequest, invoice_id: str) -> HttpResponse:
    """Everything about one invoice, and the step that comes next."""
    return _show(request, _find(request, invoice_id))


@require_safe
@finance_page
def invoice_line(request: HttpRequest, invoice_id: str, line_id: str) -> HttpResponse:
    """The rating of a line and its hours."""
    invoice = _find(request, invoice_id)
    line = trail.line_find(invoice, line_id)
    crumbs = [*_crumbs(invoice), (line.description, "")]
    return trail.line_page(request, invoice, line, crumbs=crumbs, is_finance=True)


@require_safe
@finance_page
def invoice_hour(request: HttpRequest, invoice_id: str, line_id: str, hour: str) -> HttpResponse:
    """The calls of one hour of a line."""
    invoice = _find(request, invoice_id)
    line = trail.line_find(invoice, line_id)
    line_url = reverse("billing:finance_invoice_line", args=[invoice.public_id, line.public_id])
    crumbs = [*_crumbs(invoice), (line.description, line_url), (_("Calls"), "")]
    return trail.hour_page(request, invoice, line, hour, crumbs=crumbs, is_finance=True)


@require_safe
@finance_page
def invoice_pdf(request: HttpRequest, invoice_id: str) -> HttpResponse:
    """The document; a draft is printed as it is now."""
    return trail.pdf_page(_find(request, invoice_id))


@require_POST
@finance_page
def invoice_step(request: HttpRequest, invoice_id: str, step: str) -> HttpResponse:
    """A step that can be taken back: refresh, submit, approve, return to draft."""
    invoice = _find(request, invoice_id)
    if step not in _STEPS:
        raise Http404
    try:
        moved, text = _STEPS[step](invoice, request.user)
    except ApplicationError as error:
        messages.error(request, error.message)
        return _to(invoice)
    messages.success(request, text)
    return _to(invoice) if moved is not None else redirect("billing:finance_queue")


@require_http_methods(["GET", "HEAD", "POST"])
@finance_page
def invoice_issue_page(request: HttpRequest, invoice_id: str) -> HttpResponse:
    """Issue, after showing number, bookings, letter, and every difference that would stop it."""
    invoice = _find(request, invoice_id)
    if request.method == "POST":
        try:
            issued = invoice_issue(invoice_id=invoice.id, person=request.user, now=timezone.now())  # type: ignore[arg-type]
        except ApplicationError as error:
            messages.error(request, error.message)
            return redirect("billing:finance_invoice_issue", invoice.public_id)
        messages.success(request, _("Issued as %(number)s.") % {"number": issued.number})
        return _to(invoice)
    if invoice.status != InvoiceStatus.APPROVED:
        return _to(invoice)
    effect = issue_effect(invoice=invoice, now=timezone.now())
    context = {"invoice": invoice, "effect": effect, "crumbs": [*_crumbs(invoice), (_("Issue"), "")]}
    return render(request, "billing/finance_issue.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@finance_page
def invoice_void_page(request: HttpRequest, invoice_id: str) -> HttpResponse:
    """Declare void with a reason, after showing what is reversed."""
    invoice = _find(request, invoice_id)
    form = ReasonForm(request.POST or None)
    if request.method == "POST" and not invoice.paid_minor and form.is_valid():
        done = service_try(
            request,
            invoice_void,
            form=form,
            invoice=invoice,
            reason=form.cleaned_data["reason"],
            person=request.user,
            now=timezone.now(),
        )
        if done is not None:
            messages.success(
                request, _("%(number)s is void. Its usage will be billed anew.") % {"number": invoice.number}
            )
            return _to(invoice)
    if invoice.paid_minor:
        messages.error(request, paid_words())
    if invoice.status != InvoiceStatus.ISSUED or invoice.paid_minor:
        return _to(invoice)
    context = {
        "invoice": invoice,
        "form": form,
        "effect": void_effect(invoice=invoice),
        "crumbs": [*_crumbs(invoice), (_("Declare void"), "")],
    }
    return render(request, "billing/finance_void.html", context)


@require_POST
@finance_page
def invoice_pay(request: HttpRequest, invoice_id: str) -> HttpResponse:
    """Record a bank transfer. The same form sent twice records one."""
    invoice = _find(request, invoice_id)
    form = TransferForm(request.POST, invoice=invoice)
    if not form.is_valid():
        return _show(request, invoice, form=form)
    key = form.cleaned_data.get("key")
    idempotency_key = f"{request.user.pk}:{key}" if key else ""
    if form.excess_minor and not payment_exists(idempotency_key=idempotency_key):
        form.add_error("more", _excess_text(invoice, form.excess_minor))
        return _show(request, invoice, form=form)
    payment = service_try(
        request,
        payment_record,
        form=form,
        invoice=invoice,
        person=request.user,
        now=timezone.now(),
        idempotency_key=idempotency_key,
        **form.recorded(),
    )
    if payment is None:
        return _show(request, invoice, form=form)
    invoice.refresh_from_db()
    messages.success(request, _paid_text(invoice))
    return _to(invoice)


def _show(request: HttpRequest, invoice: Invoice, *, form: TransferForm | None = None) -> HttpResponse:
    before, changes = lines_compare(invoice=invoice)
    seller, buyer = invoice_parties(invoice)
    initial = {"amount": amount_plain(invoice), "received_on": timezone.localdate()}
    context = {
        "invoice": invoice,
        "lines": list(invoice.lines.order_by("position")),
        "payments": list(invoice_payments(invoice=invoice).select_related("recorded_by")),
        "submitted_by": submitted_by(invoice=invoice),
        "seller": seller,
        "buyer": buyer,
        "reasons": reasons_shown(invoice, is_first=before is None),
        "before": before,
        "changes": changes,
        "form": form or TransferForm(initial=initial, invoice=invoice),
        "today": timezone.localdate(),
        "is_finance": True,
        "crumbs": [(_("Invoices"), reverse("billing:finance_invoices")), (_name(invoice), "")],
    }
    return render(request, "billing/finance_invoice.html", context, status=400 if form is not None else 200)


def amount_plain(invoice: Invoice) -> str:
    """What is due as a form takes it: digits and one point."""
    return Money(invoice.due_minor, invoice.currency).format() if invoice.due_minor > 0 else ""


def _excess_text(invoice: Invoice, minor: int) -> str:
    values = {"amount": f"{amount_words(minor, invoice.currency)} {invoice.currency}"}
    return (
        _("This is %(amount)s more than is due. A recorded transfer cannot be changed: tick the box if it came in.")
        % values
    )


def _paid_text(invoice: Invoice) -> str:
    if invoice.due_minor <= 0:
        return _("Recorded. The invoice is paid in full.")
    values = {"amount": f"{amount_words(invoice.due_minor, invoice.currency)} {invoice.currency}"}
    return _("Recorded. %(amount)s are still due.") % values


def _refresh(invoice: Invoice, person: Any) -> tuple[Invoice | None, str]:
    fresh = invoice_refresh(invoice=invoice, now=timezone.now())
    if fresh is None:
        return None, _("Nothing is due any more: the draft has been taken back.")
    is_same = fresh.revision == invoice.revision
    return fresh, _("Computed anew: nothing has changed.") if is_same else _("Computed anew: the draft has changed.")


def _submit(invoice: Invoice, person: Any) -> tuple[Invoice, str]:
    return invoice_submit(invoice=invoice, person=person, now=timezone.now()), _(
        "In review. It is no longer recomputed."
    )


def _approve(invoice: Invoice, person: Any) -> tuple[Invoice, str]:
    return invoice_approve(invoice=invoice, person=person, now=timezone.now()), _("Approved. It can be issued now.")


def _return(invoice: Invoice, person: Any) -> tuple[Invoice, str]:
    return invoice_return(invoice=invoice, person=person), _("A draft again.")


_STEPS: dict[str, Callable[[Invoice, Any], tuple[Invoice | None, str]]] = {
    "refresh": _refresh,
    "submit": _submit,
    "approve": _approve,
    "return": _return,
}


def _find(request: HttpRequest, invoice_id: str) -> Invoice:
    return invoice_find(person=request.user, public_id=invoice_id)  # type: ignore[arg-type]


def _to(invoice: Invoice) -> HttpResponse:
    return redirect("billing:finance_invoice", invoice.public_id)


def _crumbs(invoice: Invoice) -> list[tuple[str, str]]:
    return [
        (_("Invoices"), reverse("billing:finance_invoices")),
        (_name(invoice), reverse("billing:finance_invoice", args=[invoice.public_id])),
    ]


def _name(invoice: Invoice) -> str:
    return invoice.number or invoice.organization.name
