"""Let staff look: every table of billing, read only. Money changes by the buttons of finance's pages, never by a form here."""

from typing import Any

from django.contrib import admin
from django.db.models import Model
from django.http import HttpRequest

from billing import models


class ReadOnlyAdmin(admin.ModelAdmin):
    """Lists and shows; adds, changes and deletes nothing."""

    show_full_result_count = False
    list_per_page = 50

    def has_add_permission(self, request: HttpRequest, *args: Any) -> bool:
        """Nobody."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Nobody."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Nobody."""
        return False


_LISTS: dict[type[Model], tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]] = {
    # model: columns, filters, columns that a search looks at
    models.Meter: (("name", "api", "measure"), ("measure",), ("name", "slug")),
    models.Plan: (("name", "api", "currency", "status"), ("status", "currency"), ("name", "slug")),
    models.Price: (("name", "plan", "kind", "published_at", "effective_until"), ("kind",), ("name",)),
    models.CommissionRate: (("rate", "effective_on"), (), ()),
    models.Subscription: (
        ("public_id", "organization", "plan", "status", "current_period_end", "is_parked"),
        ("status", "is_parked"),
        ("organization__name", "parked_reason"),
    ),
    models.SubscriptionChange: (("subscription", "kind", "at", "from_plan", "to_plan"), ("kind",), ()),
    models.BillingPeriod: (("subscription", "starts_at", "ends_at", "closed_at", "invoice"), (), ()),
    models.UsageRecord: (("subscription", "meter", "hour", "quantity", "invoice"), (), ()),
    models.LateUsage: (("subscription", "meter", "hour", "quantity", "invoice"), (), ()),
    models.Invoice: (
        ("__str__", "organization", "status", "payment_status", "total_minor", "currency", "issued_at"),
        ("status", "payment_status", "currency"),
        ("number", "organization__name"),
    ),
    models.InvoiceLine: (("invoice", "position", "description", "quantity", "amount_minor"), ("kind",), ()),
    models.NumberSeries: (("code", "last_number"), (), ()),
    models.LedgerAccount: (("kind", "organization", "currency"), ("kind", "currency"), ("organization__name",)),
    models.LedgerTransaction: (("kind", "reference", "booked_at", "description"), ("kind",), ("description",)),
    models.LedgerEntry: (("transaction", "account", "amount_minor", "currency"), ("currency",), ()),
    models.Payment: (
        ("organization", "invoice", "amount_minor", "currency", "received_on"),
        ("processor", "currency"),
        ("processor_reference", "organization__name"),
    ),
    models.ProviderStatement: (
        ("provider", "month", "currency", "status", "number", "share_minor"),
        ("status", "currency"),
        ("number", "provider__name"),
    ),
}

for model, (columns, filters, searched) in _LISTS.items():
    name = f"{model.__name__}Admin"
    admin.site.register(
        model,
        type(name, (ReadOnlyAdmin,), {"list_display": columns, "list_filter": filters, "search_fields": searched}),
    )
