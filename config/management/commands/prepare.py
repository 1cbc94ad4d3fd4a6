"""`manage.py prepare`: migrations, static files, demo data on first start, and the gateway's snapshot.

The supervisor shows its lines.
"""

import time
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand

from config.demo.load import demo_is_loaded, demo_load


class Command(BaseCommand):
    """Brings the stores to the state that the processes need. Safe to repeat."""

    help = "Migrate, load the demo on first start, publish to the gateways."

    def handle(self, *args: Any, **options: Any) -> None:
        """Run the steps, each with its time."""
        self._step("migrate", lambda: call_command("migrate", interactive=False, verbosity=0))
        if not settings.WHITENOISE_USE_FINDERS:  # then files are served from STATIC_ROOT, by names with their hashes
            self._step("static", lambda: call_command("collectstatic", interactive=False, verbosity=0))
        if settings.TOLLGATE.is_demo and not demo_is_loaded():
            self._step("demo data", lambda: demo_load(upstream_url=f"http://{settings.TOLLGATE.upstream_bind}"))
        self._step("publish", lambda: call_command("publish"))

    def _step(self, name: str, run: Any) -> None:
        started = time.monotonic()
        run()
        self.stdout.write(f"step: {name:<10} {time.monotonic() - started:.1f} s")
        self.stdout.flush()
