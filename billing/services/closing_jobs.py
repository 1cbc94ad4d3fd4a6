"""Make it so: a closing that a person asked for, as a job with progress that outlives the page. The work is services/closing.

A job is a chain of tasks: each drafts a batch and sends the next with a cursor, so none grows with the number of customers. A
job's record lies in the shared cache for a day: what it drafted is in the database; the record only says how far it is.
Cancelling is a second key, so that the worker's reports never overwrite it.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

from celery import current_app
from django.core.cache import cache
from django.utils import timezone
from django.utils.translation import gettext as _

from billing.errors import Busy
from billing.selectors.closing import groups_count, periods_wanted
from billing.services.closing import Batch, batch_close, report_dict
from marketplace.models import Person
from marketplace.services.audit import audit_record

KEPT_S = 24 * 3600
LISTED_MAX = 10
SHOWN_MAX = 100
"""Closed periods that a job lists; those that failed before the others."""

EXPIRES_S = 3600
"""A task of a job that no worker has taken by then is dropped."""

TASK = "billing.tasks.period_close"
_LIST = "billing:closings"


@dataclass(frozen=True, slots=True)
class ClosingJob:
    """How far one closing is. ``state``: queued, running, done, failed or cancelled. Times are ISO text in UTC.

    ``after`` is the cursor of the batch that runs or waits, ``before`` of the one before it; ``base`` was done before it.
    """

    id: str
    month: str
    asked_by: str
    asked_at: str
    after: str = ""
    before: str | None = None
    base: int = 0
    state: str = "queued"
    started_at: str = ""
    done: int = 0
    total: int = 0
    drafts: int = 0
    fault: str = ""
    closed: tuple[Mapping[str, Any], ...] = ()

    @property
    def is_over(self) -> bool:
        """True when it will not change any more."""
        return self.state in ("done", "failed", "cancelled")

    def remaining(self, now: datetime) -> timedelta | None:
        """The time that is left at the pace so far; None when nothing is known."""
        if self.state != "running" or not self.done or not self.started_at:
            return None
        elapsed = now - datetime.fromisoformat(self.started_at)
        return elapsed * (self.total - self.done) // self.done


def closing_start(*, month: str, person: Person, now: datetime) -> ClosingJob:
    """Have a worker close the periods of a month (``2026-10``), or with an empty one all that have ended. Raises Busy."""
    options = {"month": f"{month}-01"} if month else {}
    job = closing_ask(options=options, asked_by=person.email, now=now)
    audit_record(verb="period.close", subject=job.id, person=person, detail={"month": month})
    return job


def closing_ask(*, options: Mapping[str, str], asked_by: str, now: datetime) -> ClosingJob:
    """Have a worker close what ``options`` say (``tasks.close_options``). Raises Busy."""
    month = options.get("month", "")[:7]
    job = ClosingJob(id=uuid4().hex, month=month, asked_by=asked_by, asked_at=now.isoformat())
    _write(job)
    cache.set(_LIST, [job.id, *(cache.get(_LIST) or [])][:LISTED_MAX], KEPT_S)
    _send(job, options)
    return job


def closing_cancel(*, job_id: str, person: Person) -> None:
    """Stop a job before its next invoice; what it has drafted stays. Safe to repeat."""
    cache.set(_cancel_key(job_id), person.email, KEPT_S)
    job = closing_get(job_id=job_id)
    if job is not None and job.state == "queued":
        _write(replace(job, state="cancelled"))


def closing_get(*, job_id: str) -> ClosingJob | None:
    """Return a job, or None when it is unknown or a day old."""
    record = cache.get(_key(job_id))
    return ClosingJob(**record) if record else None


def closing_list() -> list[ClosingJob]:
    """Return the jobs of the last day, the newest first."""
    found = [closing_get(job_id=job_id) for job_id in cache.get(_LIST) or []]
    return [job for job in found if job is not None]


def closing_run(*, job_id: str, after: str, options: Mapping[str, str], wanted: Mapping[str, Any]) -> None:
    """Do one batch, in a worker; report after each draft, stop when cancelled, send the next. Safe to repeat.

    ``options`` are the message's, to be sent on; ``wanted`` the same as arguments of ``periods_wanted``.
    """
    job = closing_get(job_id=job_id)
    if job is None or job.is_over:
        return
    if after != job.after:
        if after == job.before:  # this batch is done, and its task died: perhaps before it had sent the next
            _send(job, options)
        return
    try:
        batch = _batch_run(job, wanted)
    except Exception as problem:
        _write(replace(closing_get(job_id=job_id) or job, state="failed", fault=str(problem)))
        raise
    _advance(job_id, batch, options)


def _batch_run(job: ClosingJob, wanted: Mapping[str, Any]) -> Batch:
    periods = periods_wanted(**wanted)
    running = replace(job, state="running")
    if job.state == "queued":
        running = replace(running, total=groups_count(periods), started_at=timezone.now().isoformat())
    _write(running)

    def goes_on(done: int) -> bool:
        _write(replace(running, done=job.base + done))
        return cache.get(_cancel_key(job.id)) is None

    return batch_close(periods=periods, now=wanted["now"], after=job.after, goes_on=goes_on)


def _advance(job_id: str, batch: Batch, options: Mapping[str, str]) -> None:
    """Note what a batch has done and send the next; nothing when another task has noted the same batch."""
    job = closing_get(job_id=job_id)
    if job is None:
        return
    done = job.base + len(batch.closed)
    rows = [*job.closed, *report_dict(batch.closed)]
    noted = replace(
        job,
        after=batch.after,
        before=job.after,
        base=done,
        done=done,
        drafts=job.drafts + sum(bool(row.invoice) for row in batch.closed),
        closed=tuple(sorted(rows, key=lambda row: not row["fault"])[:SHOWN_MAX]),
    )
    if batch.after:
        _write(noted)
        _send(noted, options)
        return
    _write(replace(noted, state="cancelled" if batch.is_stopped else "done", total=max(job.total, done)))


def _send(job: ClosingJob, options: Mapping[str, str]) -> None:
    """Send the task of a job's batch. Raises Busy."""
    try:
        current_app.send_task(TASK, args=[job.id, dict(options), job.after], retry=False, expires=EXPIRES_S)
    except Exception as problem:
        _write(replace(job, state="failed", fault=_("The queue of tasks could not be reached.")))
        raise Busy(_("The queue of tasks cannot be reached. Try again in a moment.")) from problem


def _write(job: ClosingJob) -> None:
    cache.set(_key(job.id), asdict(job), KEPT_S)


def _key(job_id: str) -> str:
    return f"billing:closing:{job_id}"


def _cancel_key(job_id: str) -> str:
    return f"billing:closing:{job_id}:cancel"
