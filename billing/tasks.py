"""It is time: each task calls one service. All are safe to repeat and to run twice at once. When they run: config/beat.py."""

from datetime import date, datetime
from typing import Any
from uuid import UUID

from celery import shared_task
from django.utils import timezone

from billing.services import closing, dispatch, ledger, statement_batches, usage_due
from billing.services.closing_jobs import closing_run
from billing.services.locks import work_lock
from billing.services.queue import task_enqueue


@shared_task(name="billing.tasks.usage_rebuild")
def usage_rebuild(after: str = "") -> None:
    """Count a batch of the usage that has arrived, and send for the next."""
    batch = usage_due.usage_due_batch(now=timezone.now(), after=after)
    if batch.after:
        task_enqueue("billing.tasks.usage_rebuild", batch.after)


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
def statements_compute(after: str = "") -> None:
    """Compute a batch of the draft statements of the month before and this one, and send for the next.

    A provider whose books disagree fails the task, so that it is seen, and does not stop the others.
    """
    batch = statement_batches.statements_batch(now=timezone.now(), after=after)
    if batch.after:
        task_enqueue("billing.tasks.statements_compute", batch.after)
    if batch.wrong:
        raise RuntimeError(f"no statement was computed: {'; '.join(batch.wrong)}")


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
