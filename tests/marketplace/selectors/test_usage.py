"""Usage pages read tallies: sums by time, outcome and operation, and percentiles."""

from datetime import UTC, datetime, timedelta

import pytest
from django.db import DatabaseError, transaction
from django.utils import timezone

from marketplace.contracts.usage import LATENCY_BUCKETS_MS
from marketplace.errors import InvalidInput
from marketplace.models import Api, App, UsageSegment, UsageTally
from marketplace.models.base import id_mint
from marketplace.selectors import usage
from tests.marketplace import people

pytestmark = pytest.mark.django_db
NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)


def tally_make(
    app: App, api: Api, *, hour: datetime = NOON, outcome: str = "succeeded", calls: int = 1, bucket: int = 3
):
    segment = UsageSegment.objects.create(
        id=id_mint(),
        node="n1",
        boot=id_mint(),
        sequence=1,
        opened_at=hour,
        sealed_at=hour,
        events=calls,
        size_bytes=1,
        sha256="0" * 64,
        evidence="x",
    )
    histogram = [0] * (len(LATENCY_BUCKETS_MS) + 1)
    histogram[bucket] = calls
    return UsageTally.objects.create(
        segment=segment,
        hour=hour,
        app_id=app.id,
        api_id=api.id,
        operation_id=api.operations.get(method="POST").id,
        outcome=outcome,
        calls=calls,
        units=0 if outcome.startswith("rejected") else calls,
        request_bytes=10 * calls,
        response_bytes=100 * calls,
        latency_ms_sum=7 * calls,
        latency_histogram=histogram,
    )


def read(party: people.Party, **narrow):
    since, until = NOON - timedelta(days=1), NOON + timedelta(days=2)
    tallies = usage.usage_tallies(organization=party.organization, since=since, until=until, **narrow)
    return tallies, usage.usage_summary(tallies, since=since, until=until)


def test_consumer_and_provider_read_the_same_calls_and_a_stranger_none(
    alice: people.Party, bob: people.Party, charlie: people.Party, app: App, api: Api
) -> None:
    tally_make(app, api, calls=98, bucket=3)
    tally_make(app, api, calls=2, bucket=8)
    tally_make(app, api, outcome="rejected:B403MQ", calls=7, bucket=0)
    tally_make(app, api, outcome="client_error", calls=3, bucket=3, hour=NOON + timedelta(hours=5))
    for party, side in ((bob, "consumer"), (alice, "provider")):
        _, summary = read(party, side=side)
        assert summary.totals == usage.Totals(
            calls=110, succeeded=100, client_error=3, rejected=7, units=103, request_bytes=1100, response_bytes=11000
        )
        assert summary.by_outcome == {"succeeded": 100, "rejected:B403MQ": 7, "client_error": 3}
        assert summary.p50_ms is not None and 5 < summary.p50_ms <= 10
        assert summary.p99_ms is not None and 200 < summary.p99_ms <= 500
        assert summary.as_of is not None and summary.as_of <= timezone.now() + timedelta(seconds=5)
    for side in ("consumer", "provider"):
        assert read(charlie, side=side)[1].totals == usage.Totals()
    assert read(bob, side="provider")[1].totals == usage.Totals()


def test_days_are_those_of_the_time_zone_asked_for(bob: people.Party, app: App, api: Api) -> None:
    tally_make(app, api, hour=NOON.replace(hour=15), calls=1)
    tally_make(app, api, hour=NOON.replace(hour=16), calls=10)
    tallies, _ = read(bob)
    assert [row.totals.calls for row in usage.usage_rows(tallies, grain="day")] == [11]
    shanghai = usage.usage_rows(tallies, grain="day", time_zone="Asia/Shanghai")
    assert [(row.at.day, row.totals.calls) for row in shanghai] == [(20, 1), (21, 10)]
    assert [row.totals.calls for row in usage.usage_rows(tallies, grain="hour")] == [1, 10]


def test_operations_are_named(bob: people.Party, app: App, api: Api) -> None:
    tally_make(app, api, calls=4)
    tallies, _ = read(bob, api=api)
    (row,) = usage.usage_by_operation(tallies)
    assert row.operation is not None and row.operation.name == "createPets"
    assert row.totals.calls == 4
    assert usage.usage_by_app(tallies) == [(app.id, row.totals)]


def test_csv_has_a_head_and_a_row_for_each_hour(bob: people.Party, app: App, api: Api) -> None:
    tally_make(app, api, calls=4)
    head, row = usage.usage_csv_rows(usage.usage_rows(read(bob)[0]))
    assert head[:3] == ["at", "calls", "succeeded"]
    assert row[:3] == ["2026-11-20T12:00:00+00:00", "4", "4"]


def test_spans_that_one_answer_cannot_hold_are_refused() -> None:
    with pytest.raises(InvalidInput):
        usage.usage_span_check(since=NOON, until=NOON)
    with pytest.raises(InvalidInput):
        usage.usage_span_check(since=NOON - timedelta(days=60), until=NOON, grain="hour")
    usage.usage_span_check(since=NOON - timedelta(days=60), until=NOON, grain="day")


def test_tallies_can_be_neither_changed_nor_deleted(app: App, api: Api) -> None:
    tally = tally_make(app, api)
    for write in (
        lambda: UsageTally.objects.filter(id=tally.id).update(calls=0),
        lambda: UsageTally.objects.all().delete(),
        lambda: UsageSegment.objects.update(events=0),
    ):
        with pytest.raises(DatabaseError, match="keeps facts"), transaction.atomic():
            write()
