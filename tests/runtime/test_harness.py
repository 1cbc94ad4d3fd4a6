"""The test harness itself: real stores, real programs, nothing left behind."""

import os

import pytest
from django.conf import settings
from django.db import connection

from tests import servers


@pytest.mark.django_db
def test_the_database_is_a_real_postgresql() -> None:
    with connection.cursor() as cursor:
        cursor.execute("select current_database(), current_setting('server_version_num')::int")
        name, version = cursor.fetchone()
    assert name.startswith("test_tollgate")
    assert version >= 160000


def test_a_worker_has_an_empty_valkey_database_of_its_own(valkey) -> None:
    assert valkey.dbsize() == 0
    valkey.set("left", "behind")
    assert valkey.get("left") == b"behind"


def test_the_settings_point_at_the_workers_own_valkey_database(valkey) -> None:
    assert settings.TOLLGATE.valkey_url == settings.CACHES["default"]["LOCATION"] == os.environ["VALKEY_URL"]


def test_what_another_test_left_in_valkey_is_gone(valkey) -> None:
    assert valkey.get("left") is None


def test_the_portal_is_ready_on_the_tests_own_database(live_environment) -> None:
    with servers.portal(live_environment) as portal:
        assert servers.answers(f"{portal.url}/readyz?verbose")
        assert servers.answers(f"{portal.url}/livez")


def test_stores_of_ones_own_come_back_after_a_kill() -> None:
    with servers.stores(is_migrated=False) as stores:
        stores.valkey.kill()
        stores.postgres.kill()
        stores.valkey.restart()
        stores.postgres.restart()
        stores.postgres.wait_ready()
        stores.valkey.wait_ready()


def test_chromium_opens_a_page(page) -> None:
    page.set_content("<h1>Tollgate</h1>")
    assert page.inner_text("h1") == "Tollgate"
