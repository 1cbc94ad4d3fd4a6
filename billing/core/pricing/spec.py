"""PriceSpec: what one price says, as a value. Checked whole on creation: every problem is reported, not the first.

Amounts are ``Decimal`` in major units of the plan's currency, with at most 12 places; quantities are counted in units of
the price's meter. The arithmetic is next door, one file a kind.
"""

import re
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Any

from billing.core.errors import PriceInvalid, Problem
from billing.core.money import decimal_places, decimal_show

UNIT_AMOUNT_PLACES_MAX = 12
UNIT_AMOUNT_MAX = Decimal(10) ** 12
"""Below one million million major units; 12 places like Stripe's ``unit_amount_decimal``."""

TIERS_MAX = 50
UNITS_MAX = 10**15
"""The largest tier bound, included quantity or package size, in units."""

_DECIMAL = re.compile(r"[0-9]{1,40}(\.[0-9]{1,40})?")


class PriceKind(StrEnum):
    """How a price turns a quantity into an amount."""

    FLAT = "flat"
    PER_UNIT = "per_unit"
    GRADUATED = "graduated"
    VOLUME = "volume"
    PACKAGE = "package"
    INCLUDED = "included"

    @property
    def is_metered(self) -> bool:
        """True when the price needs a meter; only a flat fee does not."""
        return self is not PriceKind.FLAT


TIERED = (PriceKind.GRADUATED, PriceKind.VOLUME)


@dataclass(frozen=True, slots=True)
class Tier:
    """One step of a price, up to ``up_to`` units inclusive (None: without end). ``flat_amount`` is due once it is reached."""

    up_to: int | None
    unit_amount: Decimal
    flat_amount: Decimal = Decimal(0)

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-safe values; decimals as text."""
        return {
            "up_to": self.up_to,
            "unit_amount": decimal_show(self.unit_amount),
            "flat_amount": decimal_show(self.flat_amount),
        }


@dataclass(frozen=True, slots=True)
class PriceSpec:
    """One price. Raises PriceInvalid with all problems when the parts do not fit the kind.

    - flat: ``unit_amount`` once per period, shortened with the period.
    - per_unit: ``unit_amount`` for each unit.
    - graduated: each unit at the price of the tier it falls in.        volume: all units at the price of the tier reached.
    - package: ``unit_amount`` for each begun block of ``package_size`` units.
    - included: the first ``included_units`` are free (fewer, rounded up, in a shortened period); units beyond them cost
      ``unit_amount`` each, or follow ``tiers``, which count from the first unit beyond.
    """

    kind: PriceKind
    unit_amount: Decimal = Decimal(0)
    tiers: tuple[Tier, ...] = ()
    included_units: int = 0
    package_size: int = 1

    def __post_init__(self) -> None:
        problems = [
            *_amount_problems("unit_amount", self.unit_amount),
            *_fit_problems(self),
            *_tier_problems(self.tiers),
        ]
        if problems:
            raise PriceInvalid(problems)

    @property
    def is_free(self) -> bool:
        """True when it is zero for every quantity."""
        return self.unit_amount == 0 and all(tier.unit_amount == 0 and tier.flat_amount == 0 for tier in self.tiers)

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-safe values that ``from_dict`` reads back to an equal spec."""
        shown: dict[str, Any] = {"kind": self.kind.value}
        if self.tiers:
            shown["tiers"] = [tier.to_dict() for tier in self.tiers]
        else:
            shown["unit_amount"] = decimal_show(self.unit_amount)
        if self.kind is PriceKind.INCLUDED:
            shown["included_units"] = self.included_units
        if self.kind is PriceKind.PACKAGE:
            shown["package_size"] = self.package_size
        return shown

    @classmethod
    def from_dict(cls, value: Any) -> "PriceSpec":
        """Read what ``to_dict`` wrote, or a form's or API's values. Raises PriceInvalid with every problem found."""
        problems: list[Problem] = []
        if not isinstance(value, dict):
            raise PriceInvalid([Problem("", "type", "a price is an object with a kind")])
        known = {"kind", "unit_amount", "tiers", "included_units", "package_size"}
        problems += [Problem(str(name), "unknown", "no such part of a price") for name in value if name not in known]
        kind = value.get("kind")
        if kind not in list(PriceKind):
            problems.append(Problem("kind", "choice", f"choose one of {', '.join(PriceKind)}"))
        amount = _decimal_read("unit_amount", value.get("unit_amount", "0"), problems)
        tiers = _tiers_read(value.get("tiers", []), problems)
        included = _whole_read("included_units", value.get("included_units", 0), problems)
        size = _whole_read("package_size", value.get("package_size", 1), problems)
        if problems:
            raise PriceInvalid(problems)
        return cls(PriceKind(str(kind)), amount, tiers, included, size)


