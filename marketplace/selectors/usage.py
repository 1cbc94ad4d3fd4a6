"""Shows what happened: sums of usage tallies for an organization, an app or an API, by time, outcome and operation.

Tallies arrive a second or two after the calls; ``as_of`` says how fresh the answer is. What calls cost is billing's business.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal
from uuid import UUID
from zoneinfo import ZoneInfo

from django.core.exceptions import EmptyResultSet
from django.db import connection
from django.db.models import BigIntegerField, Case, F, Max, QuerySet, Sum, Value, When
from django.db.models.functions import Cast, Coalesce, TruncDay, TruncHour
from django.utils.translation import gettext as _

from marketplace.contracts.usage import LATENCY_BUCKETS_MS
from marketplace.core.histograms import percentile_ms
from marketplace.errors import Fault, InvalidInput
from marketplace.models import Api, App, Operation, Organization, UsageSegment, UsageTally

HOURLY_DAYS_MAX = 35
DAILY_DAYS_MAX = 400
"""Longest span of one question, in days, by grain."""
OPERATIONS_SHOWN_MAX = 50
KINDS = ("succeeded", "client_error", "upstream_failed", "rejected")

Side = Literal["consumer", "provider"]
Grain = Literal["hour", "day"]


@dataclass(frozen=True, slots=True)
class Totals:
    """Sums over some tallies. Bytes are octets of bodies and heads as the gateway counted them."""

    calls: int = 0
    succeeded: int = 0
    client_error: int = 0
    upstream_failed: int = 0
    rejected: int = 0
    units: int = 0
    request_bytes: int = 0
    response_bytes: int = 0


@dataclass(frozen=True, slots=True)
class UsageRow:
    """Totals of one hour or day that starts ``at`` (in the time zone asked for)."""

    at: datetime
    totals: Totals


@dataclass(frozen=True, slots=True)
class OperationUsage:
    """Totals of one operation; ``operation`` is None for calls that matched none, or whose operation is gone."""

    operation: Operation | None
    totals: Totals


@dataclass(frozen=True, slots=True)
class UsageSummary:
    """The answer to one question. Latencies are ms, None without calls; ``as_of`` is None before the first arrival."""

    since: datetime
    until: datetime
    totals: Totals
    by_outcome: dict[str, int]
    p50_ms: float | None
    p95_ms: float | None
    p99_ms: float | None
    as_of: datetime | None


def usage_tallies(
    *,
    organization: Organization,
    since: datetime,
    until: datetime,
    side: Side = "consumer",
    app: App | None = None,
    api: Api | None = None,
) -> QuerySet[UsageTally]:
    """The tallies of [since, until): of the organization's apps (consumer) or of its APIs (provider), narrowed when asked."""
    rows = UsageTally.objects.filter(hour__gte=since, hour__lt=until)
    if side == "provider":
        ids: Any = [api.id] if api else list(organization.apis.values_list("id", flat=True))
        rows = rows.filter(api_id__in=ids)
        return rows.filter(app_id=app.id) if app else rows
    ids = [app.id] if app else list(organization.apps.values_list("id", flat=True))
    rows = rows.filter(app_id__in=ids)
    return rows.filter(api_id=api.id) if api else rows


def usage_span_check(*, since: datetime, until: datetime, grain: Grain = "hour") -> None:
    """Raise InvalidInput unless since < until and the span is one that a single answer can hold."""
    days = HOURLY_DAYS_MAX if grain == "hour" else DAILY_DAYS_MAX
    if since >= until:
        message = _("The end must come after the start.")
        raise InvalidInput(message, faults=[Fault("/until", message)])
    if until - since > timedelta(days=days):
        message = _("Ask for at most %(days)d days at once, or for a coarser grain.") % {"days": days}
        raise InvalidInput(message, faults=[Fault("/since", message)])


def usage_rows(tallies: QuerySet[UsageTally], *, grain: Grain = "hour", time_zone: str = "UTC") -> list[UsageRow]:
    """Totals per hour or day of ``time_zone``, in time's order; hours without calls are left out."""
    cut = TruncHour("hour") if grain == "hour" else TruncDay("hour", tzinfo=ZoneInfo(time_zone))
    rows: list[dict[str, Any]] = list(_summed(tallies.annotate(at=cut), "at").order_by("at"))
    return [UsageRow(row.pop("at"), _totals(row)) for row in rows]


