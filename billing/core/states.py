"""StateTable: a state machine as data. The tables themselves are invoice_states and subscription_states."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Generic, TypeVar

from billing.core.errors import TransitionRefused

Status = TypeVar("Status", bound=StrEnum)
Trigger = TypeVar("Trigger", bound=StrEnum)


@dataclass(frozen=True, slots=True)
class StateTable(Generic[Status, Trigger]):
    """(status, trigger) → next status; whatever has no row is refused. ``noun`` names the thing in refusals."""

    noun: str
    rows: Mapping[tuple[Status, Trigger], Status]

    def advance(self, status: Status, trigger: Trigger) -> Status:
        """Return the next status. Raises TransitionRefused, naming what this status allows."""
        try:
            return self.rows[status, trigger]
        except KeyError:
            allowed = ", ".join(self.allowed(status)) or "nothing more"
            text = f"this {self.noun} is {status}; it cannot {trigger}. It allows: {allowed}"
            raise TransitionRefused(text) from None

    def allowed(self, status: Status) -> tuple[Trigger, ...]:
        """Return the triggers that have a row for ``status``, in table order: what a page may offer as buttons."""
        return tuple(trigger for at, trigger in self.rows if at == status)
