"""billing.core.money: rounding once, splitting exactly, plain text both ways."""

from decimal import ROUND_HALF_UP, Decimal, Inexact
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.core.currencies import EXPONENTS
from billing.core.errors import MoneyInvalid
from billing.core.money import EXACT, MINOR_MAX, Money, allocate, decimal_places, decimal_show, round_half_up

currencies = st.sampled_from(sorted(EXPONENTS))
minors = st.integers(-(10**15), 10**15)
decimals = st.decimals(-(10**9), 10**9, places=12, allow_nan=False)


@pytest.mark.parametrize(
    ("value", "rounded"),
    [("0.5", 1), ("-0.5", -1), ("1.5", 2), ("2.5", 3), ("-2.5", -3), ("2.4999999999", 2), ("0", 0)],
)
def test_exact_halves_go_away_from_zero(value: str, rounded: int) -> None:
    assert round_half_up(Decimal(value)) == rounded


@given(decimals)
def test_rounding_agrees_with_the_decimal_module(value: Decimal) -> None:
    assert round_half_up(value) == int(value.quantize(Decimal(1), ROUND_HALF_UP))


@given(decimals)
def test_rounding_a_negative_amount_mirrors_the_positive_one(value: Decimal) -> None:
    assert round_half_up(-value) == -round_half_up(value)


@pytest.mark.parametrize(
    ("amount", "currency", "minor"),
    [("0.067", "USD", 7), ("12.345", "KWD", 12345), ("12.5", "JPY", 13), ("99.5", "ISK", 100), ("0.004", "USD", 0)],
)
def test_an_amount_rounds_at_its_currencys_own_place(amount: str, currency: str, minor: int) -> None:
    assert Money.rounded(Decimal(amount), currency) == Money(minor, currency)


@given(minors, currencies)
def test_an_amount_survives_its_plain_text(minor: int, currency: str) -> None:
    money = Money(minor, currency)
    assert Money.parse(money.format(), currency) == money
    assert Money.rounded(money.amount(), currency) == money


@pytest.mark.parametrize(
    ("minor", "currency", "text"),
    [
        (-5, "USD", "-0.05"),
        (123456, "USD", "1,234.56"),
        (1234, "JPY", "1,234"),
        (1, "KWD", "0.001"),
        (0, "EUR", "0.00"),
    ],
)
def test_amounts_are_written_with_all_places_of_their_currency(minor: int, currency: str, text: str) -> None:
    assert Money(minor, currency).format(grouping=",") == text


@pytest.mark.parametrize("text", ["", "-", "1.", ".5", "1e3", "1,000", "NaN", "1.234", "٣", "1_0", "--1", "9" * 41])
def test_text_that_is_no_plain_amount_is_refused(text: str) -> None:
    with pytest.raises(MoneyInvalid):
        Money.parse(text, "USD")


def test_more_places_than_the_currency_has_are_refused_and_not_rounded() -> None:
    with pytest.raises(MoneyInvalid, match="at most 0 places"):
        Money.parse("10.5", "JPY")


@pytest.mark.parametrize("currency", ["usd", "", "XXX", "UGX", "BTC"])
def test_a_currency_outside_our_table_is_refused(currency: str) -> None:
    with pytest.raises(MoneyInvalid):
        Money(1, currency)


def test_two_currencies_are_never_added_or_compared() -> None:
    with pytest.raises(MoneyInvalid):
        Money(1, "USD") + Money(1, "EUR")
    with pytest.raises(MoneyInvalid):
        assert Money(1, "USD") < Money(1, "EUR")


@pytest.mark.parametrize("minor", [MINOR_MAX + 1, True, Decimal(1)])
def test_an_amount_is_a_whole_number_that_the_database_can_hold(minor: int) -> None:
    with pytest.raises(MoneyInvalid):
        Money(minor, "USD")


@given(minors, minors)
def test_sums_and_differences_undo_each_other(left: int, right: int) -> None:
    assert Money(left, "USD") + Money(right, "USD") - Money(right, "USD") == Money(left, "USD")
    assert Money.zero("USD") - (-Money(left, "USD")) == Money(left, "USD")


weights = st.lists(st.integers(0, 10**9) | st.fractions(0, 1000), min_size=1, max_size=40).filter(any)


@given(minors, weights)
def test_parts_sum_to_the_whole_within_one_and_keep_its_sign(total: int, parts_of: list[Fraction]) -> None:
    parts = allocate(total, parts_of)
    whole = sum(map(Fraction, parts_of))
    assert sum(parts) == total
    for part, weight in zip(parts, parts_of, strict=True):
        assert abs(part - total * Fraction(weight) / whole) < 1
        assert part * total >= 0
        assert weight or part == 0


@given(minors, st.lists(st.integers(0, 100), min_size=1, max_size=12).filter(any), st.randoms(use_true_random=False))
def test_the_same_ids_get_the_same_parts_in_any_order(total: int, parts_of: list[int], random: object) -> None:
    by_id = dict(enumerate(parts_of))
    shuffled = list(by_id)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    ordered = sorted(shuffled)
    assert dict(zip(ordered, allocate(total, [by_id[key] for key in ordered]), strict=True)) == dict(
        zip(by_id, allocate(total, parts_of), strict=True)
    )


def test_ties_go_to_the_earlier_part() -> None:
    assert allocate(100, [1, 1, 1]) == [34, 33, 33]
    assert allocate(-100, [1, 1, 1]) == [-34, -33, -33]
    assert [str(part) for part in Money(5, "USD").allocate([1, 0, 1])] == ["0.03 USD", "0.00 USD", "0.02 USD"]


def test_eighty_one_equal_lines_do_not_drift() -> None:
    """useautumn/autumn#3407: 81 rounded lines drifted two cents."""
    parts = allocate(10_000, [1] * 81)
    assert sum(parts) == 10_000 and max(parts) - min(parts) == 1


@pytest.mark.parametrize("parts_of", [[], [0, 0], [1, -1], [-1, 3]])
def test_weights_that_cannot_split_are_refused(parts_of: list[int]) -> None:
    with pytest.raises(MoneyInvalid):
        allocate(10, parts_of)


def test_exact_arithmetic_raises_instead_of_rounding() -> None:
    with pytest.raises(Inexact):
        EXACT.divide(Decimal(1), Decimal(3))


@given(st.integers(-(10**20), 10**20), st.integers(0, 12))
def test_shown_decimals_have_no_exponent_and_keep_their_value(digits: int, places: int) -> None:
    value = Decimal(digits).scaleb(-places, EXACT)
    shown = decimal_show(value)
    assert Decimal(shown) == value and "E" not in shown
    assert decimal_places(value) == len(shown.partition(".")[2])


def test_a_tiny_price_is_shown_in_plain_digits() -> None:
    assert decimal_show(Decimal("1E-12")) == "0.000000000001"
    assert decimal_show(Decimal("-0.00")) == "0"
    assert decimal_places(Decimal("0.1234567890120000000000000000000000000000001")) == 43
