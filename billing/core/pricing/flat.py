"""Flat: a fixed fee per period. How a shortened period shortens it is rating's business."""

from decimal import Decimal

from billing.core.pricing.parts import RatedPart, part
from billing.core.pricing.spec import PriceSpec


def price_flat(spec: PriceSpec, quantity: Decimal) -> list[RatedPart]:
    """Price one period; the quantity does not matter."""
    return [part("flat", Decimal(1), spec.unit_amount)]
