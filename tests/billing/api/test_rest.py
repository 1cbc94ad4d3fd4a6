"""The story over REST: plans made and published, a subscription, its spend, the invoice's way, the payment; and strangers."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from django.test import Client
from django.utils import timezone

from billing.core.recompute import invoice_recompute
from billing.services.closing import period_close
from marketplace.core.permissions import SCOPES
from marketplace.models import Person
from marketplace.services import accounts, catalog, deployments
from marketplace.services.access_tokens import access_token_issue
from tests.billing.world import World, calls

if TYPE_CHECKING:
    from django.http import HttpResponse

PLAN = {
    "name": "Pro",
    "currency": "EUR",
    "alignment": "anniversary",
    "limits": {"rates": [{"calls": 10, "period_s": 1}], "quota": {"units": 5_000, "window": "period"}},
    "prices": [
        {"name": "Monthly fee", "kind": "flat", "unit_amount": "29"},
        {
            "name": "Calls",
            "kind": "included",
            "included_units": 1_000,
            "tiers": [{"up_to": 10_000, "unit_amount": "0.0021"}, {"unit_amount": "0.0007"}],
        },
    ],
}


class Caller:
    """A program with somebody's access token."""

    def __init__(self, person: Person) -> None:
        issued = access_token_issue(person=person, name="test", scopes=list(SCOPES), organization=None)
        self.headers = {"Authorization": f"Bearer {issued.text}"}

    def call(self, method: str, path: str, body: Any = None, **headers: str) -> HttpResponse:
        data = "" if body is None else json.dumps(body)
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        return Client(raise_request_exception=True).generic(
            method, f"/api/v1/{path}", data, content_type="application/json", headers={**self.headers, **names}
        )

    def get(self, path: str) -> Any:
        answer = self.call("GET", path)
        assert answer.status_code == 200, answer.content
        return answer.json()

    def post(self, path: str, body: Any = None, status: int = 200, **headers: str) -> Any:
        answer = self.call("POST", path, {} if body is None else body, **headers)
        assert answer.status_code == status, answer.content
        return answer.json()


@pytest.fixture
def world(world: World) -> World:
    """The same, with the Api live in the catalogue."""
    catalog.stage_upstream_set(api=world.api, stage="release", url="http://127.0.0.1:9000", person=world.alice)
    deployments.deployment_publish(api=world.api, stage="release", person=world.alice)
    return world


@pytest.fixture
def finance(db: None) -> Caller:
    """The platform's finance."""
    return Caller(accounts.person_create(email="fin@example.com", name="Fin", is_platform_finance=True))


def test_the_whole_story_over_rest(world: World, finance: Caller) -> None:
    alice, bob = Caller(world.alice), Caller(world.bob)
    plan = alice.post(f"apis/{world.api.public_id}/plans", PLAN, 201)
    assert bob.get(f"apis/{world.api.public_id}/plans")["data"] == []
    alice.post(f"plans/{plan['id']}/publish")
    (offered,) = bob.get(f"apis/{world.api.public_id}/plans")["data"]
    assert offered["prices"][1]["tiers"][1] == {"up_to": None, "unit_amount": "0.0007", "flat_amount": "0"}

    wanted = {"app": world.app.public_id, "plan": plan["id"]}
    home = f"organizations/{world.consumer.public_id}"
    first = bob.post(f"{home}/subscriptions", wanted, 201, idempotency_key="s1")
    assert bob.post(f"{home}/subscriptions", wanted, 201, idempotency_key="s1") == first
    assert bob.post(f"{home}/subscriptions", wanted, 409)["code"] == "already_subscribed"

    subscription = world.app.subscriptions.get()
    calls(subscription, timezone.now(), 1_500)
    period_close(now=timezone.now(), subscription_id=subscription.id)
    usage = bob.get(f"subscriptions/{first['id']}/usage")
    assert usage["spent"] == {"amount": "30.05", "currency": "EUR"}
    assert (usage["quota"]["used"], usage["quota"]["left"]) == (1_500, 3_500)
    assert usage["meters"][0]["projected_units"] >= 1_500

    (row,) = finance.get("finance/review")["data"]
    draft = row["invoice"]["id"]
    assert len(row["reasons"]) == 2
    assert bob.call("GET", f"invoices/{draft}").status_code == 404
    for step in ("refresh", "submit", "approve", "issue"):
        invoice = finance.post(f"finance/invoices/{draft}/{step}")
    assert invoice["number"].endswith("000001")
    assert finance.post(f"finance/invoices/{draft}/issue")["pdf_sha256"] == invoice["pdf_sha256"]

    (mine,) = bob.get(f"{home}/invoices")["data"]
    shown = bob.get(f"invoices/{mine['id']}")
    line = shown["lines"][1]
    assert line["amount"] == {"amount": "1.05", "currency": "EUR"}
    (hour,) = bob.get(f"invoices/{mine['id']}/lines/{line['id']}/hours")["data"]
    assert hour["units"] == 1_500
    assert bob.call("GET", f"invoices/{mine['id']}/pdf").content.startswith(b"%PDF")
    findings = invoice_recompute(bob.get(f"invoices/{mine['id']}/evidence"))
    assert [finding.fault for finding in findings] == ["", "", ""]

    transfer = {"amount": "30.05", "reference": "bank", "received_on": timezone.now().date().isoformat()}
    paid = finance.post(f"finance/invoices/{draft}/payments", transfer, 201, idempotency_key="p1")
    assert finance.post(f"finance/invoices/{draft}/payments", transfer, 201, idempotency_key="p1") == paid
    assert bob.get(f"invoices/{mine['id']}")["payment_status"] == "paid"
    assert bob.get(f"{home}/balance")["owes"] == [{"amount": "0.00", "currency": "EUR"}]
    keys = [f"{'k' * 254}{end}" for end in "ab"]  # as long as a key may be, and told apart by its last character
    made = {
        finance.post(f"finance/invoices/{draft}/payments", transfer, 201, idempotency_key=key)["id"] for key in keys
    }
    assert len(made) == 2
    assert bob.get(f"{home}/balance")["owes"] == [{"amount": "-60.10", "currency": "EUR"}]

    month = timezone.now().date().isoformat()
    (statement,) = finance.post("finance/statements", {"month": month})["data"]
    assert statement["share"] == {"amount": "25.54", "currency": "EUR"}
    assert alice.get(f"statements/{statement['id']}")["lines"][0]["gross_minor"] == 3_005
    assert alice.call("GET", f"statements/{statement['id']}/pdf").content.startswith(b"%PDF")