def _decimal_read(field: str, value: Any, problems: list[Problem]) -> Decimal:
    text = value if isinstance(value, str) else f"{value:f}" if isinstance(value, Decimal) else None
    if type(value) is int:
        text = str(value)
    if text is None or not _DECIMAL.fullmatch(text):
        problems.append(Problem(field, "decimal", "write an amount as text with digits and a point, such as 0.0004"))
        return Decimal(0)
    return Decimal(text)


def _whole_read(field: str, value: Any, problems: list[Problem]) -> int:
    if type(value) is int:
        return value
    if isinstance(value, str) and re.fullmatch(r"[0-9]{1,16}", value):
        return int(value)
    problems.append(Problem(field, "whole", "write a whole number of units"))
    return 1


def _tiers_read(value: Any, problems: list[Problem]) -> tuple[Tier, ...]:
    if not isinstance(value, list | tuple) or len(value) > TIERS_MAX:
        problems.append(Problem("tiers", "list", f"give a list of at most {TIERS_MAX} tiers"))
        return ()
    tiers = []
    for place, item in enumerate(value):
        field = f"tiers[{place}]"
        if not isinstance(item, dict):
            problems.append(Problem(field, "type", "a tier is an object with up_to and unit_amount"))
            continue
        unknown = sorted(str(name) for name in item if name not in ("up_to", "unit_amount", "flat_amount"))
        problems.extend(Problem(f"{field}.{name}", "unknown", "no such part of a tier") for name in unknown)
        up_to = item.get("up_to")
        bound = None if up_to in (None, "") else _whole_read(f"{field}.up_to", up_to, problems)
        unit = _decimal_read(f"{field}.unit_amount", item.get("unit_amount", "0"), problems)
        flat = _decimal_read(f"{field}.flat_amount", item.get("flat_amount", "0"), problems)
        tiers.append(Tier(bound, unit, flat))
    return tuple(tiers)


def _amount_problems(field: str, amount: Decimal) -> list[Problem]:
    if not isinstance(amount, Decimal) or not amount.is_finite():
        return [Problem(field, "decimal", "an amount is a finite decimal")]
    if amount < 0:
        return [Problem(field, "negative", "a price is not below zero")]
    if amount >= UNIT_AMOUNT_MAX:
        return [Problem(field, "large", f"a price is below {UNIT_AMOUNT_MAX:f}")]
    if decimal_places(amount) > UNIT_AMOUNT_PLACES_MAX:
        return [Problem(field, "places", f"a price has at most {UNIT_AMOUNT_PLACES_MAX} places after the point")]
    return []


def _fit_problems(spec: PriceSpec) -> list[Problem]:
    kind, problems = spec.kind, []
    if kind in TIERED and not spec.tiers:
        problems.append(Problem("tiers", "required", f"a {kind} price needs at least one tier"))
    if spec.tiers and kind not in (*TIERED, PriceKind.INCLUDED):
        problems.append(Problem("tiers", "unused", f"a {kind} price has no tiers"))
    if spec.tiers and spec.unit_amount:
        problems.append(Problem("unit_amount", "unused", "a price has tiers or a unit amount, not both"))
    if kind is PriceKind.INCLUDED and not 1 <= spec.included_units <= UNITS_MAX:
        problems.append(Problem("included_units", "range", f"include 1 to {UNITS_MAX} units"))
    if kind is not PriceKind.INCLUDED and spec.included_units:
        problems.append(Problem("included_units", "unused", f"a {kind} price includes no units"))
    if kind is PriceKind.PACKAGE and not 1 <= spec.package_size <= UNITS_MAX:
        problems.append(Problem("package_size", "range", f"a package has 1 to {UNITS_MAX} units"))
    if kind is not PriceKind.PACKAGE and spec.package_size != 1:
        problems.append(Problem("package_size", "unused", f"a {kind} price has no packages"))
    return problems


def _tier_problems(tiers: tuple[Tier, ...]) -> list[Problem]:
    problems, floor = [], 0
    if len(tiers) > TIERS_MAX:
        problems.append(Problem("tiers", "list", f"give at most {TIERS_MAX} tiers"))
    for place, tier in enumerate(tiers):
        field, is_last = f"tiers[{place}]", place == len(tiers) - 1
        problems += _amount_problems(f"{field}.unit_amount", tier.unit_amount)
        problems += _amount_problems(f"{field}.flat_amount", tier.flat_amount)
        if is_last and tier.up_to is not None:
            problems.append(
                Problem(f"{field}.up_to", "open", "leave the last tier open, so that every quantity has a price")
            )
        if not is_last and tier.up_to is None:
            problems.append(Problem(f"{field}.up_to", "endless", "only the last tier is without end"))
        if tier.up_to is not None and not floor < tier.up_to <= UNITS_MAX:
            problems.append(
                Problem(f"{field}.up_to", "order", f"end this tier above {floor} and at most at {UNITS_MAX}")
            )
        floor = tier.up_to if tier.up_to is not None else floor
    return problems
