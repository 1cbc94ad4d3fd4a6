"""The pages of billing: a consumer's below /o/<slug>/, a provider's below /o/<slug>/provider/, the platform's below /finance/."""

from django.urls import include, path

from billing.views import checkout, earnings, invoices, listing, plans, subscriptions

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

urlpatterns = [
    path("subscribe/<str:plan_id>/", listing.subscribe_enter, name="subscribe"),
    path("o/<slug:slug>/", include(_consumer)),
    path("o/<slug:slug>/invoices/", include(_invoices)),
    path("o/<slug:slug>/provider/apis/<str:api_id>/plans/", include(_plans)),
    path("o/<slug:slug>/provider/earnings/", include(_earnings)),
]
