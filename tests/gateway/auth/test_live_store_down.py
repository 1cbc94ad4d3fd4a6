"""Valkey is away: what authentication still decides, what it refuses, and that the metrics say so."""

import shutil
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
from django.conf import settings
from django.test import override_settings

from config.embedded.valkey import Valkey
from gateway.services.publish import publish_all
from tests import harness, servers
from tests.gateway.auth.clients import send, send_signed, signed
from tests.gateway.auth.world import World, world_make
from tests.waiting import eventually

ECHO = "/shop/echo"


@pytest.fixture
def own_valkey() -> Iterator[Valkey]:
    """A Valkey of this test alone, which it may stop."""
    folder = harness.folder_make()
    valkey = Valkey(home=folder / "valkey")
    valkey.start()
    yield valkey
    valkey.stop()
    shutil.rmtree(folder, ignore_errors=True)


Served = tuple[servers.Program, World]


@pytest.fixture
def served(live_environment: dict[str, str], own_valkey: Valkey) -> Iterator[Callable[..., Served]]:
    """A gateway on the Valkey that may be stopped."""
    from contextlib import ExitStack

    with ExitStack() as stack:

        def serve(policies: dict[str, Any], **extra: str) -> Served:
            environment = {**live_environment, "VALKEY_URL": own_valkey.url()}
            upstream = stack.enter_context(servers.upstream(environment))
            own = replace(settings.TOLLGATE, valkey_url=own_valkey.url())
            stack.enter_context(override_settings(TOLLGATE=own))
            world = world_make(upstream_url=upstream.url, policies=policies)
            publish_all()
            return stack.enter_context(servers.gateway(environment, **extra)), world

        yield serve


@pytest.mark.parametrize(
    ("policies", "mode", "status"),
    [
        ({}, "route", 200),
        ({"nonce_required": True}, "route", 503),
        ({}, "deny", 503),
        ({"nonce_required": True}, "allow", 200),
    ],
    ids=["ordinary", "demanded", "deny", "allow"],
)
def test_a_nonce_that_cannot_be_checked_passes_or_not_as_the_setting_says(
    served: Callable[..., Served], own_valkey: Valkey, policies: dict[str, Any], mode: str, status: int
) -> None:
    gateway, world = served(policies, TOLLGATE_NONCE_STORE_DOWN=mode)
    key, secret = world.pair.app_key, world.pair.app_secret
    assert send_signed(gateway.url, signed(gateway.url, key, secret)).status == 200
    own_valkey.stop()
    answer = send_signed(gateway.url, signed(gateway.url, key, secret))
    assert answer.status == status, answer.message
    if status == 503:
        assert (answer.code, answer.headers["retry-after"]) == ("X503BZ", "1")
    assert eventually(lambda: "tollgate_nonces_unchecked_total 1" in metrics(gateway), within_s=2)


def test_known_callers_are_served_and_unknown_ones_asked_to_come_back(
    served: Callable[..., Served], own_valkey: Valkey
) -> None:
    gateway, world = served({})
    known = {"Authorization": f"APPCODE {world.code.app_code}"}
    assert send(gateway.url, ECHO, headers=known).status == 200
    own_valkey.stop()
    assert send(gateway.url, ECHO, headers=known).status == 200
    unknown = send(gateway.url, ECHO, headers={"Authorization": "APPCODE " + "0" * 32})
    assert (unknown.status, unknown.code) == (503, "X503BZ")
    own_valkey.start()
    assert eventually(
        lambda: send(gateway.url, ECHO, headers={"Authorization": "APPCODE " + "1" * 32}).code == "A400AC", within_s=10
    )


def metrics(gateway: servers.Program) -> str:
    """The gateway's metrics page."""
    with urllib.request.urlopen(f"{gateway.metrics_url}/metrics", timeout=5) as answer:
        return str(answer.read().decode())
