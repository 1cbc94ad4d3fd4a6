"""Make it so: a closing that a person asked for, as a job with progress that outlives the page. The work is services/closing.

A job's record lies in the shared cache for a day: what it drafted is in the database; the record only says how far it is.
Cancelling is a second key, so that the worker's reports never overwrite it.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from celery import current_app
from django.core.cache import cache
from django.utils import timezone
from django.utils.translation import gettext as _

from billing.errors import Busy
from billing.services.closing import Closed, period_close, report_dict
from marketplace.models import Person
from marketplace.services.audit import audit_record

KEPT_S = 24 * 3600
LISTED_MAX = 10
SHOWN_MAX = 100
"""Closed periods that a finished job lists."""

EXPIRES_S = 3600
"""A job that no worker has taken by then is dropped."""

_LIST = "billing:closings"


@dataclass(frozen=True, slots=True)
class ClosingJob:
    """How far one closing is. ``state``: queued, running, done, failed or cancelled. Times are ISO text in UTC."""

    id: str
    month: str
    asked_by: str
    asked_at: str
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
    job = ClosingJob(id=uuid4().hex, month=month, asked_by=person.email, asked_at=now.isoformat())
    _write(job)
    cache.set(_LIST, [job.id, *(cache.get(_LIST) or [])][:LISTED_MAX], KEPT_S)
    options = {"month": f"{month}-01"} if month else {}
    try:
        current_app.send_task("billing.tasks.period_close", args=[job.id, options], retry=False, expires=EXPIRES_S)
    except Exception as problem:
        _write(replace(job, state="failed", fault=_("The queue of tasks could not be reached.")))
        raise Busy(_("The queue of tasks cannot be reached. Try again in a moment.")) from problem
    audit_record(verb="period.close", subject=job.id, person=person, detail={"month": month})
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


def closing_run(*, job_id: str, now: datetime, subscription_id: UUID | None = None, **options: Any) -> list[Closed]:
    """Do it, in a worker: report after each draft, stop when cancelled. A job without a record is simply done."""
    found = closing_get(job_id=job_id)
    if found is None:
        return period_close(now=now, subscription_id=subscription_id, **options)
    running = replace(found, state="running", started_at=timezone.now().isoformat())
    progress: dict[str, Any] = {"done": 0, "total": 0}

    def goes_on(done: int, total: int) -> bool:
        progress.update(done=done, total=total)
        _write(replace(running, **progress))
        return cache.get(_cancel_key(job_id)) is None

    _write(running)
    try:
        closed = period_close(now=now, subscription_id=subscription_id, on_progress=goes_on, **options)
    except Exception as problem:
        _write(replace(running, **progress, state="failed", fault=str(problem)))
        raise
    state = "cancelled" if len(closed) < progress["total"] else "done"
    drafts = sum(bool(row.invoice) for row in closed)
    shown = tuple(report_dict(closed[:SHOWN_MAX]))
    progress["done"] = len(closed)
    _write(replace(running, **progress, state=state, drafts=drafts, closed=shown))
    return closed


def _write(job: ClosingJob) -> None:
    cache.set(_key(job.id), asdict(job), KEPT_S)


def _key(job_id: str) -> str:
    return f"billing:closing:{job_id}"


def _cancel_key(job_id: str) -> str:
    return f"billing:closing:{job_id}:cancel"
