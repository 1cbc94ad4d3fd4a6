"""``manage.py gateway``: becomes the data plane (``python -m gateway.dataplane``), which needs no Django."""

import os
import sys
from typing import Any

from django.core.management.base import BaseCommand


class Command(BaseCommand):
    """Replaces this process, so that signals reach the data plane itself."""

    help = "Run the gateway's data plane; its settings come from the environment."
    requires_system_checks: list[str] = []

    def handle(self, *args: Any, **options: Any) -> None:
        """Replace the process. The program is our own interpreter, the arguments are constants."""
        os.execv(sys.executable, [sys.executable, "-m", "gateway.dataplane"])  # noqa: S606
