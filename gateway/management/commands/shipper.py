"""``manage.py shipper``: becomes the shipper (``python -m gateway.dataplane.shipper``), which needs no Django."""

import os
import sys
from typing import Any

from django.core.management.base import BaseCommand


class Command(BaseCommand):
    """Replaces this process, so that signals reach the shipper itself."""

    help = "Ship usage from this node's journal to PostgreSQL; its settings come from the environment."
    requires_system_checks: list[str] = []

    def handle(self, *args: Any, **options: Any) -> None:
        """Replace the process. The program is our own interpreter, the arguments are constants."""
        os.execv(sys.executable, [sys.executable, "-m", "gateway.dataplane.shipper"])  # noqa: S606