def test_a_stranger_is_told_that_nothing_exists_and_a_consumer_is_not_finance(world: World, finance: Caller) -> None:
    plan = plans_make(world)
    subscription = world.subscribe(plan, timezone.now())
    period_close(now=timezone.now(), subscription_id=subscription.id)
    draft = finance.get("finance/review")["data"][0]["invoice"]["id"]
    for step in ("submit", "approve", "issue"):
        finance.post(f"finance/invoices/{draft}/{step}")
    charlie, bob = Caller(accounts.person_create(email="charlie@example.com", name="Charlie")), Caller(world.bob)
    home = f"organizations/{world.consumer.public_id}"
    for path in (
        f"invoices/{draft}",
        f"invoices/{draft}/pdf",
        f"invoices/{draft}/evidence",
        f"invoices/{draft}/payments",
        f"{home}/invoices",
        f"{home}/subscriptions",
        f"{home}/balance",
        f"subscriptions/{subscription.public_id}",
        f"subscriptions/{subscription.public_id}/usage",
    ):
        assert charlie.call("GET", path).status_code == 404, path
        assert Client().get(f"/api/v1/{path}").status_code == 401, path
    for path in ("finance/review", "finance/invoices"):
        assert bob.call("GET", path).status_code == 403
    for step in ("submit", "void", "payments"):
        assert bob.call("POST", f"finance/invoices/{draft}/{step}", {}).status_code in (400, 403)
    assert bob.call("POST", f"finance/invoices/{draft}/issue", {}).status_code == 403
    assert charlie.call("POST", f"subscriptions/{subscription.public_id}/cancel", {}).status_code == 404
    assert charlie.call("POST", f"plans/{plan.public_id}/retire", {}).status_code == 404


def plans_make(world: World) -> Any:
    from tests.billing.world import FEE

    return world.plan(FEE, alignment="anniversary")


def test_every_fault_of_a_plan_is_reported_with_a_pointer_to_it(world: World) -> None:
    wrong = {
        **PLAN,
        "currency": "XXX",
        "limits": {"quota": {"units": 5, "window": "day", "charged": ["nonsense"]}},
        "prices": [
            {"name": "A", "kind": "flat", "unit_amount": "-1"},
            {"name": "B", "kind": "graduated", "tiers": [{"up_to": 5, "unit_amount": "1"}]},
            {"name": "C", "kind": "package", "unit_amount": "0.0000000000001", "package_size": 10},
        ],
    }
    problem = Caller(world.alice).post(f"apis/{world.api.public_id}/plans", wrong, 400)
    assert {fault["pointer"] for fault in problem["errors"]} == {
        "/currency",
        "/limits/quota/charged",
        "/prices/0/unit_amount",
        "/prices/1/tiers/0/up_to",
        "/prices/2/unit_amount",
    }


@pytest.mark.parametrize("amount", ["0", "-1", "1e3", "12.345", "NaN", "9" * 40])
def test_a_payment_of_no_plain_amount_is_a_client_error(world: World, finance: Caller, amount: str) -> None:
    subscription = world.subscribe(plans_make(world), timezone.now())
    period_close(now=timezone.now(), subscription_id=subscription.id)
    draft = finance.get("finance/review")["data"][0]["invoice"]["id"]
    for step in ("submit", "approve", "issue"):
        finance.post(f"finance/invoices/{draft}/{step}")
    body = {"amount": amount, "reference": "x", "received_on": timezone.now().date().isoformat()}
    assert "errors" in finance.post(f"finance/invoices/{draft}/payments", body, 400)
