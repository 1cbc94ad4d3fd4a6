"""The billing app: plans, subscriptions, usage records, rating, invoices, ledger."""

from django.apps import AppConfig


class BillingConfig(AppConfig):
    """Registers the app with Django."""

    name = "billing"
