"""Rate arithmetic, quota windows and lease sizes as properties: never more than the limit, no gap and no overlap in time."""

from dataclasses import replace
from datetime import UTC, datetime
from zoneinfo import ZoneInfo, available_timezones

from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.core import gcra, quotas, windows
from marketplace.contracts.limits import QuotaLimit, RateLimit

rates = st.builds(
    RateLimit, calls=st.integers(1, 5_000), period_s=st.sampled_from([1, 7, 60, 3600]), burst=st.integers(0, 50)
)
gaps = st.lists(st.tuples(st.integers(0, 400_000), st.integers(1, 5)), min_size=1, max_size=60)
zones = st.sampled_from(sorted(available_timezones() - {"localtime", "Factory"}))
moments = st.integers(0, 4_000_000_000)


@given(rates, gaps)
@settings(max_examples=150, deadline=None)
def test_gcra_equals_a_bucket_that_leaks_one_call_an_interval(
    limit: RateLimit, arrivals: list[tuple[int, int]]
) -> None:
    """The reference keeps a level that drains with time; GCRA keeps a moment. Both admit the same calls."""
    pace = gcra.pace(limit)
    now, tat, level, drained_at = 10**15, 0, 0, 10**15
    for gap, wanted in arrivals:
        now += gap
        level = max(0, level - (now - drained_at))
        drained_at = now
        admitted = 0
        for _ in range(wanted):
            if level + pace.interval_us <= pace.burst * pace.interval_us:
                level += pace.interval_us
                admitted += 1
        verdict = gcra.admit(tat_us=tat, now_us=now, wanted=wanted, pace=pace)
        assert verdict.admitted == admitted
        tat = verdict.tat_us


@given(rates, gaps, st.integers(1, 2_000_000))
@settings(max_examples=100, deadline=None)
def test_gcra_never_admits_more_than_burst_and_rate_over_any_span(
    limit: RateLimit, arrivals: list[tuple[int, int]], span: int
) -> None:
    pace = gcra.pace(limit)
    now, tat, admitted = 10**15, 0, []
    for gap, wanted in arrivals:
        now += gap
        verdict = gcra.admit(tat_us=tat, now_us=now, wanted=wanted, pace=pace)
        tat = verdict.tat_us
        admitted += [now] * verdict.admitted
    for first in admitted:
        assert sum(first <= at < first + span for at in admitted) <= pace.burst + -(-span // pace.interval_us)


@given(rates, st.integers(1, 100))
@settings(max_examples=100, deadline=None)
def test_a_refused_call_is_admitted_exactly_after_retry_after(limit: RateLimit, wanted: int) -> None:
    pace, now = gcra.pace(limit), 10**15
    full = gcra.admit(tat_us=0, now_us=now, wanted=pace.burst, pace=pace)
    refused = gcra.admit(tat_us=full.tat_us, now_us=now, wanted=wanted, pace=pace)
    assert (refused.admitted, refused.tat_us) == (0, full.tat_us)
    later = now + refused.retry_after_us
    assert gcra.admit(tat_us=full.tat_us, now_us=later, wanted=1, pace=pace).admitted == 1
    assert gcra.admit(tat_us=full.tat_us, now_us=later - 1, wanted=1, pace=pace).admitted == 0


@given(zones, moments, st.sampled_from(["hour", "day", "month"]))
@settings(max_examples=250, deadline=None)
def test_windows_partition_time_in_every_time_zone(zone: str, moment: int, kind: str) -> None:
    limit = QuotaLimit(units=1, window=kind, time_zone=zone)  # type: ignore[arg-type]
    window = windows.window_at(limit, moment)
    assert window is not None and window.starts_at <= moment < window.ends_at
    assert windows.window_at(limit, window.starts_at) == window
    assert windows.window_at(limit, window.ends_at - 0.001) == window
    after = windows.window_at(limit, window.ends_at)
    assert after is not None and after.starts_at == window.ends_at
    before = windows.window_at(limit, window.starts_at - 1)
    assert before is not None and before.ends_at == window.starts_at


def test_a_day_of_the_switch_to_summer_time_is_23_hours_long() -> None:
    limit = QuotaLimit(units=1, window="day", time_zone="Europe/Berlin")
    window = windows.window_at(limit, datetime(2026, 3, 29, 12, tzinfo=ZoneInfo("Europe/Berlin")).timestamp())
    assert window is not None and window.ends_at - window.starts_at == 23 * 3600
    assert windows.resets_at_text(window, "Europe/Berlin") == "2026-03-30T00:00:00+02:00"


def test_a_month_in_shanghai_begins_while_it_is_still_the_day_before_in_utc() -> None:
    limit = QuotaLimit(units=1, window="month", time_zone="Asia/Shanghai")
    window = windows.window_at(limit, datetime(2026, 11, 30, 17, tzinfo=UTC).timestamp())
    assert window is not None
    assert datetime.fromtimestamp(window.starts_at, UTC) == datetime(2026, 11, 30, 16, tzinfo=UTC)


def test_outside_its_billing_period_a_quota_has_no_window() -> None:
    limit = QuotaLimit(units=1, window="period", period_start=100, period_end=200)
    assert windows.window_at(limit, 99.9) is None
    assert windows.window_at(limit, 100.0) == ("period", 100, 200)
    assert windows.window_at(limit, 200.0) is None
    assert windows.window_at(replace(limit, period_end=300), 200.0) == ("period", 100, 300)


def test_a_period_that_billing_has_not_turned_goes_on_in_windows_as_long_as_the_last() -> None:
    limit = QuotaLimit(units=1, window="period", period_start=100, period_end=200)
    assert windows.window_in_force(limit, 150) == ("period", 100, 200)
    assert windows.window_in_force(limit, 200) == ("period", 200, 300)
    assert windows.window_in_force(limit, 499.9) == ("period", 400, 500)
    assert windows.window_in_force(limit, 50) == ("period", 100, 200)


@given(st.floats(0, 1e6), st.integers(0, 5_000))
@settings(max_examples=60, deadline=None)
def test_a_lease_covers_a_tenth_of_a_second_and_everyone_who_waits(rate: float, waiting: int) -> None:
    wanted = quotas.lease_wanted(rate=rate, waiting=waiting)
    assert min(waiting, quotas.LEASE_UNITS_MAX) <= wanted <= quotas.LEASE_UNITS_MAX
    assert wanted >= min(int(rate * quotas.LEASE_S), quotas.LEASE_UNITS_MAX)
