"""Money for the scene of the pages: plans, subscriptions, calls of last month and this, drafts, an issued and a paid invoice.

Everything is made by the services; only tallies are written directly, as the shipper does. The calls of one hour are real
events in a sealed segment, so that an invoice's line can be followed down to them.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.utils import timezone

from tests.portal.scene import PASSWORD, Scene, person_make

__all__ = ["PASSWORD", "Money", "money_make"]


@dataclass(slots=True)
class Money:
    """What the pages of billing show."""

    fiona: Any
    free: Any
    standard: Any
    business: Any
    draft_plan: Any
    subscription: Any
    paid: Any
    issued: Any
    unpaid: Any
    approved: Any
    draft: Any
    statement: Any


def plans_make(api: Any, person: Any) -> dict[str, Any]:
    """Three published plans and a draft."""
    from billing.services.plans import PriceDraft, plan_create, plan_publish
    from marketplace.contracts.limits import Limits, QuotaLimit, RateLimit

    second = (RateLimit(calls=10, period_s=1),)
    tiers = [
        {"up_to": 100_000, "unit_amount": "0.0025"},
        {"up_to": 1_000_000, "unit_amount": "0.0018"},
        {"up_to": None, "unit_amount": "0.000925"},
    ]
    offers = {
        "Free": ((), Limits(rates=second, quota=QuotaLimit(units=100, window="day")), "To try it out."),
        "Standard": (
            (
                PriceDraft("Monthly fee", {"kind": "flat", "unit_amount": "29"}),
                PriceDraft("Calls", {"kind": "included", "included_units": 10_000, "tiers": tiers}),
            ),
            Limits(
                rates=(RateLimit(calls=50, period_s=1),), quota=QuotaLimit(units=50_000, window="month", hard=False)
            ),
            "For one site.",
        ),
        "Business": (
            (
                PriceDraft("Monthly fee", {"kind": "flat", "unit_amount": "199"}),
                PriceDraft("Calls", {"kind": "package", "unit_amount": "4.50", "package_size": 10_000}),
            ),
            Limits(rates=(RateLimit(calls=500, period_s=1),)),
            "For many sites.",
        ),
        "Enterprise": ((PriceDraft("Calls", {"kind": "per_unit", "unit_amount": "0.0008"}),), Limits(), ""),
    }
    plans = {}
    for position, (name, (prices, limits, summary)) in enumerate(offers.items()):
        plans[name] = plan_create(
            api=api,
            name=name,
            currency="EUR",
            prices=prices,
            limits=limits,
            person=person,
            summary=summary,
            position=position,
        )
        if name != "Enterprise":
            plan_publish(plan=plans[name], person=person, now=timezone.now() - timedelta(days=400))
    return plans


def month_start(now: datetime, back: int) -> datetime:
    """The first moment of the UTC month ``back`` months ago."""
    index = now.year * 12 + now.month - 1 - back
    return now.replace(year=index // 12, month=index % 12 + 1, day=1, hour=0, minute=0, second=0, microsecond=0)


def money_make(scene: Scene) -> Money:
    """Build it on top of a scene."""
    from billing.models import Invoice
    from billing.services.closing import invoices_draft_due, periods_turn
    from billing.services.invoices import invoice_approve, invoice_submit
    from billing.services.payments import payment_record
    from billing.services.statements import statement_compute
    from billing.services.subscriptions import subscription_start
    from marketplace.services.accounts import organization_update
    from tests.billing.world import calls, issue

    now = timezone.now()
    fiona = person_make("fiona@tollgate.example", "Fiona Falk", is_platform_finance=True)
    organization_update(
        organization=scene.bluebird,
        person=scene.bob,
        legal_name="Bluebird Travel Ltd",
        address="7 Feather Lane\n310000 Hangzhou",
        country="CN",
        billing_email="billing@bluebird.example",
    )
    plans = plans_make(scene.api, scene.alice)
    begun = month_start(now, 5) + timedelta(days=9)
    subscription = subscription_start(
        organization=scene.bluebird, plan=plans["Standard"], app=scene.empty_app, person=scene.bob, now=begun
    )
    free = subscription_start(
        organization=scene.bluebird,
        plan=plans["Free"],
        app=scene.app,
        person=scene.bob,
        now=now - timedelta(hours=2),
        stage="test",
    )
    for back, count in ((5, 9_000), (4, 41_000), (3, 44_000), (2, 52_000), (1, 128_000)):
        for day in (10, 12, 17, 20, 25):
            calls(subscription, month_start(now, back) + timedelta(days=day, hours=day), count // 5)
    calls(subscription, now - timedelta(minutes=1), 21_400)
    calls(free, now - timedelta(minutes=1), 88)
    periods_turn(now=now)
    invoices_draft_due(now=now)
    drafts = list(Invoice.objects.filter(status="draft").order_by("period_start"))
    paid, issued, unpaid = (
        issue(draft, month_start(now, back).isoformat(), person=fiona)
        for draft, back in zip(drafts[:3], (3, 2, 1), strict=True)
    )
    approved = invoice_submit(invoice=drafts[3], person=fiona, now=now)
    approved = invoice_approve(invoice=approved, person=fiona, now=now)
    payment_record(
        invoice=paid,
        amount_minor=paid.total_minor,
        reference="BLUEBIRD 4711",
        received_on=month_start(now, 2).date(),
        person=fiona,
        now=now,
    )
    payment_record(
        invoice=issued,
        amount_minor=2_000,
        reference="BLUEBIRD 4712",
        received_on=month_start(now, 1).date(),
        person=fiona,
        now=now,
    )
    statement = statement_compute(provider=scene.nimbus, month=month_start(now, 1).date(), currency="EUR", now=now)
    fresh = Invoice.objects.get
    return Money(
        fiona, plans["Free"], plans["Standard"], plans["Business"], plans["Enterprise"], subscription,
        fresh(id=paid.id), fresh(id=issued.id), fresh(id=unpaid.id), approved, fresh(id=drafts[4].id), statement,
    )  # fmt: skip


def pages_list(scene: Scene, money: Money) -> list[tuple[str, str, str]]:
    """All pages of billing: (name, who looks, path)."""
    alice, bob, fiona = "alice@nimbus.example", "bob@bluebird.example", "fiona@tollgate.example"
    consumer, provider = f"/o/{scene.bluebird.slug}", f"/o/{scene.nimbus.slug}/provider"
    subscription = f"{consumer}/subscriptions/{money.subscription.public_id}"
    plans = f"{provider}/apis/{scene.api.public_id}/plans"
    line = money.issued.lines.get(meter__isnull=False)
    price = money.standard.prices.get(kind="included")
    hour = money.subscription.usage_records.filter(invoice=money.issued).order_by("hour").first().hour
    mine, theirs = f"{consumer}/invoices/{money.issued.public_id}", f"/finance/invoices/{money.issued.public_id}"
    trail = f"lines/{line.public_id}/"
    return [
        ("pricing", "", f"/apis/{scene.api.slug}/pricing/"),
        ("pricing-fault", "", f"/apis/{scene.api.slug}/pricing/?calls=many"),
        ("subscribe", bob, f"{consumer}/subscribe/{money.business.public_id}/"),
        ("subscriptions", bob, f"{consumer}/subscriptions/"),
        ("subscription", bob, f"{subscription}/"),
        ("change", bob, f"{subscription}/plan/{money.business.public_id}/"),
        ("cancel", bob, f"{subscription}/cancel/"),
        ("invoices", bob, f"{consumer}/invoices/"),
        ("invoice", bob, f"{mine}/"),
        ("line", bob, f"{mine}/{trail}"),
        ("hour", bob, f"{mine}/{trail}{hour:%Y-%m-%dT%HZ}/"),
        ("plans", alice, f"{plans}/"),
        ("plan-new", alice, f"{plans}/new/"),
        ("plan", alice, f"{plans}/{money.standard.public_id}/"),
        ("plan-draft", alice, f"{plans}/{money.draft_plan.public_id}/"),
        ("plan-edit", alice, f"{plans}/{money.draft_plan.public_id}/edit/"),
        ("plan-frozen", alice, f"{plans}/{money.standard.public_id}/edit/"),
        ("plan-retire", alice, f"{plans}/{money.standard.public_id}/retire/"),
        ("supersede", alice, f"{plans}/{money.standard.public_id}/prices/{price.public_id}/"),
        ("earnings", alice, f"{provider}/earnings/?month={money.statement.month:%Y-%m}"),
        ("statement", alice, f"{provider}/earnings/statements/{money.statement.public_id}/"),
        ("finance", fiona, "/finance/"),
        ("queue", fiona, "/finance/review/"),
        ("finance-invoices", fiona, "/finance/invoices/?payment_status=unpaid"),
        ("finance-draft", fiona, f"/finance/invoices/{money.draft.public_id}/"),
        ("finance-invoice", fiona, f"{theirs}/"),
        ("finance-line", fiona, f"{theirs}/{trail}"),
        ("void", fiona, f"/finance/invoices/{money.unpaid.public_id}/void/"),
        ("issue", fiona, f"/finance/invoices/{money.approved.public_id}/issue/"),
        ("receivables", fiona, "/finance/receivables/"),
        ("ledger", fiona, "/finance/ledger/"),
        ("finance-statements", fiona, "/finance/statements/"),
        ("closing", fiona, "/finance/closing/"),
    ]


def main() -> None:
    """Make the scene and its money in the database of the environment; print what tests need."""
    import json

    import django

    django.setup()
    from tests.portal.scene import scene_make

    scene = scene_make()
    money = money_make(scene)
    facts = {
        "pages": pages_list(scene, money),
        "api": scene.api.slug,
        "api_id": scene.api.public_id,
        "consumer": scene.bluebird.slug,
        "provider": scene.nimbus.slug,
        "draft": money.draft.public_id,
    }
    print(json.dumps(facts))


if __name__ == "__main__":
    main()
