"""Reads the live deployments as a snapshot, and the record of what was published. Never writes."""

from typing import Any

from gateway.models import SnapshotBuild
from marketplace.models import Stage


def live_definitions_list() -> list[dict[str, Any]]:
    """The ApiDefinition dict of every live deployment, in a stable order, unless its Api or provider is suspended."""
    live = Stage.objects.filter(live_deployment__isnull=False)
    stages = live.filter(api__is_suspended=False, api__provider__is_suspended=False)
    rows = stages.order_by("api__base_path", "name").values_list("live_deployment__definition", flat=True)
    return list(rows)


def snapshot_build_latest() -> SnapshotBuild | None:
    """The last snapshot that was published, or None."""
    return SnapshotBuild.objects.first()
