"""Stories of running periods that finance invoices early, and of plans that change around it: no fee is lost or charged twice."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from django.db import transaction

from billing.errors import Conflict, UsageDisagrees
from billing.models import Invoice, Subscription
from billing.selectors.plans import plan_get
from billing.selectors.quotes import change_preview
from billing.services.closing import period_close
from billing.services.drafts import invoice_refresh
from billing.services.invoices import invoice_return
from billing.services.plan_changes import subscription_change
from billing.services.plans import PriceDraft
from billing.services.subscriptions import subscription_cancel
from tests.billing.world import FEE, PER_CALL, amounts, close, issue, moment

if TYPE_CHECKING:
    from billing.models import Plan
    from tests.billing.world import World

BIG = PriceDraft("Big fee", {"kind": "flat", "unit_amount": "300"})


def close_early(subscription: Subscription, at: str) -> Invoice:
    """Finance drafts the running period."""
    period_close(now=moment(at), subscription_id=subscription.id)
    return Invoice.objects.get(status="draft")


def change(world: World, subscription: Subscription, plan: Plan, at: str) -> Subscription:
    """Bob asks for another plan."""
    return subscription_change(subscription=subscription, plan=plan, person=world.bob, now=moment(at))


def test_a_draft_whose_plan_has_changed_since_is_not_issued(world: World) -> None:
    small, big = world.plan(FEE), world.plan(BIG, name="Big")
    subscription = world.subscribe(small, "2026-11-01T00:00")
    draft = close_early(subscription, "2026-11-10T00:00")
    change(world, subscription, big, "2026-11-16T00:30")  # counts with its whole hour
    with transaction.atomic(), pytest.raises(UsageDisagrees) as refused:
        issue(draft, "2026-12-02T00:00")
    assert [fault.detail.partition(": ")[2] for fault in refused.value.faults] == [
        "its plan and its price give 1500, but the line says 3000",
        "its plan was in force until 2026-11-16T00:00Z, but the line says 2026-12-01T00:00Z",
        "its plan and its price give 15000, but the line says 0",
    ]
    invoice_return(invoice=draft, person=None)
    invoice_refresh(invoice=Invoice.objects.get(), now=moment("2026-12-02T00:00"))
    assert issue(draft, "2026-12-02T00:00").total_minor == 16_500


def test_a_draft_of_a_plan_that_was_not_kept_is_not_issued(world: World) -> None:
    small, big = world.plan(FEE, PER_CALL), world.plan(BIG, name="Big")
    subscription = world.subscribe(small, "2026-11-01T00:00")
    change(world, subscription, big, "2026-11-15T23:30")
    draft = close_early(subscription, "2026-11-15T23:31")
    change(world, subscription, small, "2026-11-15T23:32")
    with transaction.atomic(), pytest.raises(UsageDisagrees) as refused:
        issue(draft, "2026-12-02T00:00")
    assert [fault.detail.partition(": ")[2] for fault in refused.value.faults] == [
        "its plan and its price give 3000, but the line says 1500",
        "its plan was in force until 2026-12-01T00:00Z, but the line says 2026-11-16T00:00Z",
        "its plan was not in force then, but the line bills it",
    ]


def test_a_plan_that_is_changed_after_an_early_invoice_is_paid_for_from_the_next_period_on(world: World) -> None:
    free, big = world.plan(), world.plan(BIG, name="Big")
    small = world.plan(FEE, name="Small")
    subscription = world.subscribe(small, "2026-11-01T00:00")
    issue(close_early(subscription, "2026-11-10T00:00"), "2026-11-10T01:00")
    preview = change_preview(subscription=subscription, card=plan_get(plan_id=big.id), now=moment("2026-11-11T00:00"))
    assert (preview.counts_from, preview.is_at_once, preview.difference_minor) == (moment("2026-12-01"), False, 0)
    for plan in (big, free, big):  # each replaces the one before it
        changed = change(world, subscription, plan, "2026-11-11T00:00")
        assert (changed.plan, changed.next_plan, changed.next_plan_at) == (small, plan, moment("2026-12-01"))
    close("2026-12-01T02:00")
    (december,) = close("2027-01-01T02:00")
    assert amounts(december) == [("Big fee", "1.000000", 30_000)]
    issue(december, "2027-01-02T00:00")


def test_a_change_that_an_early_invoice_has_billed_is_not_taken_back(world: World) -> None:
    small, big = world.plan(FEE, PER_CALL), world.plan(BIG, name="Big")
    subscription = world.subscribe(small, "2026-11-01T00:00")
    change(world, subscription, big, "2026-11-15T23:30")
    assert issue(close_early(subscription, "2026-11-15T23:31"), "2026-11-15T23:32").total_minor == 16_500
    with pytest.raises(Conflict, match="on 2026-11-16 at 00:00 is invoiced already") as refused:
        change(world, subscription, small, "2026-11-15T23:40")
    assert refused.value.code == "plan_change_settled"
    changed = change(world, subscription, small, "2026-11-16T00:01")
    assert (changed.plan, changed.next_plan_at) == (big, moment("2026-12-01"))


def test_a_subscription_that_ends_with_an_invoiced_period_takes_no_other_plan(world: World) -> None:
    subscription = world.subscribe(world.plan(FEE), "2026-11-01T00:00")
    issue(close_early(subscription, "2026-11-10T00:00"), "2026-11-10T01:00")
    subscription_cancel(subscription=subscription, person=world.bob, now=moment("2026-11-10T02:00"))
    with pytest.raises(Conflict) as refused:
        change(world, subscription, world.plan(BIG, name="Big"), "2026-11-11T00:00")
    assert refused.value.code == "subscription_ending"
