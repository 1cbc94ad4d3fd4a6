"""Per unit: quantity times unit price."""

from decimal import Decimal

from billing.core.pricing.parts import RatedPart, part
from billing.core.pricing.spec import PriceSpec


def price_per_unit(spec: PriceSpec, quantity: Decimal) -> list[RatedPart]:
    """Price every unit alike."""
    return [part("units", quantity, spec.unit_amount)]
