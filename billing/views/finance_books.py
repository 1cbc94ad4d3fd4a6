"""The books: accounts with balances, an account's entries, a transaction with its zero sum, and the button that verifies."""

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe

from billing.selectors.balances import balance_list
from billing.selectors.books import (
    account_entries,
    account_find,
    books_check,
    transaction_entries,
    transaction_find,
    transaction_list,
)
from billing.services.ledger import ledger_audit
from billing.views.doors import finance_page
from marketplace.selectors.paging import page_take


@require_safe
@finance_page
def ledger(request: HttpRequest) -> HttpResponse:
    """Every account with its balance, the sums of the whole, and the newest transactions."""
    page = page_take(transaction_list(), cursor=request.GET.get("cursor", ""))
    context = {"balances": balance_list(), "checks": books_check(), "page": page}
    return render(request, "billing/ledger.html", context)


@require_safe
@finance_page
def account(request: HttpRequest, account_id: str) -> HttpResponse:
    """One account's entries."""
    found = account_find(public_id=account_id)
    page = page_take(account_entries(account=found), cursor=request.GET.get("cursor", ""), bound={"of": account_id})
    balance = next(one.minor for one in balance_list(kind=found.kind) if one.account.id == found.id)
    context = {"account": found, "page": page, "balance": balance, "crumbs": [_home(), (found.get_kind_display(), "")]}
    return render(request, "billing/ledger_account.html", context)


@require_safe
@finance_page
def transaction(request: HttpRequest, transaction_id: str) -> HttpResponse:
    """One transaction: its entries sum to zero."""
    found = transaction_find(public_id=transaction_id)
    entries = transaction_entries(transaction=found)
    sums = {
        entry.currency: sum(one.amount_minor for one in entries if one.currency == entry.currency) for entry in entries
    }
    context = {
        "transaction": found,
        "entries": entries,
        "sums": sums.items(),
        "crumbs": [_home(), (found.description, "")],
    }
    return render(request, "billing/ledger_transaction.html", context)


@require_POST
@finance_page
def verify(request: HttpRequest) -> HttpResponse:
    """Add everything up by the other road, in the database alone, and say what is wrong."""
    wrong = ledger_audit()
    if wrong:
        messages.error(request, " ".join(wrong))
    else:
        messages.success(
            request, _("Verified: every transaction sums to zero, and every invoice is in the books as issued.")
        )
    return redirect("billing:finance_ledger")


def _home() -> tuple[str, str]:
    return (_("Ledger"), reverse("billing:finance_ledger"))
