"""schemathesis: whatever our own OpenAPI document allows, and much that it does not, never breaks the server."""

from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest
import schemathesis
from django.core.signals import request_finished, request_started
from django.db import close_old_connections
from django.test import Client
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis.core.control import SkipTest
from schemathesis.generation import GenerationMode

from marketplace.core.permissions import SCOPES
from marketplace.services import access, access_tokens
from tests.marketplace import people

EXAMPLES = 3
"""Examples of each operation and mode: enough to find a crash in time, few enough to stay below a minute for all."""
CSRF = "a" * 32

pytestmark = pytest.mark.django_db


@pytest.fixture
def known(alice: people.Party) -> dict[str, list[str]]:
    """Path parameters that lead to something of Alice's, so that calls get past the first 404."""
    api = people.api_make(alice)
    app = people.app_make(alice)
    credential = access.credential_issue(app=app, kind="key_pair", person=alice.person).credential
    grant = people.grant_make(app, api)
    return {
        "organization": [alice.organization.public_id, alice.organization.slug],
        "membership": [alice.organization.memberships.get().public_id],
        "api": [api.public_id],
        "slug": [api.slug, api.public_id],
        "stage": ["test", "pre", "release"],
        "deployment": [api.stages.get(name="release").live_deployment.public_id],
        "app": [app.public_id],
        "credential": [credential.public_id],
        "grant": [grant.public_id],
    }


@pytest.fixture(autouse=True)
def connection_kept(db: None) -> Iterator[None]:
    """Real servers close a connection that is inside a transaction at the end of a request; the test's must stay."""
    for signal in (request_started, request_finished):
        signal.disconnect(close_old_connections)
    yield
    for signal in (request_started, request_finished):
        signal.connect(close_old_connections)


def callers_of(alice: people.Party) -> list[dict[str, dict[str, str]]]:
    """Alice as a program with a token, and as a logged-in person with cookies."""
    issued = access_tokens.access_token_issue(person=alice.person, name="fuzz", scopes=list(SCOPES))
    client = Client()
    client.force_login(alice.person)
    cookies = {**{name: morsel.value for name, morsel in client.cookies.items()}, "tollgate_csrf": CSRF}
    return [
        {"headers": {"Authorization": f"Bearer {issued.text}"}, "cookies": {}},
        {"headers": {"X-CSRFToken": CSRF}, "cookies": cookies},
    ]


@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE])
def test_no_request_breaks_the_server(alice: people.Party, known: dict[str, list[str]], mode: GenerationMode) -> None:
    from config.wsgi import application

    schema = schemathesis.openapi.from_wsgi("/api/v1/schema/?format=json", application)
    schema.config.generation.update(modes=[mode])
    callers = callers_of(alice)
    seen: dict[int, int] = {}

    def check(operation: Any) -> None:
        places = {name: st.sampled_from(known[name]) for name in known if f"{{{name}}}" in operation.path}

        @settings(
            max_examples=EXAMPLES,
            deadline=None,
            database=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(
            case=operation.as_strategy(generation_mode=mode),
            places=st.fixed_dictionaries(places),
            caller=st.sampled_from(callers),
            is_known=st.integers(0, 4),
        )
        def run(case: Any, places: dict[str, str], caller: dict[str, dict[str, str]], is_known: int) -> None:
            if is_known:
                case.path_parameters.update(places)
            case.headers = {**(case.headers or {}), **caller["headers"], "If-Match": "*"}
            case.cookies = caller["cookies"]
            response = case.call()
            seen[response.status_code] = seen.get(response.status_code, 0) + 1
            assert response.status_code < 500, (case.method, case.formatted_path, case.query, case.body, response.text)

        with suppress(SkipTest):  # an operation without input cannot be called wrongly
            run()

    count = 0
    for found in schema.get_all_operations():
        operation = found.ok()
        if "/schema/" in operation.path:
            continue
        count += 1
        check(operation)
    assert count >= 50
    assert seen.get(200 if mode is GenerationMode.POSITIVE else 400, 0) > 10, seen
