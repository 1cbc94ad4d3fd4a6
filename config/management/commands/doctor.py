"""`manage.py doctor`: what is wrong here, one sentence each, with what to do about it. It changes nothing."""

import os
import shutil
import sys
import time
from collections.abc import Callable
from typing import Any

import psycopg
from django.conf import settings
from django.core.cache import cache
from django.core.management.base import BaseCommand, CommandError
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.utils.translation import gettext as _

from config.bootstrap import FILES, pins, python_check
from config.runtime.plan import stores_plan, url_answers
from config.runtime.running import addresses_now
from gateway.dataplane.exposition import journal_lag_s
from marketplace.services.partitions import usage_default_months

DISK_FREE_BYTES_MIN = 512 * 1024 * 1024
JOURNAL_LAG_S_MAX = 60.0
"""Sealed segments are shipped within seconds; so long none is a stall."""


class Command(BaseCommand):
    """Runs every check, whatever the others say."""

    help = "Check the environment, the stores and the processes, and say what to do about each fault."

    def handle(self, *args: Any, **options: Any) -> None:
        """Print a line for each check. Fails when one has a fault."""
        faults = 0
        for name, check in CHECKS.items():
            fault = check()
            faults += bool(fault)
            self.stdout.write(f"  {'FAULT' if fault else 'ok':<6} {name:<12} {fault}".rstrip())
        if faults:
            raise CommandError(_("%(count)d fault(s) found.") % {"count": faults})


def python_fault() -> str:
    """Is Python new enough, and are the pinned packages here?"""
    from importlib import metadata

    wrong = []
    for pin in pins(FILES["run"]):
        name, _separator, version = pin.partition("==")
        try:
            found = metadata.version(name.partition("[")[0])
        except metadata.PackageNotFoundError:
            found = _("missing")
        if found != version:
            wrong.append(f"{name} {found}")
    if wrong:
        return _("Packages differ from requirements.txt (%(names)s): run make run again.") % {
            "names": ", ".join(wrong[:5])
        }
    return python_check(sys.version_info)


def disk_fault() -> str:
    """Is there room, and may we write?"""
    var = settings.TOLLGATE.var
    if not var.exists():
        return _("%(folder)s does not exist: start Tollgate once with make run.") % {"folder": var}
    if not os.access(var, os.W_OK):
        return _("%(folder)s cannot be written: change its owner, or set TOLLGATE_VAR.") % {"folder": var}
    free = shutil.disk_usage(var).free
    if free < DISK_FREE_BYTES_MIN:
        return _("Only %(free)d MB are free below %(folder)s: make room.") % {"free": free // 1024**2, "folder": var}
    return ""


def postgres_fault() -> str:
    """Does PostgreSQL answer?"""
    try:
        psycopg.connect(settings.TOLLGATE.database_url, connect_timeout=3).close()
    except psycopg.OperationalError as fault:
        return _("PostgreSQL does not answer (%(why)s): %(fix)s") % {"why": _first_line(fault), "fix": _start_hint(0)}
    return ""


def migrations_fault() -> str:
    """Are the tables up to date?"""
    if postgres_fault():
        return _("Cannot be checked without PostgreSQL.")
    executor = MigrationExecutor(connection)
    waiting = executor.migration_plan(executor.loader.graph.leaf_nodes())
    if waiting:
        return _("%(count)d migrations wait: run python manage.py migrate.") % {"count": len(waiting)}
    return ""


def partitions_fault() -> str:
    """Has each month of usage a partition of its own?"""
    if postgres_fault() or migrations_fault():
        return _("Cannot be checked before PostgreSQL and its migrations are well.")
    months = sorted({month.suffix for found in usage_default_months().values() for month in found})
    if months:
        return _("Usage of %(months)s lies in the default partition: run python manage.py usage_partitions --move.") % {
            "months": ", ".join(months[:5])
        }
    return ""


def valkey_fault() -> str:
    """Does Valkey answer, and does it hold what the gateways need?"""
    try:
        cache.get("doctor")
    except Exception as fault:  # noqa: BLE001  (whatever the client raises, the answer is the same)
        return _("Valkey does not answer (%(why)s): %(fix)s") % {"why": _first_line(fault), "fix": _start_hint(1)}
    return ""


def portal_fault() -> str:
    """Does the portal answer?"""
    return _door_fault(addresses_now(settings.TOLLGATE).portal_bind, "portal")


def gateway_fault() -> str:
    """Is the gateway ready?"""
    return _door_fault(addresses_now(settings.TOLLGATE).metrics_bind, "gateway")


def journal_fault() -> str:
    """Does the usage that gateways of this node have sealed get to PostgreSQL?"""
    folder = settings.TOLLGATE.journal_dir
    lag_s = journal_lag_s(folder, time.time())
    if lag_s <= JOURNAL_LAG_S_MAX:
        return ""
    return _(
        "Usage has waited %(seconds)d s below %(folder)s: start the shipper (make run starts it), or look why it cannot "
        "write to PostgreSQL. Nothing is lost, but nothing of it is billed before."
    ) % {"seconds": lag_s, "folder": folder}


def _door_fault(bind: str, name: str) -> str:
    if url_answers(f"http://{bind}/readyz"):
        return ""
    log = settings.TOLLGATE.var / "logs" / f"{name}.log"
    values = {"name": name, "bind": bind, "log": log}
    if log.exists():
        return _("The %(name)s is not ready at %(bind)s: start it with make run, or look into %(log)s.") % values
    return _("The %(name)s is not ready at %(bind)s: start it with make run. It has written no log yet.") % values


def _start_hint(store: int) -> str:
    is_embedded = stores_plan(settings.TOLLGATE, os.environ)[store] is not None
    if is_embedded:
        return _("it is the embedded one; start it with make run.")
    return _("check the URL in %(name)s and that the server runs.") % {"name": ("DATABASE_URL", "VALKEY_URL")[store]}


def _first_line(fault: Exception) -> str:
    return (str(fault).strip().splitlines() or [type(fault).__name__])[0][:160]


CHECKS: dict[str, Callable[[], str]] = {
    "python": python_fault,
    "disk": disk_fault,
    "postgres": postgres_fault,
    "migrations": migrations_fault,
    "partitions": partitions_fault,
    "valkey": valkey_fault,
    "portal": portal_fault,
    "gateway": gateway_fault,
    "journal": journal_fault,
}
