"""billing.core.rating and recompute: lines round once, sum to the total, and can be computed again by anybody."""

import copy
import json
import subprocess
import sys
from datetime import UTC, datetime
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.core.errors import ExplanationInvalid, MoneyInvalid, QuantityInvalid
from billing.core.money import allocate, round_half_up
from billing.core.periods import Period, calendar_month
from billing.core.pricing import PriceKind, PriceSpec, Tier, price
from billing.core.rating import PlanPrice, Rating, rate, rate_late, rating_recompute
from billing.core.recompute import EXIT_DIFFERENT, EXIT_SAME, EXIT_UNREADABLE
from tests.billing.core.prices import amounts, included, quantities, specs

ROOT = Path(__file__).resolve().parents[3]
MONTH = calendar_month(datetime(2026, 10, 15, tzinfo=UTC), "Asia/Shanghai")
METERED = PriceSpec(
    PriceKind.INCLUDED, tiers=(Tier(10_000, Decimal("0.0004")), Tier(None, Decimal("0.00025"))), included_units=1000
)
PRO = (
    PlanPrice("prc_fee", "Monthly fee", PriceSpec(PriceKind.FLAT, Decimal(49))),
    PlanPrice("prc_calls", "Calls", METERED, "calls"),
)
prorations = st.fractions(0, 1, max_denominator=744).filter(bool) | st.just(Fraction(1))
currencies = st.sampled_from(["USD", "JPY", "KWD", "ISK", "CNY"])


@st.composite
def plans(draw: st.DrawFn) -> tuple[list[PlanPrice], dict[str, int]]:
    """Draw a plan of up to five prices, with the usage of its meters."""
    drawn = draw(st.lists(specs, min_size=1, max_size=5))
    prices = [
        PlanPrice(f"prc_{place}", f"Price {place}", spec, f"meter_{place}" if spec.kind.is_metered else None)
        for place, spec in enumerate(drawn)
    ]
    return prices, {entry.meter: draw(quantities) for entry in prices if entry.meter}


def line_alone(spec: PriceSpec, quantity: int, *, currency: str = "USD", proration: Fraction = Fraction(1)) -> Any:
    meter = "m" if spec.kind.is_metered else None
    prices = [PlanPrice("prc", "Price", spec, meter)]
    return rate(prices=prices, quantities={"m": quantity}, currency=currency, period=MONTH, proration=proration).lines[
        0
    ]


@given(plans(), currencies, prorations)
def test_every_line_computes_again_from_its_stored_explanation(plan: Any, currency: str, proration: Fraction) -> None:
    prices, used = plan
    rating = rate(prices=prices, quantities=used, currency=currency, period=MONTH, proration=proration)
    for line in rating.lines:
        stored = json.loads(json.dumps(line.explanation))
        assert stored == line.explanation
        assert rating_recompute(stored) == line.amount_minor == stored["amount_minor"]
    assert rating.total_minor == sum(line.amount_minor for line in rating.lines)


@given(plans(), st.randoms(use_true_random=False))
def test_the_order_of_prices_changes_no_amount(plan: Any, random: Any) -> None:
    prices, used = plan
    first = rate(prices=prices, quantities=used, currency="USD", period=MONTH)
    shuffled = random.sample(prices, len(prices))
    again = rate(prices=shuffled, quantities=used, currency="USD", period=MONTH)
    assert {line.price_id: line.amount_minor for line in first.lines} == {
        line.price_id: line.amount_minor for line in again.lines
    }
    assert first.total_minor == again.total_minor >= 0


@given(specs, quantities, currencies)
def test_a_line_is_rounded_once_from_the_exact_sum_of_its_parts(spec: PriceSpec, quantity: int, currency: str) -> None:
    exact = sum((Fraction(part.amount) for part in price(spec, quantity if spec.kind.is_metered else 1)), Fraction(0))
    line = line_alone(spec, quantity, currency=currency)
    places = {"USD": 2, "JPY": 0, "KWD": 3, "ISK": 0, "CNY": 2}[currency]
    assert line.amount_minor == round_half_up(exact * 10**places)
    assert Fraction(line.explanation["amount_exact"]) == exact


