"""Show me what happened, as meters look at it: sums over marketplace's tallies per hour, operation and outcome. Reads only."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime
from uuid import UUID

from django.db import connection
from django.db.models import Case, Sum, UUIDField, Value, When

from billing.core.aggregation import Tally, aggregate_hours
from billing.core.meters import Measure, MeterSpec
from billing.models import Meter
from marketplace.models import UsageTally

_UNITS_BY_OUTCOME = """
SELECT part.place, tally.outcome, sum(tally.units)
FROM unnest(%s::int[], %s::uuid[], %s::timestamptz[], %s::timestamptz[]) AS part(place, grant_id, since, until)
JOIN marketplace_usagetally tally ON tally.grant_id = part.grant_id
  AND tally.hour >= part.since AND tally.hour < part.until
GROUP BY part.place, tally.outcome
"""


def tallies_by_grant(
    *,
    grant_ids: Iterable[UUID],
    meters: Iterable[Meter],
    since: datetime | None = None,
    until: datetime | None = None,
) -> dict[UUID, list[Tally]]:
    """Return the sums of each grant over the hours in [since, until), None being without end, as ``meters`` tell calls apart.

    Operations that no meter tells from one another are one sum under the first of them (under None when no meter lists
    them), so that what is read grows with the hours and not with the size of the API.
    """
    rows = UsageTally.objects.filter(grant_id__in=list(grant_ids))
    if since is not None:
        rows = rows.filter(hour__gte=since)
    if until is not None:
        rows = rows.filter(hour__lt=until)
    rows = rows.annotate(told_apart=_told_apart(meters))
    sums = rows.values("grant_id", "hour", "told_apart", "outcome").annotate(
        calls_sum=Sum("calls"),
        units_sum=Sum("units"),
        request_sum=Sum("request_bytes"),
        response_sum=Sum("response_bytes"),
    )
    by_grant: defaultdict[UUID, list[Tally]] = defaultdict(list)
    for row in sums.iterator():
        grant_id = row["grant_id"]
        assert grant_id is not None, "asked for by grant"
        by_grant[grant_id].append(
            Tally(
                hour=row["hour"],
                operation_id=str(row["told_apart"]) if row["told_apart"] else None,
                outcome=row["outcome"],
                calls=int(row["calls_sum"]),
                units=int(row["units_sum"]),
                request_bytes=int(row["request_sum"]),
                response_bytes=int(row["response_sum"]),
            )
        )
    return dict(by_grant)


def _told_apart(meters: Iterable[Meter]) -> Case:
    """The first operation of the class of a tally's operation: classes are what the same meters list."""
    listed: defaultdict[UUID, set[UUID]] = defaultdict(set)
    for meter in meters:
        for operation_id in meter.operations:
            listed[operation_id].add(meter.id)
    classes: defaultdict[frozenset[UUID], list[UUID]] = defaultdict(list)
    for operation_id in sorted(listed):
        classes[frozenset(listed[operation_id])].append(operation_id)
    whens = [When(operation_id__in=members, then=Value(members[0])) for members in classes.values()]
    return Case(*whens, default=None, output_field=UUIDField())


def units_by_outcome(windows: Sequence[tuple[UUID, datetime, datetime]]) -> list[dict[str, int]]:
    """Return for each (grant id, since, until) the units of each outcome in [since, until), in one query."""
    found: list[dict[str, int]] = [{} for _window in windows]
    grants, sinces, untils = ([window[place] for window in windows] for place in range(3))
    with connection.cursor() as cursor:
        cursor.execute(_UNITS_BY_OUTCOME, [list(range(len(windows))), grants, sinces, untils])
        for place, outcome, units in cursor.fetchall():
            found[place][outcome] = int(units)
    return found


def meter_spec(meter: Meter) -> MeterSpec:
    """Return the value that aggregation works with."""
    return MeterSpec(
        measure=Measure(meter.measure),
        outcomes=tuple(meter.outcomes),
        operations=frozenset(str(operation) for operation in meter.operations),
    )


def meter_hours(meters: Iterable[Meter], tallies: Iterable[Tally]) -> dict[tuple[UUID, datetime], int]:
    """Return the quantity of each (meter, hour) that is not zero."""
    listed = list(tallies)
    return {
        (meter.id, hour): quantity
        for meter in meters
        for hour, quantity in aggregate_hours(meter_spec(meter), listed).items()
    }


def hours_touched(*, received_since: datetime, grant_ids: Iterable[UUID]) -> dict[UUID, list[datetime]]:
    """Return the hours of each grant for which tallies have arrived since a moment, however old the hours are."""
    rows = UsageTally.objects.filter(segment__received_at__gte=received_since, grant_id__in=list(grant_ids))
    touched: defaultdict[UUID, list[datetime]] = defaultdict(list)
    for grant_id, hour in rows.values_list("grant_id", "hour").distinct().order_by("grant_id", "hour"):
        if grant_id is not None:
            touched[grant_id].append(hour)
    return dict(touched)
