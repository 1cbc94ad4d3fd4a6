"""Alice's API with plans, Bob's subscriptions, and calls that happened: what the stories of billing are told with.

Calls are tallies in sealed segments, exactly as the shipper leaves them; nothing here prices or counts.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from django.db import connection

from billing.models import Invoice, Plan, Subscription
from billing.services import closing, invoices, plans, subscriptions
from billing.services.plans import PriceDraft
from marketplace.contracts.limits import Limits
from marketplace.contracts.usage import LATENCY_BUCKETS_MS
from marketplace.models import Api, App, Operation, Organization, Person, UsageSegment, UsageTally
from marketplace.services import access, accounts, catalog

FEE = PriceDraft("Monthly fee", {"kind": "flat", "unit_amount": "30"})
OVERAGE = PriceDraft(
    "Calls",
    {
        "kind": "included",
        "included_units": 1000,
        "tiers": [{"up_to": 1000, "unit_amount": "0.004"}, {"up_to": None, "unit_amount": "0.001"}],
    },
)
PER_CALL = PriceDraft("Calls", {"kind": "per_unit", "unit_amount": "0.067"})


@dataclass
class World:
    """Alice provides an Api, Bob has an app; time zones are theirs to choose."""

    alice: Person
    provider: Organization
    bob: Person
    consumer: Organization
    api: Api
    app: App

    def plan(self, *prices: PriceDraft, name: str = "Basic", limits: Limits | None = None, **fields: Any) -> Plan:
        """A published plan of Alice's in EUR."""
        draft = plans.plan_create(
            api=self.api,
            name=name,
            currency=fields.pop("currency", "EUR"),
            prices=prices,
            limits=limits,
            person=self.alice,
            **fields,
        )
        return plans.plan_publish(plan=draft, person=self.alice, now=fields.pop("now", moment("2020-01-01")))

    def subscribe(self, plan: Plan, at: str | datetime, *, app: App | None = None) -> Subscription:
        """Bob's app subscribes at a moment."""
        return subscriptions.subscription_start(
            organization=self.consumer, plan=plan, app=app or self.app, person=self.bob, now=moment(at)
        )


def world_make(*, zone: str = "UTC", language: str = "en") -> World:
    """A world with one Api of one operation, and one app."""
    alice = accounts.person_create(email="alice@example.com", name="Alice")
    provider = accounts.organization_create(name="Alice's weather", person=alice, is_provider=True)
    bob = accounts.person_create(email="bob@example.com", name="Bob")
    consumer = accounts.organization_create(name="Bob's bakery", person=bob)
    consumer = accounts.organization_update(organization=consumer, person=bob, time_zone=zone, language=language)
    api = catalog.api_create(provider=provider, name="Weather", base_path="/weather", person=alice)
    Operation.objects.create(api=api, method="GET", path_template="/now", name="now")
    app = access.app_create(organization=consumer, name="Oven", person=bob)
    return World(alice, provider, bob, consumer, api, app)


def moment(at: str | datetime) -> datetime:
    """A moment from ISO text; without an offset it is UTC."""
    value = datetime.fromisoformat(at) if isinstance(at, str) else at
    return value if value.tzinfo else value.replace(tzinfo=UTC)


def calls(
    subscription: Subscription, at: str | datetime, count: int, *, outcome: str = "succeeded", **kept: Any
) -> UsageTally:
    """Let calls have happened in the hour of ``at``, shipped in a segment of their own just now; ``kept``: its columns.

    They are of the Api's first operation unless ``operation_id`` says another.
    """
    operation_id = kept.pop("operation_id", ...)
    if operation_id is ...:
        operation_id = subscription.api.operations.order_by("id").values_list("id", flat=True)[0]
    hour = moment(at).replace(minute=0, second=0, microsecond=0)
    columns = {"boot": uuid4(), "sha256": "00", "evidence": "none", **kept}
    segment = UsageSegment.objects.create(
        id=uuid4(), node="test", sequence=1, opened_at=hour, sealed_at=hour, events=count, size_bytes=1, **columns
    )
    return UsageTally.objects.create(
        segment=segment,
        hour=hour,
        grant_id=subscription.grant_id,
        app_id=subscription.app_id,
        api_id=subscription.api_id,
        operation_id=operation_id,
        stage=subscription.stage,
        outcome=outcome,
        calls=count,
        units=count,
        request_bytes=100 * count,
        response_bytes=200 * count,
        latency_ms_sum=count,
        latency_histogram=[0] * (len(LATENCY_BUCKETS_MS) + 1),
    )


def turn(now: str) -> None:
    """Let the period task run at a moment."""
    closing.periods_turn(now=moment(now))


def close(now: str) -> list[Invoice]:
    """Let the turning and drafting tasks run at a moment; return all drafts."""
    closing.periods_turn(now=moment(now))
    closed = closing.invoices_draft_due(now=moment(now))
    assert [row.fault for row in closed if row.fault] == []
    return list(Invoice.objects.filter(status="draft").order_by("period_start"))


def issue(invoice: Invoice, now: str, *, person: Person | None = None) -> Invoice:
    """Walk a draft through review to its issue."""
    invoices.invoice_submit(invoice=invoice, person=person, now=moment(now))
    invoices.invoice_approve(invoice=invoice, person=person, now=moment(now))
    return invoices.invoice_issue(invoice_id=invoice.id, person=person, now=moment(now))


def amounts(invoice: Invoice) -> list[tuple[str, str, int]]:
    """The lines of an invoice as (description, quantity, minor units)."""
    return [(line.description, f"{line.quantity:f}", line.amount_minor) for line in invoice.lines.order_by("position")]


def ledger_sums() -> dict[str, int]:
    """The balance of each kind of account, in minor units."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT a.kind, sum(e.amount_minor) FROM billing_ledgerentry e "
            "JOIN billing_ledgeraccount a ON a.id = e.account_id GROUP BY a.kind"
        )
        return {kind: int(total) for kind, total in cursor.fetchall()}
