"""It is time: each task calls one service. All are safe to repeat and to run twice at once. When they run: config/beat.py."""

from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID

from celery import shared_task
from django.utils import timezone

from billing.core.periods import month_shift
from billing.errors import LedgerDisagrees
from billing.selectors.earnings import providers_due
from billing.services import closing, dispatch, ledger, statements, usage
from billing.services.closing_jobs import closing_run
from billing.services.locks import work_lock
from billing.services.queue import task_enqueue

REBUILD_OVERLAP = timedelta(minutes=20)
"""How far back arrived segments are looked at again: a multiple of the interval, since segments commit out of order."""

REBUILD_OVERLAP_DAILY = timedelta(days=3)


@shared_task(name="billing.tasks.usage_rebuild")
def usage_rebuild() -> None:
    """Rebuild the hours for which tallies arrived lately."""
    with work_lock("usage_rebuild") as is_ours:
        if is_ours:
            now = timezone.now()
            usage.usage_rebuild_arrived(now=now, received_since=now - REBUILD_OVERLAP)


@shared_task(name="billing.tasks.usage_rebuild_daily")
def usage_rebuild_daily() -> None:
    """Rebuild once more what arrived over the last days: whatever the frequent task missed while workers were down."""
    now = timezone.now()
    usage.usage_rebuild_arrived(now=now, received_since=now - REBUILD_OVERLAP_DAILY)


@shared_task(name="billing.tasks.periods_turn")
def periods_turn() -> None:
    """Open new billing periods, end what was to end."""
    with work_lock("periods_turn") as is_ours:
        if is_ours and closing.periods_turn(now=timezone.now()):
            task_enqueue("billing.tasks.periods_turn")


@shared_task(name="billing.tasks.invoices_draft")
def invoices_draft(after: str = "") -> None:
    """Draft a batch of what is due, and send for the next."""
    batch = closing.invoices_draft_batch(now=timezone.now(), after=after)
    if batch.after:
        task_enqueue("billing.tasks.invoices_draft", batch.after)


@shared_task(name="billing.tasks.invoice_send")
def invoice_send(invoice_id: str) -> None:
    """Send one invoice right after its issue."""
    dispatch.invoice_send(invoice_id=UUID(invoice_id), now=timezone.now())


@shared_task(name="billing.tasks.invoices_send")
def invoices_send() -> None:
    """Send what was issued and not sent."""
    dispatch.invoices_send(now=timezone.now())


@shared_task(name="billing.tasks.statements_compute")
def statements_compute() -> None:
    """Compute the draft statements of this month and the one before. A provider whose books disagree does not stop the others."""
    today = timezone.now().date()
    wrong = []
    for month in (month_shift(today.replace(day=1), -1), today):
        for provider in providers_due(period_of=month):
            try:
                statements.statements_compute(month=month, now=timezone.now(), providers=[provider])
            except LedgerDisagrees as problem:
                wrong.append(f"{provider.public_id}: {problem}")
    if wrong:
        raise RuntimeError(f"no statement was computed: {'; '.join(wrong)}")


@shared_task(name="billing.tasks.ledger_audit")
def ledger_audit() -> None:
    """Sum the books by another road. A fault fails the task, so that it is seen."""
    wrong = ledger.ledger_audit()
    if wrong:
        raise RuntimeError(f"the ledger does not add up: {'; '.join(wrong)}")


@shared_task(name="billing.tasks.period_close")
def period_close(job: str, options: dict[str, str], after: str = "") -> None:
    """Close a batch of periods on demand, and send for the next; the job's record says how far it is."""
    closing_run(job_id=job, after=after, options=options, wanted=close_options(options))


def close_options(options: dict[str, str]) -> dict[str, Any]:
    """Return the arguments of ``periods_wanted`` from text, as a task's message carries them."""
    until = options.get("as_of")
    now = datetime.fromisoformat(until) if until else timezone.now()
    return {
        "now": now,
        "month": date.fromisoformat(options["month"]) if options.get("month") else None,
        "subscription_id": UUID(options["subscription"]) if options.get("subscription") else None,
        "until": now if until else None,
    }
