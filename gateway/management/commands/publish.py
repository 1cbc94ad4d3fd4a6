"""manage.py publish: fill Valkey from PostgreSQL. Run by the supervisor at start, and by hand after a restore."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils.translation import gettext as _

from gateway.errors import PublishFailed
from gateway.services.publish import publish_all, publish_heal


class Command(BaseCommand):
    """A thin door to publish_all and publish_heal."""

    help = "Publish the snapshot and the whole directory to the gateways."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--if-missing", action="store_true", help="only when Valkey has lost its data")

    def handle(self, *args: Any, if_missing: bool, **options: Any) -> None:
        try:
            rebuilt = publish_heal() if if_missing else publish_all()
        except PublishFailed as fault:
            raise CommandError(fault.message) from fault
        if rebuilt is None:
            self.stdout.write(_("Nothing to do: gateways have a snapshot and a directory."))
            return
        self.stdout.write(
            _("Snapshot %(version)d is in force; %(apps)d apps published, %(swept)d dead keys removed.")
            % {"version": rebuilt.version, "apps": rebuilt.apps, "swept": rebuilt.swept}
        )
