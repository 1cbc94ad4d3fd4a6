"""All of our OpenAPI document, called by a program and by a person: whatever is sent, the server does not break."""

import pytest
from django.test import Client
from schemathesis.generation import GenerationMode

from marketplace.core.permissions import SCOPES
from marketplace.services import access, access_tokens
from tests.fuzz import EVERY_MODE, Caller, fuzz
from tests.marketplace import people

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


def callers_of(alice: people.Party) -> list[Caller]:
    """Alice as a program with a token, and as a logged-in person with cookies."""
    issued = access_tokens.access_token_issue(person=alice.person, name="fuzz", scopes=list(SCOPES))
    client = Client()
    client.force_login(alice.person)
    cookies = {**{name: morsel.value for name, morsel in client.cookies.items()}, "tollgate_csrf": CSRF}
    return [
        Caller({"Authorization": f"Bearer {issued.text}"}),
        Caller({"X-CSRFToken": CSRF}, cookies),
    ]


@EVERY_MODE
def test_no_request_breaks_the_server(alice: people.Party, known: dict[str, list[str]], mode: GenerationMode) -> None:
    fuzz(
        mode=mode,
        known=known,
        callers=callers_of(alice),
        is_ours=lambda path: "/schema/" not in path,
        operations_min=50,
    )
