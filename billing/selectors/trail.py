"""Show one hour of an invoice line as its page does: the calls with the names of their operations, or why they cannot be shown."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

from django.utils.translation import gettext as _

from billing.models import InvoiceLine
from billing.selectors.invoices import LineHour, line_calls, line_hours
from marketplace.contracts.usage import UsageEvent
from marketplace.errors import NotFound
from marketplace.models import Operation
from marketplace.selectors.evidence import EvidenceMissing

CALLS_PER_PAGE = 100

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


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
    """Some calls of an hour. ``next_after`` is the last request id when more follow; ``fault``: why nothing can be shown."""

    hour: LineHour
    calls: tuple[Call, ...] = ()
    next_after: str = ""
    fault: str = ""


def hour_calls(*, line: InvoiceLine, hour: datetime, after: UUID | None = None) -> CallPage:
    """Return a page of the calls that a line counts in an hour. Raises NotFound for an hour in which it counts nothing."""
    found = next((one for one in line_hours(line=line) if one.hour == hour), None)
    if found is None:
        raise NotFound(_("This line counts nothing in this hour."))
    try:
        page = line_calls(line=line, hour=hour, after=after, limit=CALLS_PER_PAGE)
    except EvidenceMissing as problem:
        return CallPage(found, fault=str(problem))
    rows = Operation.objects.filter(api_id=line.api_id).values_list("id", "method", "path_template")
    names: dict[object, str] = {key: f"{method} {path}" for key, method, path in rows}
    calls = tuple(_call(event, names) for event in page.events)
    return CallPage(found, calls, next_after=calls[-1].request_id if page.has_more else "")


def _call(event: UsageEvent, names: dict[object, str]) -> Call:
    return Call(
        request_id=str(event.id),
        finished_at=_EPOCH + timedelta(microseconds=event.finished_at_us),
        operation=names.get(event.operation_id, ""),
        status=event.status,
        outcome=event.outcome,
        latency_us=event.latency_us,
        units=event.units,
    )
