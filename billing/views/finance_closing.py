"""Closing periods on demand: a job that a worker does, with a row of progress that is there again after a reload."""

from datetime import date, datetime

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from billing.forms.finance import ClosingForm
from billing.selectors.finance import finance_overview
from billing.services.closing_jobs import ClosingJob, closing_cancel, closing_get, closing_list, closing_start
from billing.views.doors import finance_page
from marketplace.views.doors import service_try


@require_http_methods(["GET", "HEAD", "POST"])
@finance_page
def closing(request: HttpRequest) -> HttpResponse:
    """Say what closing does, start it, and show the jobs of the last day."""
    form = ClosingForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        month = form.cleaned_data["month"]
        if service_try(request, closing_start, form=form, month=month, person=request.user, now=timezone.now()):
            messages.success(request, _("A worker has been asked to close the periods."))
            return redirect("billing:finance_closing")
    now = timezone.now()
    context = {
        "form": form,
        "jobs": [_row(job) for job in closing_list()],
        "waiting": finance_overview(now=now).periods_waiting,
    }
    return render(request, "billing/finance_closing.html", context)


@require_safe
@finance_page
def closing_row(request: HttpRequest, job_id: str) -> HttpResponse:
    """One job's row, fetched again each second while it runs."""
    return render(request, "billing/parts/closing_row.html", _row(_job(job_id)))


@require_POST
@finance_page
def closing_stop(request: HttpRequest, job_id: str) -> HttpResponse:
    """Stop before the next invoice."""
    closing_cancel(job_id=_job(job_id).id, person=request.user)  # type: ignore[arg-type]
    messages.success(request, _("It stops before the next invoice. What it has drafted stays."))
    return redirect("billing:finance_closing")


def _job(job_id: str) -> ClosingJob:
    job = closing_get(job_id=job_id) if job_id.isalnum() and len(job_id) <= 32 else None
    if job is None:
        raise Http404
    return job


def _row(job: ClosingJob) -> dict[str, object]:
    left = job.remaining(timezone.now())
    return {
        "job": job,
        "percent": 100 if job.state == "done" else job.done * 100 // job.total if job.total else 0,
        "seconds_left": left.seconds + 1 if left is not None else None,
        "month": date.fromisoformat(f"{job.month}-01") if job.month else None,
        "asked_at": datetime.fromisoformat(job.asked_at),
        "closed": [
            {**row, "day": date.fromisoformat(row["period_start"][:10])}
            for row in job.closed
            if row.get("invoice") or row.get("fault")
        ],
    }
