"""billing.core.pricing: each model against its definition, and the properties all of them must have."""

from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from billing.core.errors import PriceInvalid, QuantityInvalid
from billing.core.pricing import PRICERS, TEXTS, PriceKind, PriceSpec, Tier, price, spec_shorten
from tests.billing.core.prices import (
    flat,
    graduated,
    included,
    included_flat,
    included_tiers,
    package,
    per_unit,
    quantities,
    specs,
    tiers,
    volume,
)


def total(spec: PriceSpec, quantity: int | Decimal) -> Fraction:
    return sum((Fraction(part.amount) for part in price(spec, quantity)), Fraction(0))


def graduated_by_hand(spec: PriceSpec, quantity: int) -> Fraction:
    """The definition, unit by unit: each unit looks up its own tier; a tier's flat fee is due with its first unit."""
    amount = Fraction(spec.tiers[0].flat_amount)
    reached = {0}
    for unit in range(1, quantity + 1):
        place = next(n for n, tier in enumerate(spec.tiers) if tier.up_to is None or unit <= tier.up_to)
        amount += Fraction(spec.tiers[place].unit_amount)
        if place not in reached:
            reached.add(place)
            amount += Fraction(spec.tiers[place].flat_amount)
    return amount


@given(graduated, st.integers(0, 3500))
def test_graduated_is_the_sum_over_units_of_each_units_own_tier(spec: PriceSpec, quantity: int) -> None:
    assert total(spec, quantity) == graduated_by_hand(spec, quantity)


@given(included_tiers, st.integers(0, 3500))
def test_overage_tiers_count_from_the_first_unit_beyond_the_included_ones(spec: PriceSpec, quantity: int) -> None:
    beyond = max(0, quantity - spec.included_units)
    assert total(spec, quantity) == (graduated_by_hand(spec, beyond) if beyond else 0)


@given(per_unit, quantities)
def test_per_unit_is_a_product(spec: PriceSpec, quantity: int) -> None:
    assert total(spec, quantity) == Fraction(spec.unit_amount) * quantity


@given(flat, quantities)
def test_a_flat_fee_does_not_look_at_the_quantity(spec: PriceSpec, quantity: int) -> None:
    assert total(spec, quantity) == Fraction(spec.unit_amount)


