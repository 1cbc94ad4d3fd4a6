"""`manage.py up`: the supervisor. `make run` starts the same after making .venv."""

import os
import sys
from typing import Any

from django.core.management.base import BaseCommand

from config.env import BASE_DIR


class Command(BaseCommand):
    """Gives this process to the supervisor, which needs no Django."""

    help = "Start and supervise everything; Ctrl-C stops everything."
    requires_system_checks: list[str] = []

    def handle(self, *args: Any, **options: Any) -> None:
        """Replace this process."""
        os.chdir(BASE_DIR)
        os.execv(sys.executable, [sys.executable, "-m", "config.runtime"])  # noqa: S606
