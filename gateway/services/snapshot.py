"""Publishes the snapshot: every live deployment as one document in Valkey, with a version that only rises."""

import json

from django.utils.translation import gettext as _

from gateway.core.store_keys import SNAPSHOT_KEY, SNAPSHOT_VERSION_KEY
from gateway.dataplane.snapshot import snapshot_checksum
from gateway.errors import SnapshotTooLarge
from gateway.models import SnapshotBuild
from gateway.selectors.snapshot import live_definitions_list
from gateway.services.store import REVISION_KEY, SNAPSHOT_SCRIPT, revision_next, store_open

CHECKSUM_KEY = "tg:snapshot:checksum"
SNAPSHOT_BYTES_MAX = 64 << 20
"""Largest snapshot in bytes that is published: every worker of every gateway holds it whole."""
BUILDS_KEPT = 1_000
"""SnapshotBuild rows that are kept."""

REPLACED = 1


def snapshot_publish() -> SnapshotBuild | None:
    """Compile the live deployments and publish them. Returns None when the same or a newer snapshot is in force.

    Raises SnapshotTooLarge, StoreUnreachable.
    """
    version = revision_next()
    definitions = live_definitions_list()
    checksum = snapshot_checksum(definitions)
    document = {"version": version, "checksum": checksum, "apis": definitions}
    text = json.dumps(document, separators=(",", ":"), ensure_ascii=False)
    size = len(text.encode())
    if size > SNAPSHOT_BYTES_MAX:
        message = _(
            "The live deployments take %(size)d bytes, more than the %(max)d that gateways load. Withdraw some."
        )
        raise SnapshotTooLarge(message % {"size": size, "max": SNAPSHOT_BYTES_MAX})
    with store_open() as store:
        keys = (SNAPSHOT_KEY, SNAPSHOT_VERSION_KEY, CHECKSUM_KEY, REVISION_KEY)
        result = store.eval(SNAPSHOT_SCRIPT, len(keys), *keys, str(version), text, checksum)
    if result != REPLACED:
        return None
    SnapshotBuild.objects.filter(version__lt=version).exclude(
        version__in=SnapshotBuild.objects.order_by("-version").values("version")[:BUILDS_KEPT]
    ).delete()
    return SnapshotBuild.objects.create(version=version, checksum=checksum, api_count=len(definitions), size_bytes=size)