@given(package, quantities)
def test_a_begun_package_is_paid_whole(spec: PriceSpec, quantity: int) -> None:
    blocks = -(-quantity // spec.package_size)
    assert total(spec, quantity) == Fraction(spec.unit_amount) * blocks


@given(included_flat, quantities)
def test_included_units_are_free_and_each_unit_beyond_costs_the_same(spec: PriceSpec, quantity: int) -> None:
    assert total(spec, quantity) == Fraction(spec.unit_amount) * max(0, quantity - spec.included_units)


@given(volume, quantities)
def test_volume_prices_all_units_at_the_tier_reached(spec: PriceSpec, quantity: int) -> None:
    tier = next(tier for tier in spec.tiers if tier.up_to is None or quantity <= tier.up_to)
    assert total(spec, quantity) == Fraction(tier.unit_amount) * quantity + Fraction(tier.flat_amount)


@given(flat | per_unit | graduated | package | included, quantities, quantities)
def test_more_usage_never_costs_less(spec: PriceSpec, one: int, other: int) -> None:
    assert total(spec, min(one, other)) <= total(spec, max(one, other))


@given(volume, quantities, quantities)
def test_a_volume_price_with_rising_tiers_never_falls(spec: PriceSpec, one: int, other: int) -> None:
    rising = sorted(spec.tiers, key=lambda tier: tier.unit_amount)
    flats = sorted(tier.flat_amount for tier in spec.tiers)
    tiers_up = tuple(
        Tier(tier.up_to, up.unit_amount, flat_amount)
        for tier, up, flat_amount in zip(spec.tiers, rising, flats, strict=True)
    )
    spec = PriceSpec(PriceKind.VOLUME, tiers=tiers_up)
    assert total(spec, min(one, other)) <= total(spec, max(one, other))


@given(tiers(has_flats=False), st.data())
def test_graduated_without_flat_fees_has_no_jump_at_a_tiers_edge(steps: tuple[Tier, ...], data: st.DataObject) -> None:
    assume(len(steps) > 1)
    spec, place = PriceSpec(PriceKind.GRADUATED, tiers=steps), data.draw(st.integers(0, len(steps) - 2))
    edge = steps[place].up_to
    assert edge is not None
    crumb = Decimal("0.000001")
    below, above = total(spec, edge - crumb), total(spec, edge + crumb)
    assert total(spec, edge) - below == Fraction(steps[place].unit_amount) * Fraction(crumb)
    assert above - total(spec, edge) == Fraction(steps[place + 1].unit_amount) * Fraction(crumb)


@given(graduated, quantities)
def test_no_quantity_falls_between_two_tiers(spec: PriceSpec, quantity: int) -> None:
    parts = [part for part in price(spec, quantity) if part.explanation["text"] in ("tier", "tier_open")]
    assert sum(part.quantity for part in parts) == quantity


@given(included, quantities)
def test_included_and_paid_units_are_all_units(spec: PriceSpec, quantity: int) -> None:
    parts = [part for part in price(spec, quantity) if part.explanation["text"] != "tier_flat"]
    assert sum(part.quantity for part in parts) == quantity


@given(specs, quantities)
def test_every_part_is_its_quantity_times_its_unit_price_and_never_negative(spec: PriceSpec, quantity: int) -> None:
    for part in price(spec, quantity):
        assert Fraction(part.amount) == Fraction(part.quantity) * Fraction(part.unit_price) >= 0
        shown = part.explanation
        assert Decimal(shown["amount"]) == part.amount and Decimal(shown["unit_price"]) == part.unit_price
        TEXTS[shown["text"]].format(**shown)
        assert all(isinstance(value, str) for value in shown.values())


@given(specs)
def test_a_price_survives_its_dict(spec: PriceSpec) -> None:
    assert PriceSpec.from_dict(spec.to_dict()) == spec


@given(included, st.fractions(0, 1, max_denominator=2678400).filter(bool))
def test_a_shortened_period_includes_its_share_rounded_up(spec: PriceSpec, proration: Fraction) -> None:
    exact = spec.included_units * proration
    assert exact <= spec_shorten(spec, proration).included_units < exact + 1
    assert spec_shorten(spec, Fraction(1)) == spec


def test_every_kind_has_a_pricer() -> None:
    assert set(PRICERS) == set(PriceKind)


def test_zero_usage_pays_the_flat_fee_of_the_first_tier_only() -> None:
    steps = (Tier(10, Decimal("0.10"), Decimal(5)), Tier(None, Decimal("0.05"), Decimal(7)))
    for kind in (PriceKind.GRADUATED, PriceKind.VOLUME):
        assert total(PriceSpec(kind, tiers=steps), 0) == 5
    assert total(PriceSpec(PriceKind.GRADUATED, tiers=steps), 10) == 6
    assert total(PriceSpec(PriceKind.GRADUATED, tiers=steps), 11) == Fraction("13.05")
    assert total(PriceSpec(PriceKind.VOLUME, tiers=steps), 11) == Fraction("7.55")


def test_an_explanation_names_the_units_of_the_whole_period_when_some_are_included() -> None:
    steps = (Tier(1000, Decimal("0.002")), Tier(None, Decimal("0.001")))
    spec = PriceSpec(PriceKind.INCLUDED, tiers=steps, included_units=500)
    shown = [TEXTS[part.explanation["text"]].format(**part.explanation) for part in price(spec, 2000)]
    assert shown == [
        "500 of 500 units included",
        "1000 units from 501 to 1500 at 0.002",
        "500 units from 1501 on at 0.001",
    ]


@pytest.mark.parametrize(
    "quantity", [-1, Decimal("NaN"), Decimal("Infinity"), "abc", 10**22, Decimal("0.0000000000001")]
)
def test_a_quantity_that_cannot_be_is_refused(quantity: Any) -> None:
    with pytest.raises(QuantityInvalid):
        price(PriceSpec(PriceKind.PER_UNIT, Decimal(1)), quantity)


@pytest.mark.parametrize(
    ("value", "faults"),
    [
        ({}, {"kind"}),
        ([], {""}),
        ({"kind": "auction"}, {"kind"}),
        ({"kind": ["flat"]}, {"kind"}),
        ({"kind": "flat", "unit_amount": 0.1}, {"unit_amount"}),
        ({"kind": "flat", "unit_amount": "-1"}, {"unit_amount"}),
        ({"kind": "flat", "unit_amount": "1e3"}, {"unit_amount"}),
        ({"kind": "flat", "unit_amount": "0.0000000000001"}, {"unit_amount"}),
        ({"kind": "flat", "unit_amount": "1000000000000"}, {"unit_amount"}),
        ({"kind": "flat", "price": "1"}, {"price"}),
        ({"kind": "flat", "included_units": 5}, {"included_units"}),
        ({"kind": "included", "unit_amount": "1"}, {"included_units"}),
        ({"kind": "package", "package_size": 0}, {"package_size"}),
        ({"kind": "per_unit", "package_size": 10}, {"package_size"}),
        ({"kind": "per_unit", "tiers": [{"unit_amount": "1"}]}, {"tiers"}),
        ({"kind": "graduated"}, {"tiers"}),
        ({"kind": "graduated", "tiers": "x"}, {"tiers"}),
        ({"kind": "graduated", "tiers": [{}] * 51}, {"tiers"}),
        ({"kind": "graduated", "tiers": [7]}, {"tiers[0]"}),
        ({"kind": "volume", "tiers": [{"up_to": 5}]}, {"tiers[0].up_to"}),
        ({"kind": "volume", "tiers": [{}, {}]}, {"tiers[0].up_to"}),
        ({"kind": "volume", "tiers": [{"up_to": 5}, {"up_to": 5}, {}]}, {"tiers[1].up_to"}),
        ({"kind": "volume", "tiers": [{"up_to": 0}, {}]}, {"tiers[0].up_to"}),
        ({"kind": "volume", "tiers": [{"up_to": True}, {}]}, {"tiers[0].up_to"}),
        (
            {"kind": "x", "unit_amount": None, "tiers": [{"unit_amount": "free", "to": 1}], "included_units": "many"},
            {"kind", "unit_amount", "tiers[0].unit_amount", "tiers[0].to", "included_units"},
        ),
    ],
)
def test_all_faults_of_a_price_are_reported_at_once(value: Any, faults: set[str]) -> None:
    with pytest.raises(PriceInvalid) as refused:
        PriceSpec.from_dict(value)
    assert {problem.field for problem in refused.value.problems} == faults
    assert all(problem.code and problem.text for problem in refused.value.problems)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=8),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(["kind", "unit_amount", "tiers", "up_to", "flat_amount", "included_units"]),
                inner,
                max_size=4,
            )
        ),
        max_leaves=12,
    )
)
def test_hostile_values_are_refused_with_our_own_error_or_read(value: Any) -> None:
    try:
        PriceSpec.from_dict(value)
    except PriceInvalid as refused:
        assert refused.problems
