"""The tables of billing, by room: plans, subscriptions, usage, invoices, ledger, payments, statements."""

from billing.models.invoices import (
    Invoice,
    InvoiceDocument,
    InvoiceLine,
    InvoiceStatus,
    LineKind,
    NumberSeries,
    PaymentStatus,
)
from billing.models.ledger import AccountKind, LedgerAccount, LedgerEntry, LedgerTransaction
from billing.models.payments import Payment, PaymentAllocation, Processor
from billing.models.plans import (
    Alignment,
    CommissionRate,
    Measure,
    Meter,
    Plan,
    PlanStatus,
    Price,
    PriceKind,
    Tier,
)
from billing.models.statements import (
    ProviderStatement,
    ProviderStatementLine,
    StatementDocument,
    StatementStatus,
)
from billing.models.subscriptions import (
    BillingPeriod,
    ChangeKind,
    Subscription,
    SubscriptionChange,
    SubscriptionStatus,
)
from billing.models.usage import LateUsage, SegmentNoted, UsageDue, UsageRecord

__all__ = [
    "AccountKind",
    "Alignment",
    "BillingPeriod",
    "ChangeKind",
    "CommissionRate",
    "Invoice",
    "InvoiceDocument",
    "InvoiceLine",
    "InvoiceStatus",
    "LateUsage",
    "LedgerAccount",
    "LedgerEntry",
    "LedgerTransaction",
    "LineKind",
    "Measure",
    "Meter",
    "NumberSeries",
    "Payment",
    "PaymentAllocation",
    "PaymentStatus",
    "Plan",
    "PlanStatus",
    "Price",
    "PriceKind",
    "Processor",
    "ProviderStatement",
    "ProviderStatementLine",
    "SegmentNoted",
    "StatementDocument",
    "StatementStatus",
    "Subscription",
    "SubscriptionChange",
    "SubscriptionStatus",
    "Tier",
    "UsageDue",
    "UsageRecord",
]
