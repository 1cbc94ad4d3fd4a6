"""Make it so: turn and close what is due. Each subscription and each draft is a transaction of its own.

One that fails in a way nobody foresaw is parked and the others go on. A store that is down, or the end of the worker's time,
stops the whole run, which the schedule repeats. However many customers there are, a task drafts a bounded batch and says
where the next one goes on. Closing drafts; it neither moves a subscription to its next period early nor issues anything.
"""

import logging
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field
from datetime import date, datetime
from typing import Any
from uuid import UUID

from django.db.models import QuerySet

from billing.core.money import Money
from billing.models import BillingPeriod, Invoice
from billing.selectors.closing import (
    PeriodGroup,
    groups_after,
    late_groups_after,
    late_is,
    periods_due,
    periods_wanted,
)
from billing.services.drafts import invoice_draft
from billing.services.locks import work_lock
from billing.services.queue import RUN_STOPS
from billing.services.subscriptions import TURN_BATCH_MAX, subscription_park, subscription_turn, subscriptions_due

GROUPS_PER_BATCH = 25
"""Invoices that one task drafts at most; the rest is for the next task."""

BATCH_S = 60
"""A task that has drafted for this long leaves the rest to the next one, far from Celery's time limit."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Closed:
    """One group of periods that was closed: the draft it led to, or none when nothing was due or all was billed."""

    organization: str
    currency: str
    period_start: str
    period_end: str
    invoice: str
    total: str
    fault: str = ""


@dataclass(frozen=True, slots=True)
class Batch:
    """What one task closed, and where the next goes on: ``after`` is empty when all is done or ``is_stopped``."""

    closed: list[Closed] = field(default_factory=list)
    after: str = ""
    is_stopped: bool = False


def periods_turn(*, now: datetime) -> bool:
    """Open the periods that have begun and end the subscriptions that were to end, at most TURN_BATCH_MAX of them.

    Returns whether more may be due.
    """
    due, turned = subscriptions_due(now=now), 0
    for subscription_id in due:
        try:
            turned += subscription_turn(subscription_id=subscription_id, now=now)
        except RUN_STOPS:
            raise
        except Exception as problem:
            logger.exception("parked: %s could not be turned", subscription_id)
            subscription_park(subscription_id=subscription_id, reason=f"turn: {problem}")
    return len(due) == TURN_BATCH_MAX and turned > 0


def invoices_draft_batch(*, now: datetime, after: str = "") -> Batch:
    """Draft the next due periods, then late usage that has no period left to go with. Nothing while another task is at it."""
    with work_lock("invoices_draft") as is_ours:
        if not is_ours:
            return Batch()
        if not late_is(after):
            due = batch_close(periods=periods_due(now=now), now=now, after=after)
            if due.after:
                return due
        else:
            due = Batch()
        late = _groups_close(late_groups_after(after=after, limit=GROUPS_PER_BATCH), now)
        return Batch([*due.closed, *late.closed], late.after)


def invoices_draft_due(*, now: datetime) -> list[Closed]:
    """Draft all that is due, batch after batch, in this process."""
    return _all(lambda after: invoices_draft_batch(now=now, after=after))


def batch_close(
    *,
    periods: QuerySet[BillingPeriod],
    now: datetime,
    after: str = "",
    goes_on: Callable[[int], bool] | None = None,
) -> Batch:
    """Draft, or draft anew, the next invoices of ``periods`` behind a cursor; each is committed by itself.

    ``goes_on`` hears how many are done before each one and may stop it. Safe to repeat.
    """
    return _groups_close(groups_after(periods, after=after, limit=GROUPS_PER_BATCH), now, goes_on)


def period_close(
    *,
    now: datetime,
    month: date | None = None,
    subscription_id: UUID | None = None,
    until: datetime | None = None,
) -> list[Closed]:
    """Close periods on demand (``periods_wanted`` says which), batch after batch, in this process.

    Drafts are computed anew. Later calls of a period that was closed and issued early go on the next invoice.
    """
    periods = periods_wanted(now=now, month=month, subscription_id=subscription_id, until=until)
    return _all(lambda after: batch_close(periods=periods, now=now, after=after))


def report_dict(closed: Iterable[Closed]) -> list[dict[str, Any]]:
    """Return a closing's outcome as JSON-safe values."""
    return [asdict(row) for row in closed]


def _all(batch: Callable[[str], Batch]) -> list[Closed]:
    closed: list[Closed] = []
    after = ""
    while True:
        one = batch(after)
        closed += one.closed
        if not one.after:
            return closed
        after = one.after


def _groups_close(groups: list[PeriodGroup], now: datetime, goes_on: Callable[[int], bool] | None = None) -> Batch:
    closed: list[Closed] = []
    started = time.monotonic()
    for place, group in enumerate(groups, start=1):
        if goes_on is not None and not goes_on(len(closed)):
            return Batch(closed, is_stopped=True)
        closed.append(_draft(group, now))
        is_last = place == len(groups) < GROUPS_PER_BATCH
        if not is_last and time.monotonic() - started > BATCH_S:
            return Batch(closed, group.cursor)
    return Batch(closed, groups[-1].cursor if len(groups) == GROUPS_PER_BATCH else "")


def _draft(group: PeriodGroup, now: datetime) -> Closed:
    try:
        invoice = invoice_draft(
            organization_id=group.organization_id,
            currency=group.currency,
            period_start=group.period_start,
            period_end=group.period_end,
            now=now,
        )
    except RUN_STOPS:
        raise
    except Exception as problem:
        logger.exception("parked: %s could not be drafted", group)
        for subscription_id in _subscriptions_of(group):
            subscription_park(subscription_id=subscription_id, reason=f"draft: {problem}")
        return _closed(group, None, fault=str(problem))
    return _closed(group, invoice)


def _subscriptions_of(group: PeriodGroup) -> list[UUID]:
    periods = BillingPeriod.objects.filter(
        subscription__organization_id=group.organization_id,
        subscription__plan__currency=group.currency,
        starts_at=group.period_start,
        ends_at=group.period_end,
    )
    return list(periods.values_list("subscription_id", flat=True))


def _closed(group: PeriodGroup, invoice: Invoice | None, *, fault: str = "") -> Closed:
    return Closed(
        organization=str(group.organization_id),
        currency=group.currency,
        period_start=group.period_start.isoformat(),
        period_end=group.period_end.isoformat(),
        invoice=invoice.public_id if invoice else "",
        total=Money(invoice.total_minor, invoice.currency).format() if invoice else "0",
        fault=fault,
    )
