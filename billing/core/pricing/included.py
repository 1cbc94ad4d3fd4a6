"""Included: a quantity that the plan's fee already covers, then overage per unit or by tiers."""

from decimal import Decimal

from billing.core.pricing.graduated import tiers_price
from billing.core.pricing.parts import RatedPart, part
from billing.core.pricing.spec import PriceSpec


def price_included(spec: PriceSpec, quantity: Decimal) -> list[RatedPart]:
    """Price what lies beyond the included units; tiers count from the first unit beyond, and nothing is due below it."""
    covered = min(quantity, Decimal(spec.included_units))
    parts = [part("included", covered, Decimal(0), included_units=spec.included_units)]
    beyond = quantity - covered
    if not beyond:
        return parts
    if spec.tiers:
        return [*parts, *tiers_price(spec.tiers, beyond, offset=spec.included_units)]
    return [*parts, part("tier_open", beyond, spec.unit_amount, first=spec.included_units + 1)]
