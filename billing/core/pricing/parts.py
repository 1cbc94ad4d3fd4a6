"""RatedPart: one multiplication of a price, exact and explained. What all pricers hand back; no pricing rule lives here."""

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from billing.core.errors import QuantityInvalid
from billing.core.money import EXACT, decimal_places, decimal_show

QUANTITY_MAX = Decimal(10) ** 21
QUANTITY_PLACES_MAX = 12

TEXTS = {
    "flat": "Fee for the period",
    "units": "{quantity} units at {unit_price}",
    "package": "{quantity} packages of {package_size} at {unit_price}",
    "included": "{quantity} of {included_units} units included",
    "tier": "{quantity} units from {first} to {last} at {unit_price}",
    "tier_open": "{quantity} units from {first} on at {unit_price}",
    "tier_flat": "Fee of the tier from unit {first}",
    "volume": "{quantity} units at {unit_price}, the price from {first} units on",
}
"""Text keys of explanations with their English pattern; the portal and the documents translate by key."""


@dataclass(frozen=True, slots=True)
class RatedPart:
    """``quantity`` times ``unit_price`` is ``amount``, unrounded, in major units. ``explanation`` is JSON-safe."""

    quantity: Decimal
    unit_price: Decimal
    amount: Decimal
    explanation: dict[str, Any]


def part(text: str, quantity: Decimal, unit_price: Decimal, **values: Decimal | int) -> RatedPart:
    """Multiply exactly and explain: ``text`` is a key of TEXTS, ``values`` fill its pattern beside the usual ones."""
    amount = EXACT.multiply(quantity, unit_price)
    explanation = {
        "text": text,
        "quantity": decimal_show(quantity),
        "unit_price": decimal_show(unit_price),
        "amount": decimal_show(amount),
        **{name: decimal_show(Decimal(value)) for name, value in values.items()},
    }
    return RatedPart(quantity, unit_price, amount, explanation)


def quantity_read(value: int | Decimal | str) -> Decimal:
    """Return a quantity as Decimal. Raises QuantityInvalid unless finite, not negative, and within the limits."""
    try:
        quantity = Decimal(value)
    except ArithmeticError:
        raise QuantityInvalid(f"{value!r} is not a quantity") from None
    if not quantity.is_finite() or not 0 <= quantity <= QUANTITY_MAX:
        raise QuantityInvalid(f"a quantity is between 0 and {QUANTITY_MAX:f}")
    if decimal_places(quantity) > QUANTITY_PLACES_MAX:
        raise QuantityInvalid(f"a quantity has at most {QUANTITY_PLACES_MAX} places")
    return quantity