@given(amounts, st.fractions(0, 1, max_denominator=744).filter(lambda share: 0 < share < 1))
def test_two_halves_of_a_fee_are_within_one_minor_unit_of_the_whole_and_exact_by_allocation(
    fee: Decimal, share: Fraction
) -> None:
    spec = PriceSpec(PriceKind.FLAT, fee)
    whole = line_alone(spec, 1).amount_minor
    halves = [line_alone(spec, 1, proration=part).amount_minor for part in (share, 1 - share)]
    assert abs(sum(halves) - whole) <= 1
    allocated = allocate(whole, [share, 1 - share])
    assert sum(allocated) == whole
    assert all(abs(half - part) <= 1 for half, part in zip(halves, allocated, strict=True))


@given(included, quantities, quantities, prorations)
def test_a_correction_and_its_invoice_are_together_what_one_invoice_would_have_been(
    spec: PriceSpec, before: int, after: int, proration: Fraction
) -> None:
    entry = PlanPrice("prc", "Calls", spec, "m")
    late = rate_late(plan_price=entry, before=before, after=after, currency="USD", period=MONTH, proration=proration)
    billed = line_alone(spec, before, proration=proration).amount_minor
    assert billed + late.amount_minor == line_alone(spec, after, proration=proration).amount_minor
    assert late.quantity == after - before
    assert rating_recompute(json.loads(json.dumps(late.explanation))) == late.amount_minor


def test_a_month_of_the_pro_plan_reads_as_on_the_invoice() -> None:
    rating = rate(prices=PRO, quantities={"calls": 21_000}, currency="USD", period=MONTH)
    fee, calls = rating.lines
    assert (fee.amount_minor, fee.quantity, fee.unit_price) == (4900, 1, 49)
    assert [str(part.quantity) for part in calls.parts] == ["1000", "10000", "10000"]
    assert calls.amount_minor == 650 and calls.unit_price is None
    assert rating.total_minor == 5550


def test_a_price_that_does_not_fit_cents_is_billed_and_not_parked() -> None:
    """killbill/killbill#1124: a price of 0.067 times 55 parked the account."""
    line = line_alone(PriceSpec(PriceKind.PER_UNIT, Decimal("0.067")), 55)
    assert line.amount_minor == 369 and line.explanation["amount_exact"] == "737/200"


def test_quantity_and_unit_price_stay_on_the_line_when_the_amount_does_not_fit_cents() -> None:
    """openmeterio/openmeter#1978: such lines lost quantity and unit price."""
    line = line_alone(PriceSpec(PriceKind.PER_UNIT, Decimal("0.000000000123")), 7_000_001)
    assert (line.quantity, line.unit_price, line.amount_minor) == (7_000_001, Decimal("0.000000000123"), 0)


def test_half_a_period_costs_half_the_fee_and_includes_half_the_units() -> None:
    rating = rate(prices=PRO, quantities={"calls": 600}, currency="USD", period=MONTH, proration=Fraction(1, 2))
    assert [line.amount_minor for line in rating.lines] == [2450, 4]
    assert rating.lines[1].parts[0].quantity == 500


def test_a_meter_without_usage_is_rated_at_zero() -> None:
    assert rate(prices=PRO, quantities={}, currency="USD", period=MONTH).lines[1].amount_minor == 0


def test_ratings_out_of_range_are_refused() -> None:
    for proration in (Fraction(0), Fraction(-1, 2), Fraction(3, 2)):
        with pytest.raises(QuantityInvalid):
            rate(prices=PRO, quantities={}, currency="USD", period=MONTH, proration=proration)
    with pytest.raises(MoneyInvalid):
        rate(prices=PRO, quantities={}, currency="usd", period=MONTH)
    with pytest.raises(QuantityInvalid, match="at most 100"):
        rate(prices=PRO * 51, quantities={}, currency="USD", period=MONTH)
    with pytest.raises(QuantityInvalid, match="more than an invoice"):
        line_alone(PriceSpec(PriceKind.PER_UNIT, Decimal(10**11)), 10**15)


@pytest.mark.parametrize(
    "change",
    [
        {"version": 2},
        {"price": {"kind": "per_unit", "unit_amount": 1.5}},
        {"price": None},
        {"quantity": "-1"},
        {"quantity": None},
        {"quantity_before": "many"},
        {"proration": "1/0"},
        {"proration": "2"},
        {"proration": "9" * 5000},
        {"proration": 1},
        {"currency": "usd"},
        {"currency": ["USD"]},
    ],
)
def test_a_damaged_explanation_is_refused_and_not_guessed(change: dict[str, Any]) -> None:
    explanation = line_alone(METERED, 2000).explanation
    with pytest.raises(ExplanationInvalid):
        rating_recompute({**explanation, **change})


