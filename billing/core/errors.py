"""The exception tree of billing's pure core. Messages are English and say what to do; doors translate by ``code``.

CoreError (ValueError)
├── MoneyInvalid             not a plain amount, unknown currency, or two currencies in one sum
├── PeriodInvalid            a bad zone, anchor, bound or a date outside the calendar
├── PriceInvalid             a price that may not be published; carries every problem
├── QuantityInvalid          a quantity that is negative, too large or too fine
├── ExplanationInvalid       an explanation that cannot be recomputed
├── MeterInvalid             a meter that counts nothing
├── CommissionInvalid        a rate outside 0 to 1
├── PostingInvalid           a posting that does not balance, or an entry of zero
├── TransitionRefused        this status does not allow this trigger
└── NumberInvalid            a document number that is not of the series' form
"""

from collections.abc import Sequence
from dataclasses import dataclass


class CoreError(ValueError):
    """Base of all refusals of billing.core. ``code`` is stable; ``str()`` is for people."""

    code = "billing_invalid"


class MoneyInvalid(CoreError):
    """Text that is no plain amount of its currency, an unknown currency, or a sum over two currencies."""

    code = "money_invalid"


class PeriodInvalid(CoreError):
    """Unknown time zone, months out of range, naive time, empty interval, or beyond the calendar."""

    code = "period_invalid"


@dataclass(frozen=True, slots=True)
class Problem:
    """One fault of a price: where (``tiers[1].up_to``), a stable code, and what to do in English."""

    field: str
    code: str
    text: str


class PriceInvalid(CoreError):
    """A price that may not be published; ``problems`` lists everything that is wrong with it."""

    code = "price_invalid"

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("; ".join(f"{problem.field}: {problem.text}" for problem in self.problems))


class QuantityInvalid(CoreError):
    """Negative, not finite, above QUANTITY_MAX, or with more than QUANTITY_PLACES_MAX places."""

    code = "quantity_invalid"


class ExplanationInvalid(CoreError):
    """An explanation with a missing or malformed part, so that its amount cannot be computed again."""

    code = "explanation_invalid"


class MeterInvalid(CoreError):
    """A meter without outcomes or with an unknown measure or outcome."""

    code = "meter_invalid"


class CommissionInvalid(CoreError):
    """A commission rate outside 0 to 1, or with more places than COMMISSION_PLACES_MAX."""

    code = "commission_invalid"


class PostingInvalid(CoreError):
    """A posting whose entries do not sum to zero in each currency, or that holds an entry of zero."""

    code = "posting_invalid"


class TransitionRefused(CoreError):
    """A state table has no row for this status and trigger. The message lists what is allowed instead."""

    code = "transition_refused"


class NumberInvalid(CoreError):
    """A series, year or sequence that cannot make a document number, or text that is none."""

    code = "number_invalid"
