"""`manage.py demo`: what one needs to use the demo, for people or, with --json, for programs (the shape is a promise)."""

import json
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils.translation import gettext as _

from config.runtime.greeting import demo_addresses, demo_read, demo_show
from config.runtime.running import addresses_now


class Command(BaseCommand):
    """Shows what the demo's loader wrote down, with the addresses of what runs on this var folder, if anything does."""

    help = "Show the demo's addresses, people and credentials."

    def add_arguments(self, parser: CommandParser) -> None:
        """--json."""
        parser.add_argument("--json", action="store_true", help="one JSON object on standard output")

    def handle(self, *args: Any, **options: Any) -> None:
        """Read and show. Fails when there is no demo."""
        kept = demo_read(settings.TOLLGATE.var)
        if kept is None or not settings.TOLLGATE.is_demo:
            raise CommandError(_("There is no demo here. Start it with: make run"))
        addresses = addresses_now(settings.TOLLGATE)
        demo = demo_addresses(kept, addresses)
        if options["json"]:
            self.stdout.write(json.dumps(demo, indent=2))
        else:
            demo_show(demo, addresses)
