"""The pages of billing: a consumer's below /o/<slug>/, a provider's below /o/<slug>/provider/, the platform's below /finance/."""

from django.urls import URLPattern, URLResolver, include, path

from billing.views import (
    checkout,
    earnings,
    finance,
    finance_books,
    finance_closing,
    finance_invoices,
    finance_statements,
    invoices,
    listing,
    plans,
    subscriptions,
)

app_name = "billing"

_consumer = [
    path("subscribe/<str:plan_id>/", checkout.subscription_new, name="subscription_new"),
    path("subscriptions/", subscriptions.subscriptions, name="subscription_list"),
    path("subscriptions/<str:subscription_id>/", subscriptions.subscription_detail, name="subscription_detail"),
    path(
        "subscriptions/<str:subscription_id>/plan/<str:plan_id>/",
        subscriptions.subscription_plan,
        name="subscription_plan",
    ),
    path("subscriptions/<str:subscription_id>/cancel/", subscriptions.subscription_end, name="subscription_end"),
    path("subscriptions/<str:subscription_id>/keep/", subscriptions.subscription_keep, name="subscription_keep"),
]

_invoices = [
    path("", invoices.invoices, name="invoice_list"),
    path("<str:invoice_id>/", invoices.invoice_detail, name="invoice_detail"),
    path("<str:invoice_id>/pdf/", invoices.invoice_pdf, name="invoice_pdf"),
    path("<str:invoice_id>/lines/<str:line_id>/", invoices.invoice_line, name="invoice_line"),
    path("<str:invoice_id>/lines/<str:line_id>/<str:hour>/", invoices.invoice_hour, name="invoice_hour"),
]

_plans = [
    path("", plans.plan_index, name="plan_list"),
    path("new/", plans.plan_new, name="plan_new"),
    path("<str:plan_id>/", plans.plan_detail, name="plan_detail"),
    path("<str:plan_id>/edit/", plans.plan_edit, name="plan_edit"),
    path("<str:plan_id>/publish/", plans.plan_offer, name="plan_publish"),
    path("<str:plan_id>/retire/", plans.plan_end, name="plan_end"),
    path("<str:plan_id>/prices/<str:price_id>/", plans.price_replace, name="plan_price"),
]

_earnings = [
    path("", earnings.earnings, name="earnings"),
    path("statements/<str:statement_id>/", earnings.statement_detail, name="statement_detail"),
    path("statements/<str:statement_id>/pdf/", earnings.statement_pdf, name="statement_pdf"),
]

_finance_invoice = [
    path("", finance_invoices.invoice_detail, name="finance_invoice"),
    path("pdf/", finance_invoices.invoice_pdf, name="finance_invoice_pdf"),
    path("issue/", finance_invoices.invoice_issue_page, name="finance_invoice_issue"),
    path("void/", finance_invoices.invoice_void_page, name="finance_invoice_void"),
    path("payments/", finance_invoices.invoice_pay, name="finance_invoice_pay"),
    path("steps/<slug:step>/", finance_invoices.invoice_step, name="finance_invoice_step"),
    path("lines/<str:line_id>/", finance_invoices.invoice_line, name="finance_invoice_line"),
    path("lines/<str:line_id>/<str:hour>/", finance_invoices.invoice_hour, name="finance_invoice_hour"),
]

_finance: list[URLPattern | URLResolver] = [
    path("", finance.finance_home, name="finance_home"),
    path("review/", finance.queue, name="finance_queue"),
    path("invoices/", finance.invoices, name="finance_invoices"),
    path("invoices/<str:invoice_id>/", include(_finance_invoice)),
    path("receivables/", finance.receivables, name="finance_receivables"),
    path("subscriptions/<str:subscription_id>/unpark/", finance.unpark, name="finance_unpark"),
    path("closing/", finance_closing.closing, name="finance_closing"),
    path("closing/<str:job_id>/", finance_closing.closing_row, name="finance_closing_row"),
    path("closing/<str:job_id>/stop/", finance_closing.closing_stop, name="finance_closing_stop"),
    path("ledger/", finance_books.ledger, name="finance_ledger"),
    path("ledger/verify/", finance_books.verify, name="finance_ledger_verify"),
    path("ledger/accounts/<str:account_id>/", finance_books.account, name="finance_ledger_account"),
    path("ledger/transactions/<str:transaction_id>/", finance_books.transaction, name="finance_ledger_transaction"),
    path("statements/", finance_statements.statements, name="finance_statements"),
    path("statements/<str:statement_id>/", finance_statements.statement, name="finance_statement"),
    path("statements/<str:statement_id>/pdf/", finance_statements.statement_pdf, name="finance_statement_pdf"),
    path(
        "statements/<str:statement_id>/issue/", finance_statements.statement_issue_page, name="finance_statement_issue"
    ),
]

urlpatterns = [
    path("finance/", include(_finance)),
    path("subscribe/<str:plan_id>/", listing.subscribe_enter, name="subscribe"),
    path("o/<slug:slug>/", include(_consumer)),
    path("o/<slug:slug>/invoices/", include(_invoices)),
    path("o/<slug:slug>/provider/apis/<str:api_id>/plans/", include(_plans)),
    path("o/<slug:slug>/provider/earnings/", include(_earnings)),
]
