"""The marketplace app: who exists, what is offered, who may call what, what happened."""

from django.apps import AppConfig


class MarketplaceConfig(AppConfig):
    """Nothing happens at start: this app knows neither of its neighbours."""

    name = "marketplace"
