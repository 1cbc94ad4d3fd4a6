"""From an invoice line to the very calls behind it, read back from a kept segment; and what is said when it is gone."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import uuid_utils.compat

from billing.selectors.invoices import line_calls, line_hours
from marketplace.selectors.evidence import EvidenceMissing
from tests.billing.kept import event_make, segment_keep
from tests.billing.world import PER_CALL, calls, close, issue, moment

if TYPE_CHECKING:
    from tests.billing.world import World

HOUR = moment("2026-10-05T10:00")


def test_a_line_leads_to_the_calls_that_it_bills_and_to_no_others(world: World, tmp_path: Path, settings: Any) -> None:
    subscription = world.subscribe(world.plan(PER_CALL), "2026-10-01T00:00")
    boot = uuid_utils.compat.uuid7()
    events = [event_make(subscription, HOUR, boot) for _ in range(3)]
    others = [event_make(subscription, HOUR, boot, outcome="upstream_failed")]
    calls(subscription, HOUR, 3, **segment_keep(boot, [*events, *others], tmp_path))
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
