"""What people read when billing.core refuses: its codes in the language of the page. The core itself knows no language.

Texts name limits by their constants, so that they stay true.
"""

from decimal import Decimal

from django.utils.translation import gettext as _

from billing.core.currencies import EXPONENTS, currency_exponent
from billing.core.errors import MoneyInvalid, PriceInvalid, Problem
from billing.core.meters import OPERATIONS_MAX, OUTCOME_KINDS, Measure
from billing.core.money import Money, decimal_places
from billing.core.pricing import PriceKind, PriceSpec
from billing.core.pricing.spec import TIERS_MAX, UNIT_AMOUNT_MAX, UNIT_AMOUNT_PLACES_MAX, UNITS_MAX
from billing.errors import Fault, InvalidInput


def price_words(problem: Problem) -> str:
    """Return what is wrong with a part of a price, and what to do."""
    texts = {
        "type": _("Give an object with the parts of a price or tier."),
        "unknown": _("There is no such part of a price or tier."),
        "choice": _("Choose one of: %(choices)s.") % {"choices": ", ".join(PriceKind)},
        "decimal": _("Write an amount as text with digits and a point, such as 0.0004."),
        "whole": _("Write a whole number of units."),
        "list": _("Give a list of at most %(max)d tiers.") % {"max": TIERS_MAX},
        "negative": _("A price is not below zero."),
        "large": _("A price is below %(max)s.") % {"max": f"{UNIT_AMOUNT_MAX:f}"},
        "places": _("A price has at most %(max)d places after the point.") % {"max": UNIT_AMOUNT_PLACES_MAX},
        "required": _("This kind of price needs at least one tier."),
        "unused": _("This kind of price does not have this."),
        "range": _("Give 1 to %(max)d units.") % {"max": UNITS_MAX},
        "open": _("Leave the last tier open, so that every quantity has a price."),
        "endless": _("Say where this tier ends: only the last one is without end."),
        "order": _("End each tier above the one before it, and at most at %(max)d.") % {"max": UNITS_MAX},
    }
    return texts[problem.code]


def price_faults(refused: PriceInvalid, *, pointer: str = "") -> list[Fault]:
    """Return one fault for each problem of a price: ``tiers[1].up_to`` becomes ``<pointer>/tiers/1/up_to``."""
    return [
        Fault(f"{pointer}/{_path(problem.field)}".rstrip("/"), price_words(problem)) for problem in refused.problems
    ]


def fee_faults(spec: PriceSpec, currency: str, *, pointer: str = "") -> list[Fault]:
    """Return what is wrong with a fixed fee in its currency: nobody can be charged a part of its smallest unit."""
    if currency not in EXPONENTS or decimal_places(spec.unit_amount) <= currency_exponent(currency):
        return []
    example = Money.rounded(spec.unit_amount, currency).format()
    text = _("A fee in %(currency)s has at most %(places)d places after the point, such as %(example)s.") % {
        "currency": currency,
        "places": currency_exponent(currency),
        "example": example,
    }
    return [Fault(f"{pointer}/unit_amount", text)]


def meter_words() -> str:
    """Return what a meter must be."""
    return _(
        "A meter measures one of %(measures)s, counts at least one outcome of %(outcomes)s, and lists at most %(max)d operations."
    ) % {"measures": ", ".join(Measure), "outcomes": ", ".join(OUTCOME_KINDS), "max": OPERATIONS_MAX}


def amount_read(text: str, currency: str) -> Money:
    """Read an amount that a person or a program wrote. Raises InvalidInput that points at ``amount``."""
    try:
        return Money.parse(text, currency)
    except MoneyInvalid as problem:
        places = currency_exponent(currency)
        example = Money.rounded(Decimal("12.5"), currency).format()
        detail = _(
            "Write an amount with digits and at most %(places)d places after the point, such as %(example)s."
        ) % {
            "places": places,
            "example": example,
        }
        raise InvalidInput(detail, code=problem.code, faults=[Fault("/amount", detail)]) from problem


def _path(field: str) -> str:
    return field.replace("[", "/").replace("]", "").replace(".", "/")
