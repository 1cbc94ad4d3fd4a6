"""Usage lies in months: each fact in the month that it names itself, once, guarded there, and no insert ever waits for a month."""

import asyncio
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from io import StringIO
from itertools import pairwise
from uuid import UUID, uuid4

import psycopg
import pytest
import time_machine
from django.core.management import call_command
from django.db import DatabaseError, connection, transaction
from django.db.models import Sum

from billing.selectors.tallies import tallies_by_grant
from config.management.commands.doctor import partitions_fault
from gateway.dataplane.journal import SEALED_SUFFIX, Journal, segment_path
from gateway.dataplane.journal_records import event_encode
from gateway.dataplane.shipper import Shipper
from gateway.dataplane.shipper_database import segment_insert
from marketplace.contracts.segment import SegmentHeader, SegmentSeal
from marketplace.contracts.tally import Tally, TallyKey
from marketplace.contracts.usage import LATENCY_BUCKETS_MS
from marketplace.core.partitions import Month, months_wanted
from marketplace.models import UsageSegment, UsageTally
from marketplace.selectors.usage import usage_rows
from marketplace.services import partitions
from tests.gateway.state.parts import call_make

GRANT = UUID(int=7)
OCTOBER_END = datetime(2026, 10, 31, 23, 59, 59, 500_000, tzinfo=UTC)
SEGMENTS, TALLIES = "marketplace_usagesegment", "marketplace_usagetally"


@pytest.fixture
def months(db: None) -> Iterator[None]:
    """Partitions of September 2026 to January 2027; gone with the test's transaction."""
    partitions.usage_partitions_make(now=OCTOBER_END)
    yield


def ship(opened_at: datetime, *hours: datetime, calls: int = 5) -> bool:
    """Insert a segment as the shipper does, with a tally for each hour."""
    header = SegmentHeader("n", uuid4(), 0, int(opened_at.timestamp() * 1e6))
    seal = SegmentSeal(calls, header.opened_at_us + 1_000_000, False, bytes(32))
    histogram = [0] * (len(LATENCY_BUCKETS_MS) + 1)
    tallies = {
        TallyKey(GRANT, GRANT, GRANT, "release", None, "succeeded", int(hour.timestamp())): Tally(
            calls, calls, 1, 1, 1, histogram
        )
        for hour in hours
    }
    psycopg_connection = connection.connection
    assert isinstance(psycopg_connection, psycopg.Connection)
    return segment_insert(
        psycopg_connection, header=header, seal=seal, records=[], tallies=tallies, size_bytes=1, evidence="none"
    )


def lying_in(table: str) -> dict[str, int]:
    """How many rows lie in each partition."""
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT tableoid::regclass::text FROM {table}")
        return dict(Counter(row[0].removeprefix(f"{table}_") for row in cursor.fetchall()))


def calls_of(since: datetime, until: datetime) -> int:
    rows = UsageTally.objects.filter(grant_id=GRANT, hour__gte=since, hour__lt=until)
    return rows.aggregate(total=Sum("calls"))["total"] or 0


def test_a_second_try_in_the_next_month_inserts_nothing(transactional_db: None, shipper: Shipper) -> None:
    """The commit was on one side of the month's edge, the kill before the file's removal, and the second try on the other."""
    partitions.usage_partitions_make(now=OCTOBER_END)

    async def run() -> Journal:
        journal = Journal(shipper.journal_dir, node="n", boot=uuid4(), seal_s=60)
        with time_machine.travel(OCTOBER_END, tick=False) as clock:
            journal.start()
            journal.commit(event_encode(call_make()), lambda payload: None, b"", lambda: None)
            journal.flush()
            clock.shift(1)
            for _ in range(2):
                journal.commit(event_encode(call_make()), lambda payload: None, b"", lambda: None)
            journal.close()
        return journal

    path = segment_path(asyncio.run(run()).folder, 0, SEALED_SUFFIX)
    content = path.read_bytes()
    for at in (OCTOBER_END + timedelta(seconds=1), OCTOBER_END + timedelta(days=33)):
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content)
        with time_machine.travel(at):
            shipper.round()
        shipper._digests.clear()  # as after a kill
    assert (shipper.shipped, shipper.repeated, shipper.corrupt) == (1, 1, 0)
    assert lying_in(SEGMENTS) == {"2026_10": 1}
    assert sorted(UsageTally.objects.values_list("hour__month", "calls")) == [(10, 1), (11, 2)]


