"""manage.py usage_partitions: make the months of the usage tables by hand, and move rows out of the default partition."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand
from django.utils.translation import gettext as _

from marketplace.services.partitions import (
    MONTHS_AHEAD,
    usage_default_months,
    usage_partition_move,
    usage_partitions_make,
)


class Command(BaseCommand):
    """A thin door to the partition services."""

    help = "Make the monthly partitions of usage that are missing; --move puts rows of the default partition into months of their own."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Say how far ahead, and whether rows may move."""
        parser.add_argument(
            "--ahead", type=int, default=MONTHS_AHEAD, help="months after this one (default: %(default)s)"
        )
        parser.add_argument(
            "--move", action="store_true", help="lock each table while its rows move out of the default partition"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Move first: a month whose rows lie in the default partition cannot be made otherwise."""
        waiting = usage_default_months()
        for table, months in waiting.items():
            for month in months:
                if options["move"]:
                    rows = usage_partition_move(table=table, month=month)
                    values = {"count": rows, "name": f"{table}_{month.suffix}"}
                    self.stdout.write(_("%(count)d rows moved into %(name)s.") % values)
                else:
                    values = {"table": table, "month": month.suffix}
                    self.stdout.write(
                        _("%(table)s: rows of %(month)s lie in the default partition; --move gives them their own.")
                        % values
                    )
        made = usage_partitions_make(ahead=options["ahead"])
        self.stdout.write("\n".join(made) if made else _("No month is missing."))
