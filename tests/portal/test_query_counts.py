"""Lists cost as many queries with many rows as with few: what a page reads is read for all its rows at once."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from time_machine import travel

from billing.models import Invoice
from billing.services.closing import invoices_draft_due, periods_turn
from billing.services.plans import PriceDraft, plan_create, plan_publish
from billing.services.statements import statement_compute
from billing.services.subscriptions import subscription_start
from billing.services.usage import usage_rebuild
from marketplace.contracts.limits import Limits, QuotaLimit
from marketplace.core.permissions import SCOPES
from marketplace.services.access import app_create, credential_issue
from marketplace.services.access_tokens import access_token_issue
from marketplace.services.accounts import member_add, organization_create
from marketplace.services.catalog import (
    api_create,
    api_import_openapi,
    deployment_publish,
    stage_upstream_set,
)
from marketplace.views.provider import sample_document
from tests.billing.world import calls, issue
from tests.people import client_of
from tests.portal.scene import Scene, person_make, scene_make

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
FEW, MANY = 1, 4


@pytest.mark.django_db
def test_no_list_costs_more_queries_with_more_rows() -> None:
    with travel(NOW, tick=False):
        scene = scene_make(is_light=True)
        fiona = person_make("fiona@tollgate.example", "Fiona", with_password=False, is_platform_finance=True)
        for place in range(FEW):
            _row_add(scene, place, fiona)
        few = _counts(scene, fiona)
        for place in range(FEW, MANY):
            _row_add(scene, place, fiona)
        many = _counts(scene, fiona)
    assert {path: (few[path], many[path]) for path in few if many[path] > few[path]} == {}


def _row_add(scene: Scene, place: int, fiona: Any) -> None:
    """One more of everything: an API on sale, an app with a credential that subscribes to it, a customer, an invoice."""
    api = api_create(provider=scene.nimbus, person=scene.alice, name=f"Api {place}", base_path=f"/api-{place}")
    api_import_openapi(api=api, text=sample_document(), person=scene.alice)
    stage_upstream_set(api=api, stage="release", url="http://127.0.0.1:9000", person=scene.alice)
    deployment_publish(api=api, stage="release", person=scene.alice, note=f"Version {place}")
    fee, per_call = (
        PriceDraft("Fee", {"kind": "flat", "unit_amount": "30"}),
        PriceDraft("Calls", {"kind": "per_unit", "unit_amount": "0.01"}),
    )
    limits = Limits(quota=QuotaLimit(units=1_000, window="month"))
    for one in (api, scene.api):
        plan = plan_create(
            api=one, name=f"Plan {place}", currency="EUR", prices=(fee, per_call), limits=limits, person=scene.alice
        )
        plan = plan_publish(plan=plan, person=scene.alice, now=NOW - timedelta(days=90))
        customer = organization_create(name=f"Customer {place} of {one.name}", person=None)
        begun = NOW - timedelta(days=45, hours=24 * place)
        for organization in (scene.bluebird, customer):
            app = app_create(organization=organization, name=f"App {place} of {one.name}", person=scene.bob)
            credential_issue(app=app, kind="app_code", person=scene.bob)
            subscription = subscription_start(organization=organization, plan=plan, app=app, person=None, now=begun)
            for at in (begun + timedelta(days=1), NOW - timedelta(hours=2)):
                calls(subscription, at, 1_200)
    person = person_make(f"member-{place}@bluebird.example", f"Member {place}", with_password=False)
    member_add(organization=scene.bluebird, person=person, role="developer")
    access_token_issue(organization=scene.bluebird, person=scene.bob, name=f"Token {place}", scopes=sorted(SCOPES)[:1])
    usage_rebuild(now=NOW)
    periods_turn(now=NOW)
    invoices_draft_due(now=NOW)
    for draft in Invoice.objects.filter(status="draft")[:2]:
        issue(draft, NOW.isoformat(), person=fiona)
    provider = organization_create(name=f"Provider {place}", person=None, is_provider=True)
    statement_compute(provider=provider, month=NOW.date().replace(month=10, day=1), currency="EUR", now=NOW)


def _counts(scene: Scene, fiona: Any) -> dict[str, int]:
    own, provider = f"/o/{scene.bluebird.slug}", f"/o/{scene.nimbus.slug}/provider"
    editor, listing = f"{provider}/apis/{scene.api.public_id}", f"/apis/{scene.api.slug}"
    pages = {
        scene.bob: (
            "/apis/",
            *(f"{listing}/", f"{listing}/operations/", f"{listing}/pricing/"),
            *(f"{own}/", f"{own}/apps/", f"{own}/usage/", f"{own}/team/", f"{own}/tokens/"),
            *(f"{own}/subscriptions/", f"{own}/subscriptions/?ended=1", f"{own}/invoices/"),
        ),
        scene.alice: (
            *(f"{provider}/", f"{provider}/apis/", f"{provider}/usage/", f"{provider}/earnings/?month=2026-10"),
            *(f"{editor}/", f"{editor}/operations/", f"{editor}/deployments/", f"{editor}/subscribers/"),
            f"{editor}/plans/",
        ),
        scene.oscar: ("/operator/", "/operator/organizations/", "/operator/listings/"),
        fiona: (
            *("/finance/", "/finance/review/", "/finance/invoices/", "/finance/receivables/", "/finance/ledger/"),
            *("/finance/statements/", "/finance/closing/"),
        ),
    }
    return {f"{who.name} {path}": _count(who, path) for who, paths in pages.items() for path in paths}


def _count(who: Any, path: str) -> int:
    client = client_of(who)
    with CaptureQueriesContext(connection) as captured:
        answer = client.get(path)
    assert answer.status_code == 200, path
    return len(captured)
