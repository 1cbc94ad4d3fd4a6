"""What a finished call was and what it uses up: the rules that journal.py (records it) and leases.py (takes or returns it) share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from marketplace.contracts.limits import CHARGED_OUTCOMES_DEFAULT

if TYPE_CHECKING:
    from gateway.dataplane.leases import Bucket

CHARGED_DEFAULT = frozenset(CHARGED_OUTCOMES_DEFAULT)


def outcome_of(status: int) -> str:
    """The outcome of a call that its upstream answered with this status."""
    return "succeeded" if status < 400 else "client_error" if status < 500 else "upstream_failed"


def units_of(outcome: str, taken: Sequence[Bucket] | None) -> int:
    """1 when the outcome is charged by the quota among what the call took, which is its last; else 0.

    Without a quota, ``succeeded`` and ``client_error`` count.
    """
    charged = (taken[-1].charged_outcomes or CHARGED_DEFAULT) if taken else CHARGED_DEFAULT
    return 1 if outcome in charged else 0
