"""schemathesis over billing's part of our OpenAPI document, with ids that exist: whatever is sent, the server does not break."""

from collections.abc import Iterator
from contextlib import suppress
from typing import Any
from unittest import SkipTest

import pytest
import schemathesis
from django.core.signals import request_finished, request_started
from django.db import close_old_connections
from django.utils import timezone
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis.generation import GenerationMode

from billing.services import closing, plans, statements
from marketplace.core.permissions import SCOPES
from marketplace.models import Role
from marketplace.services import accounts
from marketplace.services.access_tokens import access_token_issue
from tests.billing.world import FEE, OVERAGE, World, calls, issue

EXAMPLES = 3
"""Examples of each operation and mode."""
OURS = ("plans", "prices", "meters", "subscriptions", "invoices", "balance", "statements", "finance")


@pytest.fixture(autouse=True)
def connection_kept(db: None) -> Iterator[None]:
    """Real servers close a connection that is inside a transaction at the end of a request; the test's must stay."""
    for signal in (request_started, request_finished):
        signal.disconnect(close_old_connections)
    yield
    for signal in (request_started, request_finished):
        signal.connect(close_old_connections)


@pytest.fixture
def known(world: World) -> dict[str, list[str]]:
    """Path parameters that lead to something."""
    now = timezone.now()
    plan = world.plan(FEE, OVERAGE, alignment="anniversary")
    draft = plans.plan_create(api=world.api, name="Draft", currency="USD", prices=[OVERAGE], person=world.alice)
    subscription = world.subscribe(plan, now)
    calls(subscription, now, 1_200)
    closing.period_close(now=now, subscription_id=subscription.id)
    invoice = issue(subscription.periods.get().invoice, now.isoformat())
    (statement,) = statements.statements_compute(month=now.date(), now=now, providers=[world.provider])
    return {
        "organization": [world.consumer.public_id, world.provider.public_id],
        "api": [world.api.public_id],
        "plan": [plan.public_id, draft.public_id],
        "price": [price.public_id for price in (*plan.prices.all(), *draft.prices.all())],
        "subscription": [subscription.public_id],
        "invoice": [invoice.public_id],
        "line": [line.public_id for line in invoice.lines.all()],
        "statement": [statement.public_id],
    }


@pytest.fixture
def token(world: World) -> str:
    """Everybody in one: the platform's finance, who owns the provider and the consumer."""
    person = accounts.person_create(email="all@example.com", name="All", is_platform_finance=True)
    for organization in (world.provider, world.consumer):
        accounts.member_add(organization=organization, person=person, role=Role.OWNER)
    return access_token_issue(person=person, name="fuzz", scopes=list(SCOPES), organization=None).text


@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE])
def test_no_request_breaks_billing(known: dict[str, list[str]], token: str, mode: GenerationMode) -> None:
    from config.wsgi import application

    schema = schemathesis.openapi.from_wsgi("/api/v1/schema/?format=json", application)
    schema.config.generation.update(modes=[mode])
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
        @given(case=operation.as_strategy(generation_mode=mode), places=st.fixed_dictionaries(places))
        def run(case: Any, places: dict[str, str]) -> None:
            case.path_parameters.update(places)
            case.headers = {**(case.headers or {}), "Authorization": f"Bearer {token}", "If-Match": "*"}
            case.cookies = {}
            response = case.call()
            seen[response.status_code] = seen.get(response.status_code, 0) + 1
            assert response.status_code < 500, (case.method, case.formatted_path, case.query, case.body, response.text)

        with suppress(SkipTest):  # an operation without input cannot be called wrongly
            run()

    count = 0
    for found in schema.get_all_operations():
        operation = found.ok()
        if set(operation.path.split("/")) & set(OURS):
            count += 1
            check(operation)
    assert count >= 35
    assert seen.get(200 if mode is GenerationMode.POSITIVE else 400, 0) > 10, seen