def usage_summary(tallies: QuerySet[UsageTally], *, since: datetime, until: datetime) -> UsageSummary:
    """Totals, calls per outcome (largest first) and latency percentiles of the answered calls."""
    outcomes = tallies.values_list("outcome").annotate(total=_whole(Sum("calls"))).order_by("-total", "outcome")
    histogram = usage_histogram(tallies.exclude(outcome__startswith="rejected"))
    return UsageSummary(
        since=since,
        until=until,
        totals=_totals(tallies.aggregate(**_SUMS)),
        by_outcome=dict(outcomes),
        p50_ms=percentile_ms(histogram, 0.50),
        p95_ms=percentile_ms(histogram, 0.95),
        p99_ms=percentile_ms(histogram, 0.99),
        as_of=usage_as_of(),
    )


def usage_by_operation(tallies: QuerySet[UsageTally]) -> list[OperationUsage]:
    """Totals per operation, most called first, at most OPERATIONS_SHOWN_MAX."""
    rows: list[dict[str, Any]] = list(_summed(tallies, "operation_id").order_by("-calls_sum")[:OPERATIONS_SHOWN_MAX])
    operations = Operation.objects.select_related("api").defer("api__document", "api__search_tokens", "responses")
    known = operations.in_bulk([row["operation_id"] for row in rows if row["operation_id"]])
    return [OperationUsage(known.get(row.pop("operation_id")), _totals(row)) for row in rows]


def usage_by_app(tallies: QuerySet[UsageTally]) -> list[tuple[UUID, Totals]]:
    """Totals per app id, most called first, at most OPERATIONS_SHOWN_MAX."""
    rows: list[dict[str, Any]] = list(_summed(tallies, "app_id").order_by("-calls_sum")[:OPERATIONS_SHOWN_MAX])
    return [(row.pop("app_id"), _totals(row)) for row in rows]


def usage_histogram(tallies: QuerySet[UsageTally]) -> list[int]:
    """The sum of the latency histograms: counts per bucket of LATENCY_BUCKETS_MS, and one for what is above."""
    counts = [0] * (len(LATENCY_BUCKETS_MS) + 1)
    try:
        inner, parameters = tallies.order_by().values("latency_histogram").query.sql_with_params()
    except EmptyResultSet:
        return counts
    statement = (
        "SELECT bucket, sum(calls)::bigint FROM (" + inner + ") tally, "  # noqa: S608 - Django's own SQL, with placeholders
        "unnest(tally.latency_histogram) WITH ORDINALITY AS part(calls, bucket) GROUP BY bucket"
    )
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters)
        for bucket, calls in cursor.fetchall():
            if bucket <= len(counts):
                counts[bucket - 1] = int(calls)
    return counts


def usage_as_of() -> datetime | None:
    """When the newest segment arrived: every call that finished a few seconds earlier is counted."""
    return UsageSegment.objects.aggregate(at=Max("received_at"))["at"]


def usage_csv_rows(rows: Sequence[UsageRow]) -> Iterator[list[str]]:
    """The rows of a CSV file, a head first: RFC 3339 times and whole numbers."""
    names = ("calls", *KINDS, "units", "request_bytes", "response_bytes")
    yield ["at", *names]
    for row in rows:
        yield [row.at.isoformat(), *(str(getattr(row.totals, name)) for name in names)]


def _whole(expression: Any) -> Any:
    """PostgreSQL adds bigints up to a numeric; ours are whole."""
    return Coalesce(Cast(expression, BigIntegerField()), 0)


def _calls_of(kind: str) -> Any:
    condition = (
        When(outcome__startswith="rejected", then=F("calls"))
        if kind == "rejected"
        else When(outcome=kind, then=F("calls"))
    )
    return _whole(Sum(Case(condition, default=Value(0), output_field=BigIntegerField())))


_SUMS: dict[str, Any] = {
    "calls_sum": _whole(Sum("calls")),
    **{f"{kind}_sum": _calls_of(kind) for kind in KINDS},
    "units_sum": _whole(Sum("units")),
    "request_bytes_sum": _whole(Sum("request_bytes")),
    "response_bytes_sum": _whole(Sum("response_bytes")),
}


def _summed(tallies: QuerySet[UsageTally], by: str) -> Any:
    """The tallies grouped by one field, with every sum."""
    return tallies.values(by).annotate(**_SUMS)


def _totals(row: dict[str, Any]) -> Totals:
    return Totals(**{name.removesuffix("_sum"): int(value) for name, value in row.items()})
