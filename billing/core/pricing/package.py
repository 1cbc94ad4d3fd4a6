"""Package: blocks of units, each begun block paid whole."""

from decimal import Decimal

from billing.core.money import EXACT
from billing.core.pricing.parts import RatedPart, part
from billing.core.pricing.spec import PriceSpec


def price_package(spec: PriceSpec, quantity: Decimal) -> list[RatedPart]:
    """Price the number of begun blocks; no usage, no block."""
    whole, rest = EXACT.divmod(quantity, Decimal(spec.package_size))
    return [part("package", whole + 1 if rest else whole, spec.unit_amount, package_size=spec.package_size)]
