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
    free_subscription: Any
    paid: Any
    issued: Any
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
    begun = month_start(now, 3) + timedelta(days=9)
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
    for back, count in ((3, 9_000), (2, 41_000), (1, 128_000)):
        for day in (10, 12, 17, 20, 25):
            calls(subscription, month_start(now, back) + timedelta(days=day, hours=day), count // 5)
    calls(subscription, now - timedelta(minutes=1), 21_400)
    calls(free, now - timedelta(minutes=1), 88)
    periods_turn(now=now)
    invoices_draft_due(now=now)
    drafts = list(Invoice.objects.filter(status="draft").order_by("period_start"))
    paid = issue(drafts[0], month_start(now, 2).isoformat(), person=fiona)
    issued = issue(drafts[1], month_start(now, 1).isoformat(), person=fiona)
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
        fiona, plans["Free"], plans["Standard"], plans["Business"], plans["Enterprise"], subscription, free,
        fresh(id=paid.id), fresh(id=issued.id), fresh(id=drafts[2].id), statement,
    )  # fmt: skip
