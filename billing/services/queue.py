"""Hand work to Celery after the commit, by name: services know no task, and a broker that is down loses nothing.

What is handed over here is only hurried: a scheduled task finds whatever was left (services/dispatch, services/usage).
"""

import logging

from celery import current_app
from celery.exceptions import SoftTimeLimitExceeded
from django.db import InterfaceError, OperationalError, transaction

logger = logging.getLogger(__name__)
RUN_STOPS = (OperationalError, InterfaceError, SoftTimeLimitExceeded)
"""What ends a whole run over many rows, and says nothing about the row it happened at: the schedule goes on from there."""


def task_enqueue(name: str, *arguments: str) -> None:
    """Have the task run soon after the present transaction has committed."""
    transaction.on_commit(lambda: _send(name, arguments), robust=True)


def _send(name: str, arguments: tuple[str, ...]) -> None:
    try:
        current_app.send_task(name, args=list(arguments), retry=False, expires=3600)
    except Exception:
        logger.warning("not enqueued, the schedule will do it: %s %s", name, arguments, exc_info=True)
