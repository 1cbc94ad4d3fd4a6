"""What must hold of money whatever the prices: steps where the price says and nowhere else, no unit lost between two parts."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.core.commission import commission_split
from billing.core.currencies import EXPONENTS
from billing.core.periods import BillingCycle, Period, day_start, hour_ceiling
from billing.core.pricing import PriceKind, PriceSpec, spec_shorten
from billing.core.rating import PlanPrice, RatedLine, rate, rating_recompute
from tests.billing.core.prices import flat, graduated, included, included_tiers, package, per_unit, quantities, specs
from tests.billing.core.test_periods import ZONES, cycles

HOUR = timedelta(hours=1)
currencies = st.sampled_from(sorted(EXPONENTS))
prorations = st.fractions(0, 1, max_denominator=744).filter(bool) | st.just(Fraction(1))
WHOLE = Period(datetime(2026, 10, 1, tzinfo=UTC), datetime(2026, 11, 1, tzinfo=UTC), "UTC")


def line_of(
    spec: PriceSpec, quantity: int, *, currency: str = "USD", proration: Fraction = Fraction(1), period: Period = WHOLE
) -> RatedLine:
    """The one line of a plan with this one price."""
    price = PlanPrice("prc", "Price", spec, "m" if spec.kind.is_metered else None)
    used = {"m": quantity}
    return rate(prices=[price], quantities=used, currency=currency, period=period, proration=proration).lines[0]


def exact(line: RatedLine) -> Fraction:
    return Fraction(line.explanation["amount_exact"])


@given(specs.filter(lambda spec: spec.kind is not PriceKind.VOLUME), quantities, quantities, currencies, prorations)
def test_a_line_never_falls_with_more_usage(
    spec: PriceSpec, one: int, other: int, currency: str, proration: Fraction
) -> None:
    less, more = (line_of(spec, used, currency=currency, proration=proration) for used in sorted((one, other)))
    assert 0 <= less.amount_minor <= more.amount_minor


@given(specs, quantities, currencies, prorations)
def test_a_line_is_within_half_a_minor_unit_of_its_exact_amount_in_every_currency(
    spec: PriceSpec, used: int, currency: str, proration: Fraction
) -> None:
    line = line_of(spec, used, currency=currency, proration=proration)
    off = line.amount_minor - exact(line) * 10 ** EXPONENTS[currency]
    assert -Fraction(1, 2) < off <= Fraction(1, 2)
    assert rating_recompute(line.explanation) == line.amount_minor


@given(specs, quantities, prorations)
def test_the_currency_changes_the_rounding_and_nothing_else(spec: PriceSpec, used: int, proration: Fraction) -> None:
    none, two, three = (line_of(spec, used, currency=code, proration=proration) for code in ("JPY", "EUR", "KWD"))
    assert exact(none) == exact(two) == exact(three)
    assert none.parts == two.parts == three.parts


@given(graduated, st.data())
def test_a_graduated_price_steps_at_a_tiers_edge_by_the_next_unit_and_its_flat_fee(
    spec: PriceSpec, data: st.DataObject
) -> None:
    place = data.draw(st.integers(0, len(spec.tiers) - 1))
    edge, tier = spec.tiers[place].up_to, spec.tiers[min(place + 1, len(spec.tiers) - 1)]
    if edge is None:
        edge = (spec.tiers[place - 1].up_to or 0) + 1 if place else 1
        step = Fraction(tier.unit_amount)  # inside the open tier
    else:
        step = Fraction(tier.unit_amount) + Fraction(tier.flat_amount)
    assert exact(line_of(spec, edge + 1)) - exact(line_of(spec, edge)) == step


@given(included, quantities, prorations)
def test_usage_beyond_what_is_included_costs_what_it_would_cost_alone(
    spec: PriceSpec, used: int, proration: Fraction
) -> None:
    free = spec_shorten(spec, proration).included_units
    kind = PriceKind.GRADUATED if spec.tiers else PriceKind.PER_UNIT
    alone = PriceSpec(kind, spec.unit_amount, spec.tiers)
    expected = exact(line_of(alone, used - free)) if used > free else Fraction(0)
    assert exact(line_of(spec, used, proration=proration)) == expected


@given(included_tiers, prorations)
def test_the_first_unit_beyond_what_is_included_pays_the_first_tier(spec: PriceSpec, proration: Fraction) -> None:
    free = spec_shorten(spec, proration).included_units
    first = spec.tiers[0]
    assert exact(line_of(spec, free, proration=proration)) == 0
    one_more = exact(line_of(spec, free + 1, proration=proration))
    assert one_more == Fraction(first.unit_amount) + Fraction(first.flat_amount)


@given(package, st.integers(0, 10**6), st.data())
def test_a_package_costs_the_same_to_its_last_unit_and_one_more_with_the_next(
    spec: PriceSpec, whole: int, data: st.DataObject
) -> None:
    size = spec.package_size
    inside = data.draw(st.integers(1, size))
    price = Fraction(spec.unit_amount)
    assert exact(line_of(spec, whole * size)) == whole * price
    assert exact(line_of(spec, whole * size + inside)) == (whole + 1) * price


@given(st.integers(-(10**12), 10**12), st.decimals(0, 1, places=6))
def test_fee_and_share_are_the_net_and_a_correction_splits_as_its_line_did(net: int, rate_now: Decimal) -> None:
    split, undone = commission_split(net, rate_now), commission_split(-net, rate_now)
    assert split.fee_minor + split.share_minor == net
    assert (split.fee_minor + undone.fee_minor, split.share_minor + undone.share_minor) == (0, 0)
    assert abs(split.fee_minor) <= abs(net) and abs(split.share_minor) <= abs(net)


@given(specs, quantities, prorations)
def test_a_line_with_a_unit_price_is_its_quantity_times_that_price(
    spec: PriceSpec, used: int, proration: Fraction
) -> None:
    line = line_of(spec, used, proration=proration)
    if line.unit_price is None:
        assert spec.kind not in (PriceKind.FLAT, PriceKind.PER_UNIT)
        return
    share = Fraction(1) if spec.kind.is_metered else proration
    assert exact(line) == Fraction(line.unit_price) * Fraction(line.quantity) * share


@st.composite
def cut_periods(draw: st.DrawFn) -> tuple[Period, list[Period]]:
    """A billing period anywhere in time and the world, cut at up to five whole hours, as plan changes cut it."""
    whole = draw(cycles).period(draw(st.integers(0, 200)))
    hours = whole.seconds // 3600
    cuts = sorted(draw(st.sets(st.integers(1, hours - 1), max_size=5)))
    edges = [whole.start, *(whole.start + HOUR * cut for cut in cuts), whole.end]
    return whole, [Period(start, end, whole.time_zone) for start, end in pairwise(edges)]


@given(cut_periods(), flat, currencies)
def test_a_fee_over_any_changes_of_plan_is_the_fee_but_for_each_lines_rounding(
    cut: tuple[Period, list[Period]], fee: PriceSpec, currency: str
) -> None:
    whole, parts = cut
    shares = [part.fraction_of(whole) for part in parts]
    assert sum(shares) == 1
    lines = [
        line_of(fee, 1, currency=currency, proration=share, period=part)
        for part, share in zip(parts, shares, strict=True)
    ]
    assert sum(exact(line) for line in lines) == Fraction(fee.unit_amount)
    alone = line_of(fee, 1, currency=currency, period=whole).amount_minor
    assert abs(sum(line.amount_minor for line in lines) - alone) <= Fraction(len(lines) + 1, 2)


@given(cut_periods(), included)
def test_changes_of_plan_never_take_an_included_unit_away(cut: tuple[Period, list[Period]], spec: PriceSpec) -> None:
    whole, parts = cut
    free = [spec_shorten(spec, part.fraction_of(whole)).included_units for part in parts]
    assert spec.included_units <= sum(free) < spec.included_units + len(parts)


@given(cut_periods(), per_unit, st.data())
def test_calls_counted_in_parts_cost_what_they_cost_together(
    cut: tuple[Period, list[Period]], spec: PriceSpec, data: st.DataObject
) -> None:
    whole, parts = cut
    used = [data.draw(st.integers(0, 10**9)) for _part in parts]
    lines = [
        line_of(spec, units, proration=part.fraction_of(whole), period=part)
        for units, part in zip(used, parts, strict=True)
    ]
    assert sum(exact(line) for line in lines) == exact(line_of(spec, sum(used), period=whole))


def clock_changes(zone: str, years: range) -> Iterator[date]:
    """The local days on which the clock of a zone is changed."""
    tz = ZoneInfo(zone)
    day = date(years.start, 1, 1)
    before = datetime(day.year, 1, 1, 12, tzinfo=tz).utcoffset()
    while day.year < years.stop:
        day += timedelta(days=1)
        after = datetime(day.year, day.month, day.day, 12, tzinfo=tz).utcoffset()
        if after != before:
            yield day
        before = after


@pytest.mark.parametrize("region", sorted({zone.partition("/")[0] for zone in ZONES}))
def test_around_every_clock_change_of_every_zone_no_hour_is_lost_or_billed_twice(region: str) -> None:
    for zone in (zone for zone in ZONES if zone.partition("/")[0] == region):
        tz = ZoneInfo(zone)
        for day in clock_changes(zone, range(2025, 2028)):
            begins = [day_start(day + timedelta(days=shift), zone) for shift in (-1, 0, 1, 2)]
            assert all(22 * HOUR <= after - this <= 26 * HOUR for this, after in pairwise(begins)), (zone, day)
            for shift, begin in enumerate(begins, start=-1):
                assert (begin - HOUR).astimezone(tz).date() < day + timedelta(days=shift) <= begin.astimezone(tz).date()
            cycle = BillingCycle(day, zone)
            this, before = cycle.period(0), cycle.period(-1)
            assert before.end == this.start == begins[1]
            change = hour_ceiling(begins[1] + 3 * HOUR)
            early, late = this.split(change)
            assert early.fraction_of(this) + late.fraction_of(this) == 1
            assert len(list(early.hours())) + len(list(late.hours())) == this.seconds // 3600
