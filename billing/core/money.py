"""Money: whole minor units of one currency, and the only two ways to lose precision: round once, or split exactly.

Rounding is half up, away from zero, and happens once per invoice line (as the EN 16931 checks do). Unit prices and unrounded
amounts are ``Decimal`` in MAJOR units (0.0004 is 0.04 US cents); they never pass through a rounding context.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Context, Decimal, DivisionByZero, Inexact, InvalidOperation, Overflow
from fractions import Fraction
from typing import Self

from billing.core.currencies import currency_exponent
from billing.core.errors import MoneyInvalid

EXACT = Context(prec=120, traps=[Inexact, InvalidOperation, DivisionByZero, Overflow])
"""Decimal arithmetic that raises instead of rounding: wide enough for QUANTITY_MAX times any price over all tiers."""

MINOR_MAX = 2**63 - 1
"""The largest amount, in minor units: what a PostgreSQL bigint holds."""

PLAIN_LENGTH_MAX = 40
_PLAIN = re.compile(r"(-?)([0-9]+)(?:\.([0-9]+))?")


def round_half_up(value: Decimal | Fraction | int) -> int:
    """Round to a whole number; exact halves go away from zero, so that ``round(-x) == -round(x)``."""
    exact = Fraction(value)
    magnitude = (2 * abs(exact.numerator) + exact.denominator) // (2 * exact.denominator)
    return magnitude if exact >= 0 else -magnitude


def allocate(total: int, weights: Sequence[int | Decimal | Fraction]) -> list[int]:
    """Split ``total`` by weight so that the parts sum to it exactly: largest remainder, ties to the earlier part.

    Each part is within one of its exact share and has the sign of ``total`` or is zero. Callers that need a result which
    does not depend on their order sort by a stable id first. Raises MoneyInvalid when there is no positive weight.
    """
    shares = [Fraction(weight) for weight in weights]
    whole = sum(shares, Fraction(0))
    if whole <= 0 or any(share < 0 for share in shares):
        raise MoneyInvalid("an amount can be split only by weights that are not negative and not all zero")
    exact = [abs(total) * share / whole for share in shares]
    parts = [share.numerator // share.denominator for share in exact]
    by_remainder = sorted(range(len(exact)), key=lambda place: (parts[place] - exact[place], place))
    for place in by_remainder[: abs(total) - sum(parts)]:
        parts[place] += 1
    return parts if total >= 0 else [-part for part in parts]


@dataclass(frozen=True, slots=True)
class Money:
    """``minor`` whole minor units of ``currency``. Raises MoneyInvalid for an unknown currency or beyond MINOR_MAX."""

    minor: int
    currency: str

    def __post_init__(self) -> None:
        currency_exponent(self.currency)
        if type(self.minor) is not int or abs(self.minor) > MINOR_MAX:
            raise MoneyInvalid("an amount is a whole number of minor units below 2^63")

    @classmethod
    def zero(cls, currency: str) -> Self:
        """Return nothing, in a currency."""
        return cls(0, currency)

    @classmethod
    def rounded(cls, amount: Decimal | Fraction | int, currency: str) -> Self:
        """Round an exact amount in major units to minor units: the one rounding of an invoice line."""
        return cls(round_half_up(Fraction(amount) * 10 ** currency_exponent(currency)), currency)

    @classmethod
    def parse(cls, text: str, currency: str) -> Self:
        """Read plain text such as ``-12.50``. More places than the currency has are refused, never rounded."""
        places = currency_exponent(currency)
        match = _PLAIN.fullmatch(text.strip()) if len(text) <= PLAIN_LENGTH_MAX else None
        if match is None:
            raise MoneyInvalid("write an amount with digits and at most one point, such as 12.50")
        sign, whole, decimals = match[1], match[2], match[3] or ""
        if len(decimals) > places:
            raise MoneyInvalid(f"{currency} amounts have at most {places} places after the point")
        return cls(int(f"{sign}{whole}{decimals.ljust(places, '0')}"), currency)

    def format(self, *, grouping: str = "") -> str:
        """Return plain text with all places of the currency: ``-1234.50``; ``grouping`` parts the thousands."""
        places = currency_exponent(self.currency)
        digits = str(abs(self.minor)).rjust(places + 1, "0")
        whole = f"{int(digits[: len(digits) - places]):,}".replace(",", grouping)
        decimals = f".{digits[len(digits) - places :]}" if places else ""
        return f"{'-' if self.minor < 0 else ''}{whole}{decimals}"

    def amount(self) -> Decimal:
        """Return the exact value in major units."""
        return Decimal(self.minor).scaleb(-currency_exponent(self.currency), EXACT)

    def allocate(self, weights: Sequence[int | Decimal | Fraction]) -> list["Money"]:
        """Split by largest remainder; see ``allocate``."""
        return [Money(part, self.currency) for part in allocate(self.minor, weights)]

    def __str__(self) -> str:
        return f"{self.format()} {self.currency}"

    def __neg__(self) -> "Money":
        return Money(-self.minor, self.currency)

    def __add__(self, other: "Money") -> "Money":
        return Money(self.minor + self._minor_of(other), self.currency)

    def __sub__(self, other: "Money") -> "Money":
        return Money(self.minor - self._minor_of(other), self.currency)

    def __lt__(self, other: "Money") -> bool:
        return self.minor < self._minor_of(other)

    def __le__(self, other: "Money") -> bool:
        return self.minor <= self._minor_of(other)

    def _minor_of(self, other: "Money") -> int:
        if other.currency != self.currency:
            raise MoneyInvalid(f"{self.currency} and {other.currency} cannot be added or compared")
        return other.minor


def decimal_show(value: Decimal) -> str:
    """Return plain digits without an exponent and without trailing zeros: ``1E-7`` becomes ``0.0000001``."""
    text = f"{value:f}"
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return "0" if text in ("-0", "") else text


def decimal_places(value: Decimal) -> int:
    """Return how many places after the point a finite value really uses; trailing zeros do not count."""
    _, digits, exponent = value.as_tuple()
    if not isinstance(exponent, int) or not value:
        return 0
    zeros = len(digits) - len("".join(map(str, digits)).rstrip("0"))
    return max(0, -(exponent + zeros))
