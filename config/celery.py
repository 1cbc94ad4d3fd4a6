"""The Celery app: who works tasks off. The schedule is in `config.beat`; what a task does is its app's business."""

import os

from celery import Celery
from celery.signals import setup_logging

from config.beat import BEAT_SCHEDULE

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

app = Celery("tollgate")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.conf.beat_schedule = BEAT_SCHEDULE
app.autodiscover_tasks()


@setup_logging.connect
def _logs_ours(**_: object) -> None:
    """Celery keeps its hands off logging: `config.logs` has set it up."""