def test_tallies_lie_in_the_month_of_their_hour_whenever_their_segment_was_opened(months: None) -> None:
    november = OCTOBER_END + timedelta(seconds=1)
    assert ship(OCTOBER_END, datetime(2026, 10, 31, 23, tzinfo=UTC), datetime(2026, 11, 1, tzinfo=UTC))
    assert ship(november, datetime(2026, 9, 30, 23, tzinfo=UTC))
    assert lying_in(SEGMENTS) == {"2026_10": 1, "2026_11": 1}
    assert lying_in(TALLIES) == {"2026_09": 1, "2026_10": 1, "2026_11": 1}


@pytest.mark.parametrize("year", [1970, 2399, 9999])
def test_an_hour_far_in_the_past_or_in_the_future_lands_as_well_and_is_read(months: None, year: int) -> None:
    far = datetime(year, 3, 4, 5, tzinfo=UTC)
    assert ship(far, far) and ship(OCTOBER_END, OCTOBER_END.replace(minute=0, second=0, microsecond=0))
    assert lying_in(TALLIES) == {"default": 1, "2026_10": 1}
    assert calls_of(far, far + timedelta(hours=1)) == 5
    assert len(usage_rows(UsageTally.objects.filter(grant_id=GRANT))) == 2


def test_rows_of_the_default_partition_move_into_a_month_of_their_own_when_asked_and_not_before(months: None) -> None:
    early = datetime(2026, 6, 10, 12, tzinfo=UTC)
    assert ship(early, early, early + timedelta(hours=1)) and ship(early.replace(month=5), early.replace(month=5))
    assert partitions.usage_partitions_make(now=early.replace(month=8), ahead=0) == [
        f"{SEGMENTS}_2026_07",
        f"{SEGMENTS}_2026_08",
        f"{TALLIES}_2026_07",
        f"{TALLIES}_2026_08",
    ]
    assert partitions.usage_partitions_make(now=early, ahead=0) == []  # their rows lie in the default partition
    assert partitions.usage_default_months()[TALLIES] == [Month(2026, 5), Month(2026, 6)]
    assert "Usage of 2026_05, 2026_06 lies in the default partition" in partitions_fault()
    out = StringIO()
    call_command("usage_partitions", stdout=out)
    assert "--move" in out.getvalue() and lying_in(TALLIES) == {"default": 3}
    call_command("usage_partitions", "--move", stdout=out)
    assert "2 rows moved into marketplace_usagetally_2026_06." in out.getvalue()
    assert lying_in(TALLIES) == {"2026_05": 1, "2026_06": 2} and lying_in(SEGMENTS) == {"2026_05": 1, "2026_06": 1}
    assert partitions.usage_default_months() == {} and partitions_fault() == ""
    assert calls_of(early.replace(month=5), early.replace(month=7)) == 15
    assert ship(datetime(1999, 1, 1, tzinfo=UTC), datetime(1999, 1, 1, tzinfo=UTC))  # the default takes rows again
    refuses_change(f"{TALLIES}_default")
    refuses_change(f"{TALLIES}_2026_06")


