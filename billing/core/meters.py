"""Meter: which calls count and what of them is summed. Says what counts; what it costs is the Price's business."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from billing.core.errors import MeterInvalid
from marketplace.contracts.limits import CHARGED_OUTCOMES_DEFAULT

OUTCOME_KINDS = ("succeeded", "client_error", "upstream_failed", "rejected")
"""What a meter may count; ``rejected`` means every refusal, ``rejected:<code>`` one kind of refusal."""

OPERATIONS_MAX = 2_000
"""The most operations that one meter may list."""


class Measure(StrEnum):
    """What of each counted call is summed. Bytes are as the gateway recorded them; ``bytes`` is both ways."""

    CALLS = "calls"
    UNITS = "units"
    REQUEST_BYTES = "request_bytes"
    RESPONSE_BYTES = "response_bytes"
    BYTES = "bytes"


@dataclass(frozen=True, slots=True)
class MeterSpec:
    """``outcomes`` that count, ``operations`` that count (ids as text; empty: all), and the ``measure`` to sum.

    Raises MeterInvalid for a meter that could never count anything.
    """

    measure: Measure = Measure.CALLS
    outcomes: tuple[str, ...] = CHARGED_OUTCOMES_DEFAULT
    operations: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        if not self.outcomes:
            raise MeterInvalid("choose at least one outcome that counts")
        for outcome in self.outcomes:
            kind, colon, code = outcome.partition(":")
            if kind not in OUTCOME_KINDS or bool(colon) != bool(code) or (colon and kind != "rejected"):
                raise MeterInvalid(f"{outcome!r} is no outcome; choose from {', '.join(OUTCOME_KINDS)}")
        if len(self.operations) > OPERATIONS_MAX:
            raise MeterInvalid(f"a meter lists at most {OPERATIONS_MAX} operations; leave the list empty to count all")

    def counts(self, outcome: str, operation_id: str | None) -> bool:
        """True when a call with this outcome on this operation counts."""
        if self.operations and operation_id not in self.operations:
            return False
        return outcome in self.outcomes or outcome.partition(":")[0] in self.outcomes

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-safe values that ``from_dict`` reads back to an equal spec."""
        return {
            "measure": self.measure.value,
            "outcomes": list(self.outcomes),
            "operations": sorted(self.operations),
        }

    @classmethod
    def from_dict(cls, value: dict[str, Any]) -> "MeterSpec":
        """Read what ``to_dict`` wrote. Raises MeterInvalid."""
        try:
            measure = Measure(value.get("measure", Measure.CALLS))
        except ValueError:
            raise MeterInvalid(f"choose a measure: {', '.join(Measure)}") from None
        outcomes, operations = value.get("outcomes", CHARGED_OUTCOMES_DEFAULT), value.get("operations", ())
        for texts in (outcomes, operations):
            if not isinstance(texts, list | tuple) or not all(isinstance(text, str) for text in texts):
                raise MeterInvalid("outcomes and operations are lists of text")
        return cls(measure, tuple(outcomes), frozenset(operations))
