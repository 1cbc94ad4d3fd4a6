"""A shipper that is away does so aloud: gauges rise while nothing is shipped, the doctor names it, and all is well afterwards."""

from __future__ import annotations

import dataclasses
import re
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from django.conf import settings

from config.management.commands import doctor
from tests import servers
from tests.gateway.auth.clients import send
from tests.waiting import eventually

if TYPE_CHECKING:
    from tests.gateway.auth.conftest import Live

from tests.gateway.auth.conftest import live_make  # noqa: F401  (a fixture)

pytestmark = pytest.mark.django_db(transaction=True)

SEEN_S_MAX = 30.0


def gauge(live: Live, name: str) -> float:
    """The value of a metric without labels; -1 while nobody has said it."""
    with urllib.request.urlopen(f"{live.gateway.metrics_url}/metrics", timeout=10) as answer:
        found = re.search(rf"^{name} (\S+)$", answer.read().decode(), re.MULTILINE)
    return -1.0 if found is None else float(found.group(1))


def call(live: Live) -> int:
    return send(live.url, "/shop/echo", headers={"Authorization": f"APPCODE {live.world.code.app_code}"}).status


def test_nothing_that_is_shipped_shows_in_the_gauges_and_at_the_doctors_until_it_is_shipped(
    live_make: Callable[..., Live],  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    live = live_make()
    here = dataclasses.replace(settings.TOLLGATE, journal_dir=Path(live.environment["TOLLGATE_JOURNAL_DIR"]))
    monkeypatch.setattr(settings, "TOLLGATE", here)
    monkeypatch.setattr(doctor, "JOURNAL_LAG_S_MAX", 1.0)
    assert call(live) == 200
    assert eventually(lambda: gauge(live, "tollgate_journal_unsealed_seconds") > 1, within_s=SEEN_S_MAX)
    first = gauge(live, "tollgate_journal_unsealed_seconds")
    assert eventually(lambda: gauge(live, "tollgate_journal_unsealed_seconds") > first + 1, within_s=SEEN_S_MAX)
    assert "start the shipper" in doctor.journal_fault()

    away = {**live.environment, "DATABASE_URL": "postgresql://nobody@127.0.0.1:9/none"}
    with servers.shipper(away):
        assert eventually(lambda: gauge(live, "tollgate_shipper_backlog_files") >= 1, within_s=SEEN_S_MAX)
        assert gauge(live, "tollgate_shipper_database_up") == 0
        assert eventually(lambda: gauge(live, "tollgate_shipper_backlog_oldest_seconds") > first, within_s=SEEN_S_MAX)

    with servers.shipper(live.environment):
        assert eventually(lambda: gauge(live, "tollgate_shipper_backlog_files") == 0, within_s=SEEN_S_MAX)
        assert eventually(lambda: doctor.journal_fault() == "", within_s=SEEN_S_MAX)
