"""billing.core.periods: periods partition time in every zone, over clock changes, month ends and leap days."""

from datetime import UTC, date, datetime, timedelta
from fractions import Fraction
from itertools import pairwise
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from billing.core.errors import PeriodInvalid
from billing.core.periods import BillingCycle, Period, calendar_month, day_start, hour_ceiling, hour_floor, month_shift

ZONES = sorted(zone for zone in available_timezones() if zone not in ("localtime", "Factory"))
zones = st.sampled_from(ZONES)
dates = st.dates(date(1950, 1, 1), date(2150, 12, 31))
instants = st.datetimes(datetime(1950, 1, 1), datetime(2150, 1, 1), timezones=st.just(UTC))
cycles = st.builds(BillingCycle, anchor_on=dates, time_zone=zones, months=st.sampled_from([1, 1, 1, 2, 3, 6, 12, 36]))
HOUR = timedelta(hours=1)


@given(cycles, st.integers(-15, 600))
def test_each_period_ends_exactly_where_the_next_begins(cycle: BillingCycle, number: int) -> None:
    this, after = cycle.period(number), cycle.period(number + 1)
    assert this.start < this.end == after.start


@given(cycles, instants)
def test_every_moment_is_in_exactly_one_period(cycle: BillingCycle, instant: datetime) -> None:
    period = cycle.containing(instant)
    assert period.start <= instant < period.end
    assert not cycle.next(period).contains(instant) and not cycle.previous(period).contains(instant)


@given(cycles, st.integers(-15, 600))
def test_next_and_previous_undo_each_other(cycle: BillingCycle, number: int) -> None:
    period = cycle.period(number)
    assert cycle.number_containing(period.start) == number
    assert cycle.number_containing(period.end - timedelta(microseconds=1)) == number
    assert cycle.previous(cycle.next(period)) == period


@given(cycles, st.integers(-15, 600))
def test_the_anchors_day_is_kept_and_a_short_month_does_not_make_it_drift(cycle: BillingCycle, number: int) -> None:
    due = month_shift(cycle.anchor_on, number * cycle.months)
    last_of_month = (month_shift(due.replace(day=1), 1) - timedelta(days=1)).day
    assert due.day == min(cycle.anchor_on.day, last_of_month)
    start = cycle.period(number).start
    midnight = datetime(due.year, due.month, due.day, tzinfo=ZoneInfo(cycle.time_zone)).astimezone(UTC)
    assert timedelta(0) <= start - midnight < HOUR


@pytest.mark.parametrize("region", sorted({zone.partition("/")[0] for zone in ZONES}))
def test_in_every_zone_the_days_of_clock_changes_belong_to_one_period(region: str) -> None:
    """Walk all months of 2005 to 2030: they hold every rule now in force and what happened to Apia and Pyongyang."""
    for zone in (zone for zone in ZONES if zone.partition("/")[0] == region):
        cycle = BillingCycle(date(2005, 1, 1), zone)
        periods = [cycle.period(number) for number in range(26 * 12)]
        assert all(this.end == after.start for this, after in pairwise(periods)), zone
        assert all(27 * 24 < period.seconds / 3600 < 32 * 24 for period in periods), zone
        assert sum(period.seconds for period in periods) == (periods[-1].end - periods[0].start).total_seconds(), zone


