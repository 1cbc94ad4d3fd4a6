"""Fixtures of every test: the shared stores, the environment of real programs, a browser. Who starts what is in harness."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from tests import harness, servers
from tests.chromium import chromium_find, chromium_open

RUN = harness.environment_prepare()
SHARED = harness.SharedServers(RUN)
LONGEST = ("test_chaos.py", "test_exact_quota.py", "test_fuzz.py", "test_story.py")
DATABASE_FIXTURES = {
    "db",
    "transactional_db",
    "django_db_reset_sequences",
    "django_db_setup",
    "live_environment",
    "valkey",
}


@pytest.hookimpl(tryfirst=True)
def pytest_configure() -> None:
    """Read the settings now: pytest-django looks for them before this file has chosen the stores, and again after it."""
    import django

    django.setup()
    # xdist's workers inherit this environment: with the variable set, pytest-django would read the settings there before
    # this file has given the worker its own Valkey database.
    os.environ.pop("DJANGO_SETTINGS_MODULE", None)


@pytest.hookimpl(trylast=True)
def pytest_sessionstart(session: pytest.Session) -> None:
    """Under xdist the controller starts the stores while its workers collect."""
    if session.config.pluginmanager.hasplugin("dsession") and not session.config.option.collectonly:
        SHARED.start()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest tests first, so that none is left alone at the end; those with a browser last.

    Playwright's synchronous API keeps an event loop in the thread of its worker, where no asynchronous test can run then.
    """
    items.sort(key=_turn)


def _turn(item: pytest.Item) -> tuple[bool, bool]:
    is_long = "slow" in item.keywords or item.path.name in LONGEST
    return "browser" in getattr(item, "fixturenames", ()), not is_long


def pytest_sessionfinish() -> None:
    """Stop what this process started; workers have started nothing."""
    SHARED.stop()


@pytest.fixture(scope="session")
def stores_shared() -> harness.SharedServers:
    """The PostgreSQL and Valkey of this run, answering."""
    if "PYTEST_XDIST_WORKER" in os.environ:
        SHARED.wait()
    else:
        SHARED.start()
    return SHARED


@pytest.fixture(scope="session")
def django_db_modify_db_settings(
    stores_shared: harness.SharedServers, django_db_modify_db_settings_parallel_suffix: None
) -> None:
    """Before pytest-django makes its database: the server must run, and each worker's database has its own name."""


@pytest.fixture(autouse=True)
def _valkey_emptied(request: pytest.FixtureRequest) -> None:
    """Each test that uses the stores begins with an empty Valkey database of its worker."""
    uses_stores = request.node.get_closest_marker("django_db") or DATABASE_FIXTURES & set(request.fixturenames)
    if uses_stores:
        request.getfixturevalue("stores_shared")
        _valkey_client().flushdb()


@pytest.fixture
def valkey(stores_shared: harness.SharedServers) -> Iterator[Any]:
    """A redis-py client of this worker's own, empty Valkey database."""
    client = _valkey_client()
    yield client
    client.close()


@pytest.fixture
def live_environment(transactional_db: None, stores_shared: harness.SharedServers) -> Iterator[dict[str, str]]:
    """The environment for real programs that share the test's database: pass it to the starters of `tests.servers`."""
    from django.db import connection

    folder = harness.folder_make()
    socket_folder, name = quote(connection.settings_dict["HOST"], safe=""), connection.settings_dict["NAME"]
    yield servers.environment_make(
        var=folder / "var",
        database_url=f"postgresql://{connection.settings_dict['USER']}@{socket_folder}:5432/{name}",
        valkey_url=os.environ["VALKEY_URL"],
    )
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """Debian's Chromium, headless; a test that asks for it is skipped, with the reason shown, where there is none."""
    if chromium_find() is None:
        pytest.skip("no browser: install Debian's package chromium to run the browser tests")
    from playwright.sync_api import sync_playwright

    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "1"  # Playwright's synchronous API keeps an event loop in this thread
    with sync_playwright() as playwright:
        chromium = chromium_open(playwright)
        yield chromium
        chromium.close()


@pytest.fixture
def page(browser: Any, tmp_path: Path) -> Iterator[Any]:
    """A page of a fresh browser profile; errors in its console fail nothing by themselves: look at them where it matters."""
    context = browser.new_context(locale="en-GB", accept_downloads=True)
    yield context.new_page()
    context.close()


def _valkey_client() -> Any:
    import redis

    return redis.Redis.from_url(os.environ["VALKEY_URL"])
