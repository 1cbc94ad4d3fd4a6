"""The registry of price models: kind to pricer, one pricer a file. Adding a model is a file, a row here and a kind."""

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction

from billing.core.pricing.flat import price_flat
from billing.core.pricing.graduated import price_graduated
from billing.core.pricing.included import price_included
from billing.core.pricing.package import price_package
from billing.core.pricing.parts import TEXTS, RatedPart, quantity_read
from billing.core.pricing.per_unit import price_per_unit
from billing.core.pricing.spec import PriceKind, PriceSpec, Tier
from billing.core.pricing.volume import price_volume

__all__ = ["PRICERS", "TEXTS", "PriceKind", "PriceSpec", "RatedPart", "Tier", "price", "spec_shorten"]

Pricer = Callable[[PriceSpec, Decimal], list[RatedPart]]

PRICERS: dict[PriceKind, Pricer] = {
    PriceKind.FLAT: price_flat,
    PriceKind.PER_UNIT: price_per_unit,
    PriceKind.GRADUATED: price_graduated,
    PriceKind.VOLUME: price_volume,
    PriceKind.PACKAGE: price_package,
    PriceKind.INCLUDED: price_included,
}


def price(spec: PriceSpec, quantity: int | Decimal | str) -> list[RatedPart]:
    """Turn a quantity into exact, explained parts. Raises QuantityInvalid."""
    return PRICERS[spec.kind](spec, quantity_read(quantity))


def spec_shorten(spec: PriceSpec, proration: Fraction) -> PriceSpec:
    """Return the spec as it holds for part of a period: included units shrink, rounded up in the subscriber's favour.

    Tier bounds do not shrink, and flat fees shrink later, on the line, where the one rounding is.
    """
    if spec.kind is not PriceKind.INCLUDED or proration == 1:
        return spec
    exact = spec.included_units * proration
    return replace(spec, included_units=max(1, -(-exact.numerator // exact.denominator)))
