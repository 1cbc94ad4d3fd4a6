"""The addresses of billing's REST API, below /api/v1/."""

from django.urls import path

from billing.api import finance, invoices, plans, statements, subscriptions

urlpatterns = [
    path("apis/<str:api>/meters", plans.ApiMeters.as_view()),
    path("apis/<str:api>/plans", plans.ApiPlans.as_view()),
    path("plans/<str:plan>", plans.PlanOne.as_view()),
    path("plans/<str:plan>/prices", plans.PlanPrices.as_view()),
    path("plans/<str:plan>/publish", plans.PlanPublish.as_view()),
    path("plans/<str:plan>/retire", plans.PlanRetire.as_view()),
    path("prices/<str:price>/supersede", plans.PriceSupersede.as_view()),
    path("organizations/<str:organization>/subscriptions", subscriptions.OrganizationSubscriptions.as_view()),
    path("subscriptions/<str:subscription>", subscriptions.SubscriptionOne.as_view()),
    path("subscriptions/<str:subscription>/cancel", subscriptions.SubscriptionCancel.as_view()),
    path("subscriptions/<str:subscription>/change", subscriptions.SubscriptionChangePlan.as_view()),
    path("subscriptions/<str:subscription>/resume", subscriptions.SubscriptionResume.as_view()),
    path("subscriptions/<str:subscription>/usage", subscriptions.SubscriptionUsage.as_view()),
    path("organizations/<str:organization>/invoices", invoices.OrganizationInvoices.as_view()),
    path("organizations/<str:organization>/balance", invoices.OrganizationBalance.as_view()),
    path("organizations/<str:organization>/statements", statements.OrganizationStatements.as_view()),
    path("invoices/<str:invoice>", invoices.InvoiceOne.as_view()),
    path("invoices/<str:invoice>/pdf", invoices.InvoicePdf.as_view()),
    path("invoices/<str:invoice>/evidence", invoices.InvoiceEvidence.as_view(), name="api_invoice_evidence"),
    path("invoices/<str:invoice>/lines/<str:line>/hours", invoices.LineHours.as_view()),
    path("invoices/<str:invoice>/lines/<str:line>/calls", invoices.LineCalls.as_view()),
    path("invoices/<str:invoice>/payments", invoices.InvoicePayments.as_view()),
    path("statements/<str:statement>", statements.StatementOne.as_view()),
    path("statements/<str:statement>/pdf", statements.StatementPdf.as_view()),
    path("finance/invoices", finance.FinanceInvoices.as_view()),
    path("finance/review", finance.FinanceReview.as_view()),
    path("finance/invoices/<str:invoice>/refresh", finance.InvoiceRefresh.as_view()),
    path("finance/invoices/<str:invoice>/submit", finance.InvoiceSubmit.as_view()),
    path("finance/invoices/<str:invoice>/return", finance.InvoiceReturn.as_view()),
    path("finance/invoices/<str:invoice>/approve", finance.InvoiceApprove.as_view()),
    path("finance/invoices/<str:invoice>/issue", finance.InvoiceIssue.as_view()),
    path("finance/invoices/<str:invoice>/void", finance.InvoiceVoid.as_view()),
    path("finance/invoices/<str:invoice>/payments", finance.InvoicePay.as_view()),
    path("finance/statements", finance.FinanceStatements.as_view()),
    path("finance/statements/<str:statement>/issue", finance.StatementIssue.as_view()),
]
