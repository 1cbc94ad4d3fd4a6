"""Who may see money, by page and by REST: for each role both doors give the same answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from django.test import Client

from marketplace.core.permissions import SCOPES
from tests.people import client_of

if TYPE_CHECKING:
    from marketplace.models import Person

WHO = ("owner", "developer", "finance", "viewer", "stranger", "platform operator", "platform finance")
SETTLERS = {"owner", "finance"}
MEMBERS = {"owner", "developer", "finance", "viewer"}
THINGS = ("invoices", "statements", "balances", "subscriptions", "usage", "ledger")
SEEN_BY = {
    "invoices": SETTLERS | {"platform finance"},
    "statements": SETTLERS | {"platform finance"},
    "balances": SETTLERS | {"platform finance"},
    "subscriptions": MEMBERS - {"viewer"} | {"platform finance"},
    "usage": MEMBERS | {"platform operator", "platform finance"},
    "ledger": {"platform finance"},
}
"""Thing → who may see it."""

REST_ONLY = {
    ("usage", "platform operator"),
    ("usage", "platform finance"),
    ("subscriptions", "platform finance"),
    ("balances", "platform finance"),
}
"""The platform's people have no pages inside an organization; what they have no page of, REST alone tells them."""


SEEN = {200, 410}
"""410: the caller may see it, but these calls have left no evidence file."""


@pytest.fixture(scope="module")
def doors(django_db_setup: None, django_db_blocker: Any) -> Any:
    """People by role; the paths of pages and of REST by thing. Made once, in a transaction that is rolled back."""
    from django.db import transaction

    with django_db_blocker.unblock():
        outer = transaction.atomic()
        outer.__enter__()
        try:
            yield _people_and_paths()
        finally:
            transaction.set_rollback(True)
            outer.__exit__(None, None, None)


def _people_and_paths() -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    from datetime import date

    from billing.services.statements import statement_compute, statement_issue
    from marketplace.services import accounts
    from tests.billing.world import FEE, PER_CALL, calls, close, issue, moment, world_make

    world = world_make()
    people: dict[str, Any] = {"owner": None}
    for role in ("developer", "finance", "viewer"):
        people[role] = accounts.person_create(email=f"{role}@example.com", name=role)
        for organization in (world.consumer, world.provider):
            accounts.member_add(organization=organization, person=people[role], role=role)
    accounts.member_add(organization=world.consumer, person=world.alice, role="owner")
    people["owner"] = world.alice
    people["stranger"] = accounts.person_create(email="charlie@example.com", name="Charlie")
    people["platform operator"] = accounts.person_create(email="op@example.com", name="Op", is_platform_operator=True)
    people["platform finance"] = accounts.person_create(email="fin@example.com", name="Fin", is_platform_finance=True)

    subscription = world.subscribe(world.plan(FEE, PER_CALL), "2026-10-01")
    calls(subscription, "2026-10-05T10:00", 500)
    for draft in close("2026-11-01T06:00"):
        invoice = issue(draft, "2026-11-02")
    computed = statement_compute(
        provider=world.provider, currency="EUR", month=date(2026, 11, 1), now=moment("2026-12-01")
    )
    statement = statement_issue(statement=computed, person=None, now=moment("2026-12-01T01:00"))

    line = invoice.lines.get(meter__isnull=False).public_id
    consumer, provider = f"/o/{world.consumer.slug}", f"/o/{world.provider.slug}"
    inv, sta, sub = invoice.public_id, statement.public_id, subscription.public_id
    hour = "2026-10-05T10:00:00Z"
    members = {
        "invoices": [f"{consumer}/invoices/{tail}" for tail in ("", f"{inv}/", f"{inv}/pdf/", f"{inv}/lines/{line}/")],
        "statements": [f"{provider}/provider/earnings/statements/{sta}/{tail}" for tail in ("", "pdf/")],
        "balances": [f"{consumer}/invoices/", f"{provider}/provider/earnings/"],
        "subscriptions": [f"{consumer}/subscriptions/", f"{consumer}/subscriptions/{sub}/"],
        "usage": [f"{consumer}/usage/", f"{provider}/provider/usage/"],
        "ledger": [],
    }
    platform = {
        "invoices": [f"/finance/invoices/{tail}" for tail in ("", f"{inv}/", f"{inv}/pdf/", f"{inv}/lines/{line}/")],
        "statements": [f"/finance/statements/{tail}" for tail in ("", f"{sta}/", f"{sta}/pdf/")],
        "ledger": ["/finance/", "/finance/ledger/", "/finance/review/", "/finance/receivables/"],
    }
    of_consumer, of_provider = (f"organizations/{one.public_id}" for one in (world.consumer, world.provider))
    rest = {
        "invoices": [
            f"{of_consumer}/invoices",
            *(f"invoices/{inv}{tail}" for tail in ("", "/pdf", "/evidence", "/payments")),
            f"invoices/{inv}/lines/{line}/hours",
            f"invoices/{inv}/lines/{line}/calls?hour={hour}",
        ],
        "statements": [f"{of_provider}/statements", f"statements/{sta}", f"statements/{sta}/pdf"],
        "balances": [f"{of_consumer}/balance", f"{of_provider}/balance"],
        "subscriptions": [f"{of_consumer}/subscriptions", f"subscriptions/{sub}", f"subscriptions/{sub}/usage"],
        "usage": [f"{of_consumer}/usage", f"{of_consumer}/usage.csv", f"{of_provider}/usage?side=provider"],
        "ledger": ["finance/invoices", "finance/review"],
    }
    return people, {"members": members, "platform": platform}, rest


@pytest.mark.django_db
@pytest.mark.parametrize("who", WHO)
@pytest.mark.parametrize("thing", THINGS)
def test_pages_and_rest_agree_on_who_sees_money(doors: Any, thing: str, who: str) -> None:
    people, pages, rest = doors
    person, is_seen = people[who], who in SEEN_BY[thing]
    expected = SEEN if is_seen else {403, 404} if who != "stranger" or thing == "ledger" else {404}
    answers = {path: _rest(person, path) for path in rest[thing]}
    assert set(answers.values()) <= expected, answers

    own = [] if who.startswith("platform") else pages["members"][thing]
    paths = own or pages["platform"].get(thing, [])
    assert paths or (thing, who) in REST_ONLY or not is_seen
    shown = {path: _page(person, path) for path in paths}
    assert set(shown.values()) <= expected, shown


@pytest.mark.django_db
@pytest.mark.parametrize("who", ["platform operator", "platform finance"])
def test_pages_inside_an_organization_do_not_exist_for_the_platforms_people(doors: Any, who: str) -> None:
    people, pages, _rest_paths = doors
    paths = [path for group in pages["members"].values() for path in group]
    assert {path: _page(people[who], path) for path in paths} == dict.fromkeys(paths, 404)


def _page(person: Person, path: str) -> int:
    return client_of(person).get(path).status_code


def _rest(person: Person, path: str) -> int:
    from marketplace.services.access_tokens import access_token_issue

    issued = access_token_issue(person=person, name="test", scopes=list(SCOPES), organization=None)
    return Client().get(f"/api/v1/{path}", headers={"Authorization": f"Bearer {issued.text}"}).status_code
