"""The very calls behind a tally: events in an evidence file as the shipper keeps it, for tests that lead from a line to them."""

from __future__ import annotations

import gzip
import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import uuid_utils.compat

from marketplace.contracts import segment
from marketplace.contracts.usage import UsageEvent

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    from billing.models import Subscription


def event_make(
    subscription: Subscription, hour: datetime, boot: UUID, *, outcome: str = "succeeded", latency_us: int = 3
) -> UsageEvent:
    """A call of the subscription's app to its Api's first operation, at the beginning of an hour."""
    return UsageEvent(
        id=uuid_utils.compat.uuid7(),
        finished_at_us=int(hour.timestamp()) * 1_000_000 + 5,
        node="n",
        boot=boot,
        grant_id=subscription.grant_id,
        app_id=subscription.app_id,
        api_id=subscription.api_id,
        stage="release",
        operation_id=subscription.api.operations.order_by("position")[0].id,
        outcome=outcome,
        status=200,
        request_bytes=1,
        response_bytes=2,
        latency_us=latency_us,
        upstream_us=2,
        units=1,
    )


def segment_keep(boot: UUID, events: list[UsageEvent], folder: Path) -> dict[str, Any]:
    """Write the evidence file of a segment with these events; return the columns of its row."""
    opened = events[0].finished_at_us - 5
    header = segment.SegmentHeader(node="n", boot=boot, sequence=1, opened_at_us=opened)
    content = segment.header_encode(header)
    content += b"".join(segment.record_encode(event, kind=segment.EVENT) for event in events)
    digest = hashlib.sha256(content).digest()
    content += segment.seal_encode(
        segment.SegmentSeal(records=len(events), sealed_at_us=opened + 1, is_recovered=False, sha256=digest)
    )
    (folder / "kept.gz").write_bytes(gzip.compress(content))
    return {"boot": boot, "sha256": digest.hex(), "evidence": "kept.gz"}
