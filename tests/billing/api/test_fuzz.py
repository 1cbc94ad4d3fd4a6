"""Billing's part of our OpenAPI document, with ids that exist: whatever is sent, the server does not break."""

import pytest
from django.utils import timezone
from schemathesis.generation import GenerationMode

from billing.services import closing, plans, statements
from marketplace.core.permissions import SCOPES
from marketplace.models import Role
from marketplace.services import accounts
from marketplace.services.access_tokens import access_token_issue
from tests.billing.world import FEE, OVERAGE, World, calls, issue
from tests.fuzz import EVERY_MODE, Caller, fuzz

OURS = {"plans", "prices", "meters", "subscriptions", "invoices", "balance", "statements", "finance"}


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


@EVERY_MODE
def test_no_request_breaks_billing(known: dict[str, list[str]], token: str, mode: GenerationMode) -> None:
    fuzz(
        mode=mode,
        known=known,
        callers=[Caller({"Authorization": f"Bearer {token}"})],
        is_ours=lambda path: bool(OURS & set(path.split("/"))),
        operations_min=35,
    )