def test_an_old_month_can_be_taken_off_and_the_others_are_read_as_before(months: None) -> None:
    september, november = datetime(2026, 9, 2, tzinfo=UTC), datetime(2026, 11, 1, tzinfo=UTC)
    assert ship(september, september) and ship(OCTOBER_END, november)
    with connection.cursor() as cursor:
        for table in (SEGMENTS, TALLIES):
            cursor.execute(f"ALTER TABLE {table} DETACH PARTITION {table}_2026_09")
    assert calls_of(september, november + timedelta(hours=1)) == 5
    assert UsageTally.objects.select_related("segment").get().segment.opened_at == OCTOBER_END
    assert UsageSegment.objects.get().tallies.count() == 1
    assert ship(november, november) and calls_of(november, november + timedelta(hours=1)) == 10


def refuses_change(table: str) -> None:
    """Both kinds of change are refused by this very table, not only by the whole."""
    for statement in (f"UPDATE {table} SET calls = 0", f"DELETE FROM {table}"):
        with (
            pytest.raises(DatabaseError, match="keeps facts"),
            transaction.atomic(),
            connection.cursor() as cursor,
        ):
            cursor.execute(statement)


def test_tallies_can_be_neither_changed_nor_deleted_in_any_partition(months: None) -> None:
    hours = [datetime(year, 10, 1, tzinfo=UTC) for year in (1980, 2026, 2200)]
    assert ship(OCTOBER_END, *hours, datetime(2027, 1, 5, tzinfo=UTC))
    assert lying_in(TALLIES) == {"default": 2, "2026_10": 1, "2027_01": 1}
    for partition in ("", "_default", "_2026_10", "_2027_01"):
        refuses_change(f"{TALLIES}{partition}")
    with pytest.raises(DatabaseError, match="keeps facts"), transaction.atomic():
        UsageTally.objects.update(hour=datetime(2026, 12, 1, tzinfo=UTC))  # nor moved to another month


def test_one_subscription_month_and_a_usage_page_read_their_own_months_only(months: None) -> None:
    with connection.execute_wrapper(plans := Plans()):
        tallies_by_grant(
            grant_ids=[GRANT],
            meters=(),
            since=datetime(2026, 10, 1, tzinfo=UTC),
            until=datetime(2026, 11, 1, tzinfo=UTC),
        )
        since, until = datetime(2026, 10, 20, tzinfo=UTC), datetime(2026, 11, 19, tzinfo=UTC)
        usage_rows(UsageTally.objects.filter(app_id=GRANT, hour__gte=since, hour__lt=until))
    assert plans.scanned == [{"2026_10"}, {"2026_10", "2026_11"}]


class Plans:
    """Explains each query that goes by, and keeps which partitions of tallies its plan scans."""

    def __init__(self) -> None:
        self.scanned: list[set[str]] = []

    def __call__(self, execute, sql, params, many, context):  # type: ignore[no-untyped-def]
        if TALLIES in sql and not sql.startswith("EXPLAIN"):
            with context["connection"].cursor() as cursor:
                cursor.execute(f"EXPLAIN {sql}", params)
                words = " ".join(row[0] for row in cursor.fetchall()).split()
            self.scanned.append({after.removeprefix(f"{TALLIES}_") for on, after in pairwise(words) if on == "on"})
        return execute(sql, params, many, context)


def test_months_are_made_ahead_by_migrate_and_making_them_again_makes_none(db: None) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT now()")
        now = cursor.fetchone()[0]
        cursor.execute("SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = %s::regclass", [TALLIES])
        there = {row[0] for row in cursor.fetchall()}
    wanted = {f"{TALLIES}_{month.suffix}" for month in months_wanted(now, behind=1, ahead=3)}
    assert wanted | {f"{TALLIES}_default"} <= there
    assert partitions.usage_partitions_make() == []


def test_months_go_over_the_end_of_a_year_and_into_utc() -> None:
    shanghai = datetime.fromisoformat("2027-01-01T07:00:00+08:00")
    assert months_wanted(shanghai, behind=1, ahead=1) == [Month(2026, 11), Month(2026, 12), Month(2027, 1)]
    assert Month(2026, 11).later(14) == Month(2028, 1) and Month(2026, 1).later(-1).suffix == "2025_12"
