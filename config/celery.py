"""The Celery app and the whole beat schedule in one table. What a task does is its app's business."""

import os

from celery import Celery
from celery.schedules import crontab, schedule
from celery.signals import setup_logging

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

app = Celery("tollgate")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()


@setup_logging.connect
def _logs_ours(**_: object) -> None:
    """Celery keeps its hands off logging: `config.logs` has set it up."""


# task → (when, seconds after which a run that was not started is dropped). Two beats do no harm: every task is safe to repeat.
SCHEDULE: dict[str, tuple[schedule | crontab, float]] = {
    "billing.tasks.usage_rebuild": (schedule(120.0), 110),
    "billing.tasks.usage_rebuild_daily": (crontab(hour="2", minute="30"), 3600),
    "billing.tasks.periods_turn": (schedule(60.0), 55),
    "billing.tasks.invoices_draft": (crontab(minute="20"), 1800),
    "billing.tasks.invoices_send": (schedule(120.0), 110),
    "billing.tasks.statements_compute": (crontab(hour="4", minute="10"), 3600),
    "billing.tasks.ledger_audit": (crontab(hour="3", minute="40"), 3600),
    "marketplace.tasks.invitations_sweep": (schedule(300.0), 290),
    "marketplace.tasks.ended_forget": (crontab(minute="50"), 1800),
    "gateway.tasks.changes_publish": (schedule(2.0), 2),
    "gateway.tasks.publish_heal": (schedule(5.0), 5),
    "gateway.tasks.directory_sweep": (schedule(600.0), 300),
}

app.conf.beat_schedule = {
    name: {"task": name, "schedule": when, "options": {"expires": expires_s}}
    for name, (when, expires_s) in SCHEDULE.items()
}
