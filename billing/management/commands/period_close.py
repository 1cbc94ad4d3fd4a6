"""Close billing periods by hand, for demos, tests and repairs: rebuild usage and draft invoices. Beat does it otherwise."""

import json
import time
from argparse import ArgumentParser
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from billing.errors import Busy
from billing.models import Subscription
from billing.services.closing import period_close, report_dict
from billing.services.closing_jobs import SHOWN_MAX, ClosingJob, closing_ask, closing_get
from billing.tasks import close_options
from marketplace.core.ids import MalformedId

WAIT_S = 120
POLL_S = 0.1


class Command(BaseCommand):
    """``period_close --month 2026-10 --now``"""

    help = (
        "Draft the invoices of billing periods, even of running ones. By default a Celery worker does it; "
        "nothing is issued, and no subscription moves to its next period early."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Say what to close, and who does it."""
        parser.add_argument("--month", help="periods that begin in this month of each subscription's zone: 2026-10")
        parser.add_argument("--subscription", help="only this one (sub_…); alone: its current period")
        parser.add_argument(
            "--as-of", help="take this moment for now: periods that have ended by it (2026-11-01T02:00Z)"
        )
        parser.add_argument("--now", action="store_true", help="wait for the worker and print what it drafted")
        parser.add_argument("--inline", action="store_true", help="do it in this process, without a worker")
        parser.add_argument("--json", action="store_true", help="print JSON")

    def handle(self, *args: Any, **given: Any) -> None:
        """Ask a worker, or do it here, and print what was drafted."""
        options = self._options(given)
        if given["inline"]:
            self._print(report_dict(period_close(**close_options(options))), given["json"])
            return
        try:
            job = closing_ask(options=options, asked_by="manage.py", now=timezone.now())
        except Busy as problem:
            raise CommandError(str(problem)) from problem
        if not given["now"]:
            self.stdout.write("A worker has been asked to close the periods.")
            return
        done = self._wait(job)
        self._print(done.closed, given["json"])
        if done.done > len(done.closed):
            self.stderr.write(f"{done.done} closed, {done.drafts} drafts; only {SHOWN_MAX} are listed.")

    def _options(self, given: dict[str, Any]) -> dict[str, str]:
        options = {}
        try:
            if given["month"]:
                options["month"] = date.fromisoformat(f"{given['month']}-01").isoformat()
            if given["as_of"]:
                moment = datetime.fromisoformat(given["as_of"])
                options["as_of"] = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).isoformat()
            if given["subscription"]:
                options["subscription"] = str(Subscription.id_from_public(given["subscription"]))
        except (ValueError, MalformedId) as problem:
            text = f"{problem}. Write --month 2026-10, --as-of 2026-11-01T02:00Z, --subscription sub_…"
            raise CommandError(text) from problem
        wanted = options.get("subscription")
        if wanted and not Subscription.objects.filter(id=wanted).exists():
            raise CommandError("There is no such subscription.")
        return options

    def _wait(self, job: ClosingJob) -> ClosingJob:
        """Wait for as long as the job moves."""
        deadline, seen = time.monotonic() + WAIT_S, job
        while time.monotonic() < deadline:
            found = closing_get(job_id=job.id) or seen
            if found.state == "done":
                return found
            if found.is_over:
                raise CommandError(f"The worker stopped: {found.fault or found.state}")
            if found != seen:
                deadline, seen = time.monotonic() + WAIT_S, found
            time.sleep(POLL_S)
        raise CommandError(f"No worker answered within {WAIT_S} s. Is one running? Without: --inline")

    def _print(self, closed: Sequence[Mapping[str, Any]], as_json: bool) -> None:
        if as_json:
            self.stdout.write(json.dumps(closed, indent=2))
            return
        for row in closed:
            period = f"{row['period_start'][:10]} to {row['period_end'][:10]}"
            outcome = row["fault"] or f"{row['invoice'] or 'nothing due'} {row['total']} {row['currency']}"
            self.stdout.write(f"{period}: {outcome}")
        self.stdout.write(f"{len(closed)} closed, {sum(bool(row['invoice']) for row in closed)} drafts.")
