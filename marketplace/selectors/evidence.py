"""Shows the very calls behind a tally or an invoice line: events read back from the kept segments. Sums are selectors.usage's.

Nothing here trusts the tallies: a segment is verified against the digest in its row before its events are shown.
"""

import gzip
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from uuid import UUID

from django.conf import settings
from django.db.models import QuerySet

from marketplace.contracts.segment import (
    COUNTED_KINDS,
    RawRecord,
    SegmentCorrupt,
    SegmentReader,
    event_build,
    sealed_read,
)
from marketplace.contracts.usage import UsageEvent
from marketplace.models import UsageSegment, UsageTally

SEGMENT_BYTES_MAX = 64 << 20
"""Largest segment that is read back, in bytes after decompression; journals seal far below it."""
HOURS_MAX = 24 * 32
"""Longest span of one question, in hours."""


class EvidenceMissing(LookupError):
    """A segment's evidence file is not in the store, or is not what its row says. The message names the segment."""


@dataclass(frozen=True, slots=True)
class EvidenceQuery:
    """Whose calls: one grant's, finished in [starts_at, ends_at), with one of the outcomes (empty: any).

    ``operation_id`` narrows it to one operation.
    """

    grant_id: UUID
    starts_at: datetime
    ends_at: datetime
    outcomes: Collection[str] = ()
    operation_id: UUID | None = None


def evidence_events(query: EvidenceQuery) -> Iterator[UsageEvent]:
    """Yield the calls in the order of their segments; read lazily, so a caller may stop after a page.

    Raises ValueError for a span above HOURS_MAX, EvidenceMissing when a segment cannot be shown.
    """
    if query.ends_at - query.starts_at > timedelta(hours=HOURS_MAX):
        raise ValueError(f"the span must be at most {HOURS_MAX} hours")
    low, high = (int(moment.timestamp() * 1_000_000) for moment in (query.starts_at, query.ends_at))
    for segment in _segments(query):
        for event in segment_events(segment):
            if low <= event.finished_at_us < high and _matches(query, event):
                yield event


def evidence_count(query: EvidenceQuery) -> int:
    """How many calls the tallies claim for the same question; the span must be whole hours to compare with the events."""
    return sum(_tallies(query).values_list("calls", flat=True))


def segment_events(segment: UsageSegment) -> Iterator[UsageEvent]:
    """Yield all calls of one segment, after checking it against its row. Raises EvidenceMissing."""
    reader, records = _read(segment)
    for raw in records:
        if raw.kind in COUNTED_KINDS:
            yield event_build(raw, reader.header)


def _segments(query: EvidenceQuery) -> Iterator[UsageSegment]:
    """The segments that hold such calls, oldest first: the tallies say which."""
    ids = _tallies(query).values("segment_id")
    return UsageSegment.objects.filter(id__in=ids).order_by("opened_at", "boot", "sequence").iterator(chunk_size=200)


def _tallies(query: EvidenceQuery) -> QuerySet[UsageTally]:
    first_hour = query.starts_at.replace(minute=0, second=0, microsecond=0)
    found = UsageTally.objects.filter(grant_id=query.grant_id, hour__gte=first_hour, hour__lt=query.ends_at)
    if query.outcomes:
        found = found.filter(outcome__in=list(query.outcomes))
    if query.operation_id is not None:
        found = found.filter(operation_id=query.operation_id)
    return found


def _matches(query: EvidenceQuery, event: UsageEvent) -> bool:
    return (
        event.grant_id == query.grant_id
        and (not query.outcomes or event.outcome in query.outcomes)
        and (query.operation_id is None or event.operation_id == query.operation_id)
    )


def _read(segment: UsageSegment) -> tuple[SegmentReader, list[RawRecord]]:
    path = Path(settings.TOLLGATE.evidence_dir) / segment.evidence
    try:
        with gzip.open(path) as file:
            reader, records = sealed_read(file.read(SEGMENT_BYTES_MAX + 1))
    except (OSError, EOFError, SegmentCorrupt) as fault:
        raise EvidenceMissing(f"segment {segment.id}: {fault}") from fault
    if reader.seal is None or reader.seal.sha256.hex() != segment.sha256:
        raise EvidenceMissing(f"segment {segment.id}: the kept file is not the one that was tallied")
    return reader, records
