"""The whole beat schedule in one table, and a beat that sends its names on time. It needs no Django, so it starts at once.

`python -m config.beat` runs it. What a task does is its app's business; who runs it is `config.celery`.
"""

from celery import Celery
from celery.schedules import crontab, schedule
from celery.signals import setup_logging

from config import env
from config.logs import logging_configure
from config.queue import TRANSPORT_OPTIONS, broker_url

# Task → (when, seconds after which a run that was not started is dropped). Two beats do no harm: every task is safe to repeat.
SCHEDULE: dict[str, tuple[schedule | crontab, float]] = {
    "billing.tasks.usage_rebuild": (schedule(120.0), 110),
    "billing.tasks.periods_turn": (schedule(60.0), 55),
    "billing.tasks.invoices_draft": (crontab(minute="20"), 1800),
    "billing.tasks.invoices_send": (schedule(120.0), 110),
    "billing.tasks.statements_compute": (crontab(hour="4", minute="10"), 3600),
    "billing.tasks.ledger_audit": (crontab(hour="3", minute="40"), 3600),
    "marketplace.tasks.invitations_sweep": (schedule(300.0), 290),
    "marketplace.tasks.ended_forget": (crontab(minute="50"), 1800),
    "marketplace.tasks.usage_partitions_make": (crontab(hour="1", minute="15"), 3600),
    "gateway.tasks.changes_publish": (schedule(2.0), 2),
    "gateway.tasks.publish_heal": (schedule(5.0), 5),
    "gateway.tasks.credentials_used": (schedule(60.0), 55),
    "gateway.tasks.directory_sweep": (schedule(600.0), 300),
}

BEAT_SCHEDULE = {
    name: {"task": name, "schedule": when, "options": {"expires": expires_s}}
    for name, (when, expires_s) in SCHEDULE.items()
}


def beat_make(settings: env.Settings) -> Celery:
    """An app that only sends: no tasks of its own, no Django."""
    beat = Celery("tollgate-beat", fixups=[], broker=broker_url(settings.valkey_url))
    beat.conf.update(
        timezone="UTC",
        task_ignore_result=True,
        beat_schedule=BEAT_SCHEDULE,
        broker_transport_options=TRANSPORT_OPTIONS,
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
    )
    setup_logging.connect(_logs_ours)
    return beat


def _logs_ours(**_: object) -> None:
    """Celery keeps its hands off logging."""


def main() -> None:
    """Beat until told to stop; what was sent last is remembered below var/run."""
    settings = env.settings_read()
    logging_configure(level=settings.log_level)
    folder = settings.var / "run"
    folder.mkdir(parents=True, exist_ok=True)
    beat_make(settings).Beat(schedule=str(folder / "beat-schedule"), loglevel="WARNING", quiet=True).run()


if __name__ == "__main__":
    main()
