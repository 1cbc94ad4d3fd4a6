"""From an invoice line to the very calls behind it, read back from a kept segment; and what is said when it is gone."""

from __future__ import annotations

import dataclasses
import gzip
import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest
import uuid_utils.compat

from billing.selectors.invoices import line_calls, line_hours
from marketplace.contracts import segment
from marketplace.contracts.usage import UsageEvent
from marketplace.selectors.evidence import EvidenceMissing
from tests.billing.world import PER_CALL, calls, close, issue, moment

if TYPE_CHECKING:
    from billing.models import Subscription
    from tests.billing.world import World

HOUR = moment("2026-10-05T10:00")


def _event(subscription: Subscription, boot: UUID, outcome: str) -> UsageEvent:
    return UsageEvent(
        id=uuid_utils.compat.uuid7(),
        finished_at_us=int(HOUR.timestamp()) * 1_000_000 + 5,
        node="n",
        boot=boot,
        grant_id=subscription.grant_id,
        app_id=subscription.app_id,
        api_id=subscription.api_id,
        stage="release",
        operation_id=subscription.api.operations.get().id,
        outcome=outcome,
        status=200,
        request_bytes=1,
        response_bytes=2,
        latency_us=3,
        upstream_us=4,
        units=1,
    )


def _segment_keep(boot: UUID, events: list[UsageEvent], folder: Path) -> dict[str, Any]:
    """Write the evidence file of a segment as the shipper does; return the columns of its row."""
    opened = int(HOUR.timestamp()) * 1_000_000
    header = segment.SegmentHeader(node="n", boot=boot, sequence=1, opened_at_us=opened)
    content = segment.header_encode(header)
    content += b"".join(segment.record_encode(event, kind=segment.EVENT) for event in events)
    digest = hashlib.sha256(content).digest()
    content += segment.seal_encode(
        segment.SegmentSeal(records=len(events), sealed_at_us=opened + 1, is_recovered=False, sha256=digest)
    )
    with gzip.open(folder / "kept.gz", "wb") as file:
        file.write(content)
    return {"boot": boot, "sha256": digest.hex(), "evidence": "kept.gz"}


def test_a_line_leads_to_the_calls_that_it_bills_and_to_no_others(world: World, tmp_path: Path, settings: Any) -> None:
    subscription = world.subscribe(world.plan(PER_CALL), "2026-10-01T00:00")
    boot = uuid_utils.compat.uuid7()
    events = [_event(subscription, boot, "succeeded") for _ in range(3)]
    others = [_event(subscription, boot, "upstream_failed")]
    calls(subscription, HOUR, 3, **_segment_keep(boot, [*events, *others], tmp_path))
    settings.TOLLGATE = dataclasses.replace(settings.TOLLGATE, evidence_dir=tmp_path)

    line = issue(close("2026-11-01T02:00")[0], "2026-11-02").lines.get()
    (hour,) = line_hours(line=line)
    assert hour.units == 3
    page = line_calls(line=line, hour=hour.hour)
    assert [event.id for event in page.events] == [event.id for event in events]
    second = line_calls(line=line, hour=hour.hour, after=events[0].id, limit=1)
    assert ([event.id for event in second.events], second.has_more) == ([events[1].id], True)

    (tmp_path / "kept.gz").unlink()
    with pytest.raises(EvidenceMissing):
        line_calls(line=line, hour=hour.hour)
