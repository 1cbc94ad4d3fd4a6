"""Volume: the whole quantity at the price of the tier it reaches. Jumps at tier edges, and may fall: that is the model."""

from decimal import Decimal

from billing.core.pricing.parts import RatedPart, part
from billing.core.pricing.spec import PriceSpec


def price_volume(spec: PriceSpec, quantity: Decimal) -> list[RatedPart]:
    """Price all units at the reached tier, with its flat fee. Zero usage reaches the first tier and pays its flat fee."""
    floor = 0
    for tier in spec.tiers:
        if tier.up_to is None or quantity <= tier.up_to:
            break
        floor = tier.up_to
    parts = [part("volume", quantity, tier.unit_amount, first=floor + 1)]
    return [*parts, part("tier_flat", Decimal(1), tier.flat_amount, first=floor + 1)] if tier.flat_amount else parts
