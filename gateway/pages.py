"""What the gateway adds to the portal's pages: the published snapshot on the operator's health page. Registered by the app."""

from collections.abc import Mapping
from typing import Any

from gateway.models import SnapshotBuild
from marketplace.views.slots import slot_register


def snapshot_card(page: Mapping[str, Any]) -> Mapping[str, Any]:
    """The newest snapshot that was published, if any."""
    del page
    return {"snapshot": SnapshotBuild.objects.first()}


def pages_register() -> None:
    """Fill the marketplace's places."""
    slot_register("operator.health", template="gateway/health_card.html", context=snapshot_card)
