"""The marketplace app: who exists, what is offered, who may call what, what happened."""

from typing import Any

from django.apps import AppConfig
from django.db.models.signals import post_migrate


class MarketplaceConfig(AppConfig):
    """Each ``migrate`` makes the months of usage that are missing. This app knows neither of its neighbours."""

    name = "marketplace"

    def ready(self) -> None:
        """Listen for the end of ``migrate``."""
        post_migrate.connect(_partitions_make, sender=self)


def _partitions_make(**_: Any) -> None:
    from marketplace.services.partitions import usage_partitions_make  # models are not there when this file is read

    usage_partitions_make()
