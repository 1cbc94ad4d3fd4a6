"""Stories of subscriptions that change: another plan, an end, a price superseded, usage that comes late, a void invoice."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from billing.core.rating import rating_recompute
from billing.errors import AlreadySubscribed, Conflict, PlanNotOffered, UsageDisagrees
from billing.models import BillingPeriod, Invoice, InvoiceLine, LateUsage, Plan, SubscriptionStatus
from billing.services import invoices, plan_changes, plans, subscriptions
from billing.services.drafts import invoice_refresh
from billing.services.usage import usage_rebuild
from marketplace.contracts.limits import Limits, QuotaLimit
from marketplace.services import access
from marketplace.services.accounts import organization_suspend
from tests.billing.world import FEE, OVERAGE, PER_CALL, amounts, calls, close, issue, ledger_sums, moment, turn

if TYPE_CHECKING:
    from tests.billing.world import World

BIG = plans.PriceDraft("Monthly fee", {"kind": "flat", "unit_amount": "300"})


def test_a_plan_change_splits_the_fees_by_time_and_the_calls_by_hour(world: World) -> None:
    small, big = world.plan(FEE, PER_CALL), world.plan(BIG, name="Big")
    subscription = world.subscribe(small, "2026-11-01T00:00")
    calls(subscription, "2026-11-16T11:00", 100)
    calls(subscription, "2026-11-16T12:00", 40)
    plan_changes.subscription_change(
        subscription=subscription, plan=big, person=world.bob, now=moment("2026-11-16T11:20")
    )
    (draft,) = close("2026-12-01T02:00")
    # 15 days and 12 hours of 30 days on the small plan, the rest on the big one.
    assert amounts(draft) == [
        ("Monthly fee", "1.000000", 1550),
        ("Calls", "100.000000", 670),
        ("Monthly fee", "1.000000", 14500),
    ]
    for line in draft.lines.all():
        assert rating_recompute(line.explanation) == line.amount_minor
    assert issue(draft, "2026-12-02T00:00").total_minor == 16720


def test_a_plan_change_rewrites_the_limits_of_the_same_grant_at_once(world: World) -> None:
    small = world.plan(limits=Limits(quota=QuotaLimit(units=100, window="day")))
    big = world.plan(name="Big", limits=Limits(quota=QuotaLimit(units=9, window="period")))
    subscription = world.subscribe(small, "2026-11-01T00:00")
    assert subscription.grant is not None
    plan_changes.subscription_change(
        subscription=subscription, plan=big, person=world.bob, now=moment("2026-11-16T11:20")
    )
    grant = type(subscription.grant).objects.get(id=subscription.grant.id)
    quota = Limits.from_dict(grant.limits).quota
    assert quota is not None
    assert (quota.units, Limits.from_dict(grant.limits).plan_name) == (9, "Big")
    assert quota.period_start == moment("2026-11-01").timestamp()
    assert quota.period_end == moment("2026-12-01").timestamp()


def test_a_turned_period_gives_the_grant_new_quota_bounds(world: World) -> None:
    plan = world.plan(limits=Limits(quota=QuotaLimit(units=100, window="period")))
    subscription = world.subscribe(plan, "2026-11-10T00:00")
    turn("2026-12-01T00:00")
    turn("2026-12-01T00:00")
    subscription.refresh_from_db()
    assert subscription.grant is not None
    quota = Limits.from_dict(subscription.grant.limits).quota
    assert quota is not None
    assert (quota.period_start, quota.period_end) == (
        moment("2026-12-01").timestamp(),
        moment("2027-01-01").timestamp(),
    )
    assert BillingPeriod.objects.count() == 2


def test_a_cancelled_subscription_calls_until_its_period_ends_and_then_no_more(world: World) -> None:
    subscription = world.subscribe(world.plan(FEE), "2026-11-10T00:00")
    subscriptions.subscription_cancel(subscription=subscription, person=world.bob, now=moment("2026-11-12T00:00"))
    subscription.refresh_from_db()
    assert subscription.grant is not None
    assert subscription.grant.ends_at == moment("2026-12-01")
    (draft,) = close("2026-12-01T02:00")
    subscription.refresh_from_db()
    assert subscription.status == SubscriptionStatus.ENDED
    assert subscription.grant.__class__.objects.get(id=subscription.grant_id).revoked_at is not None
    assert amounts(draft) == [("Monthly fee", "1.000000", 2100)]
    assert close("2027-01-05T00:00") == [draft]
    with pytest.raises(Conflict):
        subscriptions.subscription_resume(subscription=subscription, person=world.bob, now=moment("2027-01-05T00:00"))


def test_a_cancellation_can_be_withdrawn_before_the_period_ends(world: World) -> None:
    subscription = world.subscribe(world.plan(FEE), "2026-11-10T00:00")
    subscriptions.subscription_cancel(subscription=subscription, person=world.bob, now=moment("2026-11-12T00:00"))
    subscriptions.subscription_resume(subscription=subscription, person=world.bob, now=moment("2026-11-13T00:00"))
    turn("2026-12-01T00:00")
    subscription.refresh_from_db()
    assert subscription.status == SubscriptionStatus.ACTIVE
    assert subscription.grant is not None
    assert subscription.grant.ends_at is None


def test_calls_that_finish_in_the_hour_after_the_end_are_billed_with_the_last_period(world: World) -> None:
    subscription = world.subscribe(world.plan(PER_CALL), "2026-11-10T00:00")
    subscriptions.subscription_cancel(subscription=subscription, person=world.bob, now=moment("2026-11-12T00:00"))
    calls(subscription, "2026-11-30T23:00", 10)
    calls(subscription, "2026-12-01T00:00", 1)
    (draft,) = close("2026-12-01T02:00")
    assert amounts(draft) == [("Calls", "11.000000", 74)]
    issue(draft, "2026-12-02T00:00")


def test_usage_arriving_after_issue_is_billed_on_the_next_invoice_with_its_tiers(world: World) -> None:
    subscription = world.subscribe(world.plan(OVERAGE, FEE), "2026-10-01T00:00")
    calls(subscription, "2026-10-05T10:00", 1_900)
    first = issue(close("2026-11-01T02:00")[0], "2026-11-02T00:00")
    calls(subscription, "2026-10-05T10:00", 200)  # 100 more at 0.004 and 100 at 0.001
    calls(subscription, "2026-10-07T10:00", 1_000)
    calls(subscription, "2026-11-07T10:00", 3)
    usage_rebuild(now=moment("2026-11-08T00:00"))
    usage_rebuild(now=moment("2026-11-08T00:01"))
    assert {row.quantity for row in LateUsage.objects.all()} == {200, 1_000}

    (draft,) = close("2026-12-01T02:00")
    late = draft.lines.get(kind="late_usage")
    assert (late.quantity, late.amount_minor) == (1_200, 150)
    assert rating_recompute(late.explanation) == 150
    assert late.period_start == moment("2026-10-01")
    issue(draft, "2026-12-02T00:00")
    first.refresh_from_db()
    assert first.total_minor == 3000 + 360
    # What both invoices say is what one invoice would have said.
    calls(subscription, "2026-10-08T10:00", 1)
    (third,) = close("2027-01-01T02:00")
    assert third.lines.get(kind="late_usage").quantity == 1


def test_late_usage_of_an_ended_subscription_gets_an_invoice_of_its_own(world: World) -> None:
    subscription = world.subscribe(world.plan(PER_CALL), "2026-11-10T00:00")
    subscriptions.subscription_cancel(subscription=subscription, person=world.bob, now=moment("2026-11-12T00:00"))
    calls(subscription, "2026-11-20T10:00", 10)
    issue(close("2026-12-01T02:00")[0], "2026-12-02T00:00")
    calls(subscription, "2026-11-21T10:00", 100)
    usage_rebuild(now=moment("2026-12-03T00:00"))
    (draft,) = close("2026-12-03T01:00")
    assert amounts(draft) == [("Calls (late usage of an earlier period)", "100.000000", 670)]
    issue(draft, "2026-12-04T00:00")


def test_usage_that_turns_up_in_a_period_that_owed_nothing_is_billed_after_all(world: World) -> None:
    subscription = world.subscribe(world.plan(PER_CALL), "2026-10-01T00:00")
    assert close("2026-11-01T02:00") == []
    calls(subscription, "2026-10-20T10:00", 10)
    usage_rebuild(now=moment("2026-11-02T00:00"))
    (draft,) = close("2026-11-02T02:00")
    assert draft.period_start == moment("2026-10-01")
    assert draft.total_minor == 67


def test_issue_refuses_while_a_single_call_is_missing_and_says_which(world: World) -> None:
    subscription = world.subscribe(world.plan(PER_CALL), "2026-10-01T00:00")
    calls(subscription, "2026-10-20T10:00", 10)
    (draft,) = close("2026-11-01T02:00")
    calls(subscription, "2026-10-20T10:00", 1)
    with pytest.raises(UsageDisagrees) as refusal:
        issue(draft, "2026-11-02T00:00")
    assert "hour 2026-10-20T10:00Z: the tallies say 11, but the usage record 10" in refusal.value.faults[0].detail
    draft.refresh_from_db()
    assert (draft.status, draft.number) == ("approved", None)
    assert ledger_sums() == {}

    usage_rebuild(now=moment("2026-11-02T00:00"))
    with pytest.raises(UsageDisagrees, match="has changed"):
        invoices.invoice_issue(invoice_id=draft.id, person=None, now=moment("2026-11-02T00:00"))
    invoices.invoice_return(invoice=draft, person=None)
    draft.refresh_from_db()
    fresh = invoice_refresh(invoice=draft, now=moment("2026-11-02T00:00"))
    assert fresh is not None
    assert (fresh.total_minor, fresh.revision) == (74, 2)
    assert issue(fresh, "2026-11-02T00:00").number == "INV-2026-000001"


def test_a_line_that_was_tampered_with_is_not_issued(world: World) -> None:
    calls(world.subscribe(world.plan(PER_CALL), "2026-10-01T00:00"), "2026-10-20T10:00", 10)
    (draft,) = close("2026-11-01T02:00")
    InvoiceLine.objects.filter(invoice=draft).update(amount_minor=1, provider_minor=1, commission_minor=0)
    Invoice.objects.filter(id=draft.id).update(total_minor=1, subtotal_minor=1)
    with pytest.raises(UsageDisagrees) as refusal:
        issue(draft, "2026-11-02T00:00")
    assert "its explanation gives 67" in refusal.value.faults[0].detail


def test_a_void_invoice_keeps_its_number_and_its_usage_is_billed_anew(world: World) -> None:
    subscription = world.subscribe(world.plan(PER_CALL), "2026-10-01T00:00")
    calls(subscription, "2026-10-20T10:00", 10)
    wrong = issue(close("2026-11-01T02:00")[0], "2026-11-02T00:00")
    invoices.invoice_void(invoice=wrong, reason="wrong buyer", person=None, now=moment("2026-11-03T00:00"))
    assert set(ledger_sums().values()) == {0}
    wrong.refresh_from_db()
    assert (wrong.status, wrong.number) == ("void", "INV-2026-000001")
    (draft,) = close("2026-11-03T02:00")
    assert issue(draft, "2026-11-03T03:00").number == "INV-2026-000002"
    assert subscription.usage_records.get().invoice_id == draft.id


def test_a_superseded_price_holds_from_the_next_period_on(world: World) -> None:
    plan = world.plan(PER_CALL)
    subscription = world.subscribe(plan, "2026-10-01T00:00")
    price = plan.prices.get()
    plans.price_supersede(
        price=price,
        spec={"kind": "per_unit", "unit_amount": "1"},
        person=world.alice,
        now=moment("2026-10-15T00:00"),
    )
    calls(subscription, "2026-10-20T10:00", 10)
    calls(subscription, "2026-11-20T10:00", 10)
    assert [draft.total_minor for draft in close("2026-12-01T02:00")] == [67, 1000]


def test_an_app_that_is_deleted_ends_its_subscription_with_the_period(world: World) -> None:
    subscription = world.subscribe(world.plan(FEE), "2026-11-10T00:00")
    access.app_delete(app=world.app, person=world.bob)
    turn("2026-12-01T00:00")
    subscription.refresh_from_db()
    assert subscription.status == SubscriptionStatus.ENDED


def test_an_app_subscribes_to_an_api_once_and_only_to_a_published_plan(world: World) -> None:
    plan = world.plan(FEE)
    world.subscribe(plan, "2026-11-10T00:00")
    with pytest.raises(AlreadySubscribed):
        world.subscribe(plan, "2026-11-10T00:00")
    plans.plan_retire(plan=plan, person=world.alice, now=moment("2026-11-11"))
    with pytest.raises(PlanNotOffered):
        world.subscribe(
            plan, "2026-11-12", app=access.app_create(organization=world.consumer, name="Two", person=world.bob)
        )


def test_nobody_subscribes_to_what_the_operator_has_suspended_or_while_suspended(world: World) -> None:
    plan = world.plan(FEE)
    for code, party in (("api_suspended", world.provider), ("organization_suspended", world.consumer)):
        organization_suspend(organization=party, person=world.alice)
        world.consumer.refresh_from_db()
        with pytest.raises(Conflict) as refused:
            world.subscribe(Plan.objects.get(id=plan.id), "2026-10-01")
        assert refused.value.code == code
        organization_suspend(organization=party, person=world.alice, is_suspended=False)
        world.consumer.refresh_from_db()
    assert world.subscribe(plan, "2026-10-01").is_live
