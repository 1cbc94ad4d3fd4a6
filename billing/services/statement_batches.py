"""Make it so: the draft statements of all providers, a bounded batch at a time. One statement is services/statements.

A cursor names the month and the provider that were seen last, so that whoever goes on in another task goes on behind them,
however many providers there are. Each statement is a transaction of its own, and computing it again changes nothing.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from uuid import UUID

from celery.exceptions import SoftTimeLimitExceeded

from billing.core.periods import month_shift
from billing.errors import LedgerDisagrees
from billing.selectors.earnings import providers_due
from billing.services.statements import statements_compute
from marketplace.models import Organization

PROVIDERS_PER_BATCH = 25
"""Providers whose statements one task computes at most; the rest is for the next task."""

BATCH_S = 60
"""A task that has computed for this long leaves the rest to the next one, far from Celery's time limit."""


@dataclass(frozen=True, slots=True)
class Batch:
    """What one task computed: statements, why which provider has none, and where the next goes on, empty when all is done."""

    statements: int = 0
    wrong: tuple[str, ...] = ()
    after: str = ""


def statements_batch(*, now: datetime, after: str = "") -> Batch:
    """Compute the next providers' drafts of the month before ``now`` or, behind its last one, of the month of ``now``.

    A provider whose books disagree, or whose statement takes all of a task's time, is named in ``wrong`` and passed over.
    """
    this = now.date().replace(day=1)
    month, provider_id = _cursor_read(after) if after else (month_shift(this, -1), None)
    providers = providers_due(period_of=month, after=provider_id, limit=PROVIDERS_PER_BATCH)
    done, wrong, last = _providers_compute(providers, month, now)
    if last is not None:
        return Batch(done, wrong, f"{month.isoformat()}|{last}")
    return Batch(done, wrong, f"{month_shift(month, 1).isoformat()}|" if month < this else "")


def _providers_compute(
    providers: Sequence[Organization], month: date, now: datetime
) -> tuple[int, tuple[str, ...], UUID | None]:
    """Return how many statements there are, what was wrong, and behind whom to go on; None when these were the last."""
    started, done, wrong = time.monotonic(), 0, []
    for provider in providers:
        try:
            done += len(statements_compute(month=month, now=now, providers=[provider]))
        except LedgerDisagrees as problem:
            wrong.append(f"{provider.public_id}: {problem}")
        except SoftTimeLimitExceeded:
            return done, (*wrong, f"{provider.public_id}: it takes longer than a task may"), provider.id
        if time.monotonic() - started > BATCH_S:
            return done, tuple(wrong), provider.id
    return done, tuple(wrong), providers[-1].id if len(providers) == PROVIDERS_PER_BATCH else None


def _cursor_read(after: str) -> tuple[date, UUID | None]:
    month, _, provider_id = after.partition("|")
    return date.fromisoformat(month), UUID(provider_id) if provider_id else None
