"""The billing app: plans, subscriptions, usage records, rating, invoices, ledger."""

from django.apps import AppConfig


class BillingConfig(AppConfig):
    """Registers the app with Django, and its links and slots with the pages of marketplace."""

    name = "billing"

    def ready(self) -> None:
        """Fill the slots once all models are loaded."""
        from billing.views.slots import slots_fill

        slots_fill()
