"""Rating: the prices of a plan, the quantities of a period, and how much of the period is covered → priced lines.

Each line carries an explanation from which anybody can compute its amount again (``rating_recompute``). Selling rules that
look across lines (discount, minimum, credit, tax) are not here; they adjust a Rating afterwards.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from fractions import Fraction
from typing import Any

from billing.core.currencies import currency_exponent
from billing.core.errors import CoreError, ExplanationInvalid, QuantityInvalid
from billing.core.money import EXACT, MINOR_MAX, decimal_show, round_half_up
from billing.core.periods import Period
from billing.core.pricing import PriceSpec, RatedPart, price, spec_shorten
from billing.core.pricing.parts import quantity_read

EXPLANATION_VERSION = 1
PRICES_MAX = 100
"""The most prices of one plan."""

WHOLE = Fraction(1)
_FRACTION = re.compile(r"[0-9]{1,12}(/[0-9]{1,12})?")


@dataclass(frozen=True, slots=True)
class PlanPrice:
    """One price of a plan: its stable id, the name that the line shows, its spec, and its meter's key (flat: None)."""

    id: str
    name: str
    spec: PriceSpec
    meter: str | None = None


@dataclass(frozen=True, slots=True)
class RatedLine:
    """One future invoice line. ``amount_minor`` was rounded once.

    ``unit_price`` times ``quantity`` (times the proration of a fee) is the exact amount; None when tiers, included units or
    packages made it: then the parts say it.
    """

    price_id: str
    name: str
    meter: str | None
    quantity: Decimal
    unit_price: Decimal | None
    amount_minor: int
    parts: tuple[RatedPart, ...]
    explanation: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Rating:
    """The lines of one plan for one period, in the order of the prices; ``total_minor`` is their exact sum."""

    currency: str
    lines: tuple[RatedLine, ...]

    @property
    def total_minor(self) -> int:
        """The sum of the rounded lines."""
        return sum(line.amount_minor for line in self.lines)


def rate(
    *,
    prices: Sequence[PlanPrice],
    quantities: Mapping[str, int | Decimal],
    currency: str,
    period: Period,
    proration: Fraction = WHOLE,
) -> Rating:
    """Price every line of a plan. A metered price whose meter is not in ``quantities`` is rated at zero usage.

    ``period`` is what is billed; ``proration`` is which part of a full billing period that is
    (``period.fraction_of(cycle.containing(...))``), above 0 and at most 1. Raises QuantityInvalid, MoneyInvalid.
    """
    _proration_check(proration)
    if len(prices) > PRICES_MAX:
        raise QuantityInvalid(f"a plan has at most {PRICES_MAX} prices")
    exponent = currency_exponent(currency)
    lines = []
    for plan_price in prices:
        metered = plan_price.meter is not None
        quantity = quantity_read(quantities.get(plan_price.meter or "", 0) if metered else 1)
        lines.append(
            _line(plan_price, quantity, proration, exponent, {"currency": currency, "period": period.to_dict()})
        )
    return Rating(currency, tuple(lines))


def rate_late(
    *,
    plan_price: PlanPrice,
    before: int | Decimal,
    after: int | Decimal,
    currency: str,
    period: Period,
    proration: Fraction = WHOLE,
) -> RatedLine:
    """Price usage of an already invoiced period that turned out different: what it costs now minus what was billed.

    The tiers are walked afresh over ``after``, so that invoice and correction together are what one invoice would have
    been, to the minor unit. The line's quantity and amount are negative when less was used. Raises QuantityInvalid.
    """
    context = {"currency": currency, "period": period.to_dict()}
    exponent = currency_exponent(currency)
    billed = _line(plan_price, quantity_read(before), proration, exponent, context)
    line = _line(plan_price, quantity_read(after), proration, exponent, context)
    amount_minor = line.amount_minor - billed.amount_minor
    explanation = {
        **line.explanation,
        "quantity_before": decimal_show(billed.quantity),
        "amount_minor": amount_minor,
    }
    quantity = EXACT.subtract(line.quantity, billed.quantity)
    return replace(line, quantity=quantity, unit_price=None, amount_minor=amount_minor, explanation=explanation)


def rating_recompute(explanation: Mapping[str, Any]) -> int:
    """Compute a line's amount in minor units again from its explanation's price, quantity and proration alone.

    Neither the stored parts nor the stored amount are read. Raises ExplanationInvalid when a part is missing or malformed.
    """
    if explanation.get("version") != EXPLANATION_VERSION:
        raise ExplanationInvalid(f"this program reads explanations of version {EXPLANATION_VERSION}")
    try:
        now = _recompute(explanation, explanation["quantity"])
        return (
            now - _recompute(explanation, explanation["quantity_before"]) if "quantity_before" in explanation else now
        )
    except CoreError as problem:
        raise ExplanationInvalid(str(problem)) from problem
    except (KeyError, ValueError, TypeError, ZeroDivisionError) as problem:
        raise ExplanationInvalid(f"a part is missing or malformed: {problem}") from problem


def _recompute(explanation: Mapping[str, Any], quantity: Any) -> int:
    spec = PriceSpec.from_dict(explanation["price"])
    proration = _proration_read(explanation["proration"])
    parts = price(spec_shorten(spec, proration), quantity_read(str(quantity)))
    return _amount_minor(_exact(spec, parts, proration), currency_exponent(explanation["currency"]))


def _proration_read(text: Any) -> Fraction:
    if not isinstance(text, str) or not _FRACTION.fullmatch(text):
        raise ExplanationInvalid("a proration is a fraction such as 17/31")
    return _proration_check(Fraction(text))


def _proration_check(proration: Fraction) -> Fraction:
    if not 0 < proration <= 1:
        raise QuantityInvalid("a proration is above 0 and at most 1")
    return proration


def _line(
    plan_price: PlanPrice, quantity: Decimal, proration: Fraction, exponent: int, context: dict[str, Any]
) -> RatedLine:
    spec = plan_price.spec
    parts = price(spec_shorten(spec, proration), quantity)
    exact = _exact(spec, parts, proration)
    amount_minor = _amount_minor(exact, exponent)
    explanation = {
        "version": EXPLANATION_VERSION,
        "price_id": plan_price.id,
        "name": plan_price.name,
        "meter": plan_price.meter,
        "price": spec.to_dict(),
        "quantity": decimal_show(quantity),
        "proration": str(proration),
        "parts": [part.explanation for part in parts],
        "amount_exact": str(exact),
        "rounding": "half_up",
        "amount_minor": amount_minor,
        **context,
    }
    is_simple = len(parts) == 1 and parts[0].quantity == quantity
    unit_price = parts[0].unit_price if is_simple else None
    return RatedLine(
        price_id=plan_price.id,
        name=plan_price.name,
        meter=plan_price.meter,
        quantity=quantity,
        unit_price=unit_price,
        amount_minor=amount_minor,
        parts=tuple(parts),
        explanation=explanation,
    )


def _exact(spec: PriceSpec, parts: Sequence[RatedPart], proration: Fraction) -> Fraction:
    total = Decimal(0)
    for part in parts:
        total = EXACT.add(total, part.amount)
    return Fraction(total) * (WHOLE if spec.kind.is_metered else proration)


def _amount_minor(exact: Fraction, exponent: int) -> int:
    minor = round_half_up(exact * 10**exponent)
    if minor > MINOR_MAX:
        raise QuantityInvalid("this quantity at this price is more than an invoice can hold")
    return minor