@settings(max_examples=30)
@given(cycles, st.integers(0, 300))
def test_hours_partition_the_period(cycle: BillingCycle, number: int) -> None:
    period = BillingCycle(cycle.anchor_on, cycle.time_zone).period(number)
    hours = list(period.hours())
    assert hours[0] == period.start and hours[-1] + HOUR == period.end
    assert len(hours) == len(set(hours)) == period.seconds // 3600
    assert all(period.contains(hour) for hour in (hours[0], hours[len(hours) // 2], hours[-1]))


@given(cycles, st.integers(0, 100), st.data())
def test_the_fractions_of_two_halves_sum_to_one(cycle: BillingCycle, number: int, data: st.DataObject) -> None:
    period = cycle.period(number)
    cut = period.start + HOUR * data.draw(st.integers(1, period.seconds // 3600 - 1))
    before, after = period.split(cut)
    assert before.fraction_of(period) + after.fraction_of(period) == 1
    assert before.overlap(after) is None and before.fraction_of(after) == 0


@given(instants, zones, st.sampled_from([1, 3, 12]))
def test_a_cycle_started_now_bills_from_the_local_day_of_now(instant: datetime, zone: str, months: int) -> None:
    """3scale/porta#600: who signed up on the last day of a month got that day free."""
    cycle = BillingCycle.started(instant, zone, months=months)
    assert cycle.period(0).contains(instant)
    assert instant - cycle.period(0).start < timedelta(hours=50)


@given(instants, zones)
def test_a_calendar_month_holds_the_local_month_and_nothing_else(instant: datetime, zone: str) -> None:
    month = calendar_month(instant, zone)
    assert month.contains(instant)
    assert month.last_on.month == month.first_on.month or month.first_on.day == 1
    assert timedelta(days=27) < month.end - month.start < timedelta(days=32)


def test_the_thirty_first_becomes_each_months_last_day_and_comes_back() -> None:
    """killbill/killbill#2133: a subscription made on the 31st produced invoices on the 30th."""
    cycle = BillingCycle(date(2027, 12, 31), "Asia/Shanghai")
    starts = [cycle.period(number).first_on for number in range(6)]
    assert [(day.month, day.day) for day in starts] == [(12, 31), (1, 31), (2, 29), (3, 31), (4, 30), (5, 31)]
    assert cycle.period(1).last_on == date(2028, 2, 28)


def test_a_leap_day_anchor_returns_every_fourth_year() -> None:
    cycle = BillingCycle(date(2024, 2, 29), "Europe/Berlin", months=12)
    assert [cycle.period(number).first_on.day for number in range(5)] == [29, 28, 28, 28, 29]


def test_a_month_with_a_spring_clock_change_is_an_hour_shorter() -> None:
    march = calendar_month(datetime(2026, 3, 15, tzinfo=UTC), "Europe/Berlin")
    october = calendar_month(datetime(2026, 10, 15, tzinfo=UTC), "Europe/Berlin")
    assert (march.seconds // 3600, october.seconds // 3600) == (31 * 24 - 1, 31 * 24 + 1)


def test_two_accounts_made_on_either_side_of_a_clock_change_have_the_same_periods() -> None:
    """killbill/killbill#1934: same usage, different invoices, since one account was made before the switch."""
    before = BillingCycle.started(datetime(2026, 3, 28, 20, tzinfo=UTC), "America/New_York")
    after = BillingCycle(date(2026, 4, 28), "America/New_York")
    assert before.period(2) == after.period(1)


def test_the_day_ends_in_the_accounts_zone_on_both_sides_of_the_date_line() -> None:
    """killbill/killbill#1856 and getlago/lago-api#879: periods billed twice because the zone was left out."""
    instant = datetime(2026, 1, 31, 11, tzinfo=UTC)
    assert calendar_month(instant, "Pacific/Kiritimati").first_on == date(2026, 2, 1)
    assert calendar_month(instant, "Pacific/Pago_Pago").first_on == date(2026, 1, 1)


@pytest.mark.parametrize(
    ("day", "zone", "start"),
    [
        (date(2026, 1, 1), "Asia/Shanghai", "2025-12-31T16:00"),
        (date(2026, 1, 1), "Asia/Kolkata", "2025-12-31T19:00"),  # 00:30 local: midnight is no whole UTC hour
        (date(2026, 1, 1), "Asia/Kathmandu", "2025-12-31T19:00"),  # 00:45 local
        (date(2018, 11, 4), "America/Sao_Paulo", "2018-11-04T03:00"),  # midnight skipped: the day began at 01:00
        (date(2026, 11, 1), "America/Havana", "2026-11-01T04:00"),  # 00:00 to 01:00 happened twice: the first
        (date(2011, 12, 30), "Pacific/Apia", "2011-12-30T10:00"),  # a day that Samoa left out
    ],
)
def test_a_day_starts_on_a_whole_utc_hour_at_or_after_local_midnight(day: date, zone: str, start: str) -> None:
    assert day_start(day, zone) == datetime.fromisoformat(start).replace(tzinfo=UTC)


def test_a_period_shows_its_first_and_last_local_day() -> None:
    month = calendar_month(datetime(2026, 2, 10, tzinfo=UTC), "Asia/Kolkata")
    assert (month.first_on, month.last_on) == (date(2026, 2, 1), date(2026, 2, 28))
    assert month.to_dict() == {
        "start": "2026-01-31T19:00:00Z",
        "end": "2026-02-28T19:00:00Z",
        "time_zone": "Asia/Kolkata",
    }


def test_hours_round_down_and_up() -> None:
    instant = datetime(2026, 1, 1, 10, 0, 0, 1, tzinfo=UTC)
    assert hour_floor(instant).hour == 10 and hour_ceiling(instant).hour == 11
    assert hour_ceiling(hour_floor(instant)) == hour_floor(instant)


def test_proration_is_exact() -> None:
    month = Period(datetime(2026, 4, 1, tzinfo=UTC), datetime(2026, 5, 1, tzinfo=UTC), "UTC")
    assert month.split(datetime(2026, 4, 11, tzinfo=UTC))[0].fraction_of(month) == Fraction(1, 3)


@pytest.mark.parametrize("zone", ["", "Mars/Olympus", "../etc/passwd", "/etc/passwd", "a" * 5000, "\0"])
def test_an_unknown_zone_is_refused(zone: str) -> None:
    with pytest.raises(PeriodInvalid, match="IANA"):
        BillingCycle(date(2026, 1, 1), zone)


@pytest.mark.parametrize("months", [0, -1, 37])
def test_a_length_out_of_range_is_refused(months: int) -> None:
    with pytest.raises(PeriodInvalid):
        BillingCycle(date(2026, 1, 1), "UTC", months)


def test_naive_times_half_hours_and_empty_periods_are_refused() -> None:
    naive, whole = datetime(2026, 1, 1), datetime(2026, 1, 1, tzinfo=UTC)
    with pytest.raises(PeriodInvalid):
        BillingCycle(date(2026, 1, 1), "UTC").containing(naive)
    with pytest.raises(PeriodInvalid):
        BillingCycle.started(naive, "UTC")
    with pytest.raises(PeriodInvalid):
        Period(naive, whole, "UTC")
    with pytest.raises(PeriodInvalid):
        Period(whole, whole + timedelta(minutes=30), "UTC")
    with pytest.raises(PeriodInvalid):
        Period(whole, whole, "UTC")


def test_periods_beyond_the_calendar_are_refused() -> None:
    with pytest.raises(PeriodInvalid, match="years"):
        BillingCycle(date(2026, 1, 1), "UTC").period(10**6)
