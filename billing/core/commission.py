"""Commission: one line's net amount = platform fee + provider share, exactly, for sales and for corrections alike."""

from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction

from billing.core.errors import CommissionInvalid
from billing.core.money import decimal_places, round_half_up

COMMISSION_PLACES_MAX = 6
"""Places of a rate: 0.123456 is 12.3456 %."""


@dataclass(frozen=True, slots=True)
class Split:
    """Minor units of one currency; ``fee_minor + share_minor`` is the net that was split."""

    fee_minor: int
    share_minor: int


def commission_check(rate: Decimal) -> Decimal:
    """Return the rate. Raises CommissionInvalid unless it is 0 to 1 with at most COMMISSION_PLACES_MAX places."""
    if not rate.is_finite() or not 0 <= rate <= 1:
        raise CommissionInvalid("a commission is between 0 and 1; 0.15 is 15 %")
    if decimal_places(rate) > COMMISSION_PLACES_MAX:
        raise CommissionInvalid(f"a commission has at most {COMMISSION_PLACES_MAX} places after the point")
    return rate


def commission_split(net_minor: int, rate: Decimal) -> Split:
    """Split one line's net: the fee is rounded half up, the share is the rest. A correction splits as its line did."""
    fee = round_half_up(net_minor * Fraction(commission_check(rate)))
    return Split(fee, net_minor - fee)
