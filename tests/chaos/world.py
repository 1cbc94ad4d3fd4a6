"""The world of a chaos run, made and counted through the real services: ``python -m tests.chaos.world make|count``, prints JSON.

``make`` builds Alice's Api, a plan that charges each call, Bob's app and subscription. ``count`` closes the current period and says what
tallies, usage records and the invoice's line hold. Both run as programs of their own, in the environment of the run.
"""

import json
import sys
from typing import Any

import django

DOCUMENT = """
openapi: 3.1.0
info: {title: Chaos, version: "1"}
paths:
  /now: {get: {operationId: now, responses: {"200": {description: ok}}}}
  /stream: {get: {operationId: stream, responses: {"200": {description: ok}}}}
  /fail: {get: {operationId: fail, responses: {"500": {description: no}}}}
"""


def make(upstream_url: str) -> dict[str, Any]:
    """Publish the Api, subscribe Bob. Returns his AppCode and the grant's id."""
    from django.utils import timezone

    from billing.services.plans import PriceDraft, plan_create, plan_publish
    from billing.services.subscriptions import subscription_start
    from gateway.services.publish import publish_all
    from marketplace.contracts.limits import Limits, QuotaLimit
    from marketplace.models import Grant
    from marketplace.services.access import app_create, credential_issue
    from marketplace.services.accounts import organization_create, person_create
    from marketplace.services.catalog import api_create, stage_upstream_set
    from marketplace.services.deployments import deployment_publish
    from marketplace.services.imports import api_import_openapi

    alice = person_create(email="alice@example.com", password="for the test only", name="Alice")
    bob = person_create(email="bob@example.com", password="for the test only", name="Bob")
    provider = organization_create(name="Alice Weather", person=alice, is_provider=True)
    consumer = organization_create(name="Bob Travel", person=bob, is_provider=False)
    api = api_create(provider=provider, name="Chaos", base_path="/chaos", person=None, summary="Chaos")
    api_import_openapi(api=api, text=DOCUMENT, person=None)
    stage_upstream_set(api=api, stage="release", url=upstream_url, person=None)
    deployment_publish(api=api, stage="release", person=None, note="chaos")
    limits = Limits(plan_name="Metered", quota=QuotaLimit(units=100_000_000, window="month"))
    prices = [PriceDraft("Calls", {"kind": "per_unit", "unit_amount": "0.001"})]
    plan = plan_create(api=api, name="Metered", currency="EUR", person=None, prices=prices, summary="", limits=limits)
    plan = plan_publish(plan=plan, person=None, now=timezone.now())
    app = app_create(organization=consumer, name="Planner", person=bob)
    subscription_start(organization=consumer, plan=plan, app=app, person=bob, now=timezone.now())
    code = credential_issue(app=app, kind="app_code", person=bob)
    publish_all()
    return {"app_code": code.app_code, "grant_id": str(Grant.objects.get(app=app).id)}


def count(grant_id: str) -> dict[str, Any]:
    """Close the period; how many units the tallies, the usage records and the invoice's lines hold."""
    from django.db.models import Sum
    from django.utils import timezone

    from billing.models import InvoiceLine, Subscription, UsageRecord
    from billing.services.closing import period_close
    from marketplace.models import UsageTally

    tallies = UsageTally.objects.filter(grant_id=grant_id)
    subscription = Subscription.objects.get()
    closed = period_close(now=timezone.now(), subscription_id=subscription.id)
    lines = InvoiceLine.objects.filter(subscription=subscription).exclude(quantity=None)
    return {
        "calls": tallies.aggregate(sum=Sum("calls"))["sum"] or 0,
        "units": tallies.aggregate(sum=Sum("units"))["sum"] or 0,
        "records": UsageRecord.objects.aggregate(sum=Sum("quantity"))["sum"] or 0,
        "lines": str(lines.aggregate(sum=Sum("quantity"))["sum"] or 0),
        "faults": [row.fault for row in closed if row.fault],
    }


if __name__ == "__main__":
    django.setup()
    verb = {"make": make, "count": count}[sys.argv[1]]
    sys.stdout.write("\n" + json.dumps(verb(sys.argv[2])) + "\n")
