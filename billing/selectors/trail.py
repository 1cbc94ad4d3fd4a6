"""Show what an invoice line counts: its hours, and the very calls of one hour, read back from kept journal segments. Reads only."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice

from billing.models import InvoiceLine
from billing.selectors.invoices import LineHour, line_hours
from marketplace.contracts.usage import UsageEvent
from marketplace.errors import NotFound
from marketplace.models import Operation
from marketplace.selectors.evidence import EvidenceMissing, EvidenceQuery, evidence_events

CALLS_PER_PAGE = 100
PAGES_MAX = 200
"""Pages of calls of one hour that can be leafed through; whoever needs more asks for the evidence files."""

_HOUR = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Call:
    """One call behind a line. ``latency_us`` is whole microseconds; ``operation`` is such as ``GET /now``."""

    request_id: str
    finished_at: datetime
    operation: str
    status: int
    outcome: str
    latency_us: int
    units: int


@dataclass(frozen=True, slots=True)
class CallPage:
    """Some calls of an hour. ``fault``: why there is nothing to show, in words for finance; empty when all is well."""

    hour: LineHour
    calls: tuple[Call, ...]
    number: int
    has_more: bool
    fault: str = ""


def hour_find(*, line: InvoiceLine, hour: datetime) -> LineHour:
    """Return one hour of a line. Raises NotFound for an hour in which it counts nothing."""
    for found in line_hours(line=line):
        if found.hour == hour:
            return found
    raise NotFound("this line counts nothing in this hour")


def hour_calls(*, line: InvoiceLine, hour: datetime, page: int = 1) -> CallPage:
    """Return a page (from 1) of the calls that a line counts in an hour. Raises NotFound for an hour it does not count."""
    found = hour_find(line=line, hour=hour)
    number = min(max(page, 1), PAGES_MAX)
    start = (number - 1) * CALLS_PER_PAGE
    try:
        events = list(islice(_events(line, hour), start, start + CALLS_PER_PAGE + 1))
    except EvidenceMissing as problem:
        return CallPage(found, (), number, has_more=False, fault=str(problem))
    names = _operation_names(line)
    calls = tuple(_call(event, names) for event in events[:CALLS_PER_PAGE])
    return CallPage(found, calls, number, has_more=len(events) > CALLS_PER_PAGE and number < PAGES_MAX)


def _events(line: InvoiceLine, hour: datetime) -> Iterator[UsageEvent]:
    meter, grant_id = line.meter, line.grant_id
    if meter is None or grant_id is None:
        return iter(())
    wanted = set(meter.operations)
    query = EvidenceQuery(grant_id=grant_id, starts_at=hour, ends_at=hour + _HOUR, outcomes=tuple(meter.outcomes))
    return (event for event in evidence_events(query) if not wanted or event.operation_id in wanted)


def _operation_names(line: InvoiceLine) -> dict[object, str]:
    rows = Operation.objects.filter(api_id=line.api_id).values_list("id", "method", "path_template")
    return {key: f"{method} {path}" for key, method, path in rows}


def _call(event: UsageEvent, names: dict[object, str]) -> Call:
    epoch = datetime.fromisoformat("1970-01-01T00:00:00+00:00")
    return Call(
        request_id=str(event.id),
        finished_at=epoch + timedelta(microseconds=event.finished_at_us),
        operation=names.get(event.operation_id, ""),
        status=event.status,
        outcome=event.outcome,
        latency_us=event.latency_us,
        units=event.units,
    )
