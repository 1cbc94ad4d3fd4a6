"""From when does a change of plan count? One rule for limits and prices, so that every call is billed by the plan that admitted it.

- A change counts from the next whole UTC hour that is at least CHANGE_LEAD away: limits and prices change together, there.
- Unless it can only make the running hour dearer (``change_is_never_cheaper``): then it counts at once, limits and prices, and
  the whole running hour is billed by the new plan.

Usage is summed by UTC hour, so an hour has one plan. Were the limits of a plan had before its prices, going there and back
within an hour would cost nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Generic, TypeVar

from billing.core.periods import Period, hour_ceiling, hour_floor
from billing.core.pricing import PriceKind, PriceSpec

Plan = TypeVar("Plan")

CHANGE_LEAD = timedelta(seconds=60)
"""How long before its hour a change is settled at the latest: gateways have heard of it by then, and turn by their own clocks."""

CHANGES_MAX = 10
"""Changes of plan in one billing period: each is a line to round, and begins the tiers of a price anew."""


@dataclass(frozen=True, slots=True)
class PlanSpan(Generic[Plan]):
    """A part of a period during which one plan was in force; ``since`` is the moment of the change that led to it."""

    plan: Plan
    since: datetime
    period: Period


def change_moment(now: datetime, *, is_never_cheaper: bool) -> datetime:
    """Return when a change that is asked for now counts: now, or the start of an hour. Prices count from that hour's start."""
    return now if is_never_cheaper else hour_ceiling(now + CHANGE_LEAD)


def change_is_never_cheaper(before: Sequence[PriceSpec], after: Sequence[PriceSpec]) -> bool:
    """True when no usage whatever of the running hour could cost less by the prices ``after``.

    Known without comparing models of price when the old plan charges nothing for usage, and the new fees are not lower.
    """
    is_usage_free = all(spec.is_free for spec in before if spec.kind.is_metered)
    return is_usage_free and _fees(before) <= _fees(after)


def plan_spans(changes: Sequence[tuple[datetime, Plan]], period: Period) -> list[PlanSpan[Plan]]:
    """Cut a period where plans changed. ``changes``: when each counts, and the plan, in order; the first one is the start.

    Of changes that count from the same hour the last one holds; one that leads to the plan that is in force cuts nothing.
    """
    steps: list[tuple[datetime, datetime, Plan]] = []
    for place, (at, plan) in enumerate(changes):
        start = period.start if place == 0 else max(period.start, hour_floor(at))
        while steps and steps[-1][0] >= start:
            steps.pop()
        if start < period.end and not (steps and steps[-1][2] == plan):
            steps.append((start, at, plan))
    ends = [start for start, _, _ in steps[1:]] + [period.end]
    return [
        PlanSpan(plan, since, Period(start, end, period.time_zone))
        for (start, since, plan), end in zip(steps, ends, strict=True)
    ]


def _fees(specs: Sequence[PriceSpec]) -> Decimal:
    return sum((spec.unit_amount for spec in specs if spec.kind is PriceKind.FLAT), Decimal(0))