@pytest.mark.parametrize("missing", ["version", "price", "quantity", "proration", "currency"])
def test_an_explanation_without_a_needed_part_is_refused(missing: str) -> None:
    explanation = line_alone(METERED, 2000).explanation
    with pytest.raises(ExplanationInvalid):
        rating_recompute({name: part for name, part in explanation.items() if name != missing})


def invoice_of(rating: Rating) -> dict[str, Any]:
    lines: list[dict[str, Any]] = [
        {"amount_minor": line.amount_minor, "explanation": line.explanation} for line in rating.lines
    ]
    lines[1]["hours"] = [["2026-10-01T00:00:00Z", 20_000], ["2026-10-01T01:00:00Z", 1000]]
    return {"number": "INV-2026-000001", "currency": "USD", "total_minor": rating.total_minor, "lines": lines}


def recompute(path: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "billing.core.recompute", str(path)]
    return subprocess.run(command, cwd=ROOT, env={}, capture_output=True, text=True, check=False, timeout=60)


def test_anybody_can_recompute_an_invoice_offline_with_python_alone(tmp_path: Path) -> None:
    path = tmp_path / "invoice.json"
    path.write_text(
        json.dumps(invoice_of(rate(prices=PRO, quantities={"calls": 21_000}, currency="USD", period=MONTH)))
    )
    outcome = recompute(path)
    assert outcome.returncode == EXIT_SAME, outcome.stderr
    assert "ok: Calls: stated 6.50 USD, computed 6.50 USD" in outcome.stdout
    assert "ok: total: stated 55.50 USD" in outcome.stdout


@pytest.mark.parametrize(
    ("damage", "exit_code", "says"),
    [
        (lambda invoice: invoice["lines"][1].update(amount_minor=651), EXIT_DIFFERENT, "another amount: Calls"),
        (lambda invoice: invoice.update(total_minor=1), EXIT_DIFFERENT, "another total"),
        (lambda invoice: invoice["lines"][1]["hours"].pop(), EXIT_DIFFERENT, "another quantity: Calls"),
        (
            lambda invoice: invoice["lines"][1]["explanation"].update(quantity="20999"),
            EXIT_DIFFERENT,
            "another quantity",
        ),
        (lambda invoice: invoice.update(currency="EUR"), EXIT_DIFFERENT, "another currency"),
        (lambda invoice: invoice.pop("lines"), EXIT_UNREADABLE, "no lines"),
        (lambda invoice: invoice["lines"].append(5), EXIT_UNREADABLE, "no explanation"),
        (lambda invoice: invoice["lines"][1].update(hours=[[1]]), EXIT_UNREADABLE, "hours are a list"),
        (lambda invoice: invoice["lines"][0].update(amount_minor="12"), EXIT_UNREADABLE, "not a whole number"),
    ],
)
def test_a_changed_invoice_is_found_out(
    damage: Any, exit_code: int, says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from billing.core.recompute import main

    rating = rate(prices=PRO, quantities={"calls": 21_000}, currency="USD", period=MONTH)
    invoice = copy.deepcopy(invoice_of(rating))
    damage(invoice)
    path = tmp_path / "invoice.json"
    path.write_text(json.dumps(invoice))
    assert main([str(path)], sys.stdout, sys.stderr) == exit_code
    printed = capsys.readouterr()
    assert says in printed.out + printed.err


@pytest.mark.parametrize("text", ["", "{", "[]", "7", "[" * 100_000, "\ud800"])
def test_a_file_that_is_no_invoice_is_refused_with_a_reason(text: str, tmp_path: Path) -> None:
    from billing.core.recompute import main

    path = tmp_path / "invoice.json"
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    assert main([str(path)], sys.stdout, sys.stderr) == EXIT_UNREADABLE
    assert main([str(tmp_path / "absent.json")], sys.stdout, sys.stderr) == EXIT_UNREADABLE
    assert main([], sys.stdout, sys.stderr) == EXIT_UNREADABLE


def test_the_two_halves_of_a_month_with_a_plan_change_partition_its_time() -> None:
    before, after = MONTH.split(datetime(2026, 10, 20, 7, tzinfo=UTC))
    assert isinstance(before, Period)
    total = sum(
        rate(prices=PRO[:1], quantities={}, currency="USD", period=half, proration=half.fraction_of(MONTH)).total_minor
        for half in (before, after)
    )
    assert abs(total - 4900) <= 1
