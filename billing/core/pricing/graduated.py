"""Graduated: each unit at the price of the tier it falls in."""

from collections.abc import Sequence
from decimal import Decimal

from billing.core.pricing.parts import RatedPart, part
from billing.core.pricing.spec import PriceSpec, Tier


def price_graduated(spec: PriceSpec, quantity: Decimal) -> list[RatedPart]:
    """Price each tier's units at its own rate."""
    return tiers_price(spec.tiers, quantity)


def tiers_price(tiers: Sequence[Tier], quantity: Decimal, *, offset: int = 0) -> list[RatedPart]:
    """Walk the tiers up to ``quantity``; ``offset`` only moves the unit numbers that the explanation names.

    A tier's flat fee is due once a unit falls in it; that of the first tier is due even at zero usage: being subscribed is
    not free.
    """
    parts, floor = [], Decimal(0)
    for place, tier in enumerate(tiers):
        if quantity <= floor and place > 0:
            break
        first, last = offset + int(floor) + 1, tier.up_to
        units = quantity - floor if last is None else min(quantity, Decimal(last)) - floor
        if last is None:
            parts.append(part("tier_open", units, tier.unit_amount, first=first))
        else:
            parts.append(part("tier", units, tier.unit_amount, first=first, last=offset + last))
            floor = Decimal(last)
        if tier.flat_amount:
            parts.append(part("tier_flat", Decimal(1), tier.flat_amount, first=first))
    return parts
