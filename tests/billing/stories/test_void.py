"""Stories of invoices declared void while usage goes on arriving: whatever happens in between, each call is billed once."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from django.db import transaction
from django.db.models import Sum
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from billing.core.money import Money
from billing.core.pricing import PriceSpec, price
from billing.errors import Conflict
from billing.models import Invoice, InvoiceLine, LateUsage
from billing.services import invoices
from billing.services.drafts import invoice_refresh
from billing.services.usage import usage_rebuild
from tests.billing.world import OVERAGE, PER_CALL, amounts, calls, close, issue, moment

if TYPE_CHECKING:
    from tests.billing.world import World


def void(invoice: Invoice, at: str) -> None:
    """Finance declares an invoice void."""
    invoices.invoice_void(invoice=invoice, reason="wrong buyer", person=None, now=moment(at))


def test_usage_that_came_late_for_an_invoice_declared_void_is_billed_once(world: World) -> None:
    subscription = world.subscribe(world.plan(PER_CALL), "2026-10-01T00:00")
    calls(subscription, "2026-10-20T10:00", 100)
    wrong = issue(close("2026-11-01T02:00")[0], "2026-11-02T00:00")
    calls(subscription, "2026-10-20T10:00", 10)
    usage_rebuild(now=moment("2026-11-02T01:00"))
    assert LateUsage.objects.get().quantity == 10
    void(wrong, "2026-11-03T00:00")
    assert not LateUsage.objects.exists()
    (draft,) = close("2026-11-03T02:00")
    assert amounts(draft) == [("Calls", "110.000000", 737)]
    issue(draft, "2026-11-03T03:00")
    assert close("2026-12-01T02:00") == []


def test_a_draft_that_claimed_late_usage_of_a_void_invoice_is_computed_anew_before_its_issue(world: World) -> None:
    subscription = world.subscribe(world.plan(PER_CALL), "2026-10-01T00:00")
    calls(subscription, "2026-10-20T10:00", 100)
    wrong = issue(close("2026-11-01T02:00")[0], "2026-11-02T00:00")
    calls(subscription, "2026-10-20T10:00", 10)
    calls(subscription, "2026-11-20T10:00", 1)
    usage_rebuild(now=moment("2026-11-21T00:00"))
    (november,) = close("2026-12-01T02:00")
    assert november.total_minor == 7 + 67
    void(wrong, "2026-12-01T03:00")
    with transaction.atomic(), pytest.raises(Conflict, match="has changed"):
        issue(november, "2026-12-01T04:00")
    invoices.invoice_return(invoice=november, person=None)
    invoice_refresh(invoice=Invoice.objects.get(id=november.id), now=moment("2026-12-01T05:00"))
    assert [draft.total_minor for draft in close("2026-12-01T06:00")] == [737, 7]


def test_an_invoice_whose_late_usage_another_one_bills_is_declared_void_after_that_one(world: World) -> None:
    subscription = world.subscribe(world.plan(OVERAGE), "2026-10-01T00:00")
    calls(subscription, "2026-10-20T10:00", 1_100)
    october = issue(close("2026-11-01T02:00")[0], "2026-11-02T00:00")
    calls(subscription, "2026-10-20T10:00", 100)
    calls(subscription, "2026-11-20T10:00", 1_100)
    usage_rebuild(now=moment("2026-11-21T00:00"))
    november = issue(close("2026-12-01T02:00")[0], "2026-12-02T00:00")
    assert (october.total_minor, november.total_minor) == (40, 40 + 40)
    with pytest.raises(Conflict, match="INV-2026-000002 bills usage of the same period") as refused:
        void(october, "2026-12-03T00:00")
    assert refused.value.code == "late_usage_billed"
    void(november, "2026-12-03T00:00")
    void(october, "2026-12-03T01:00")
    assert [draft.total_minor for draft in close("2026-12-03T02:00")] == [80, 40]


STEPS = st.lists(
    st.tuples(st.sampled_from(["call", "count", "issue", "void"]), st.integers(0, 2_000)), min_size=1, max_size=9
)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=STEPS)
@example(steps=[("call", 1_500), ("issue", 0), ("call", 700), ("count", 0), ("void", 0)])
@example(steps=[("call", 1_500), ("issue", 0), ("call", 700), ("count", 0), ("issue", 31), ("void", 0)])
def test_whatever_comes_late_and_is_declared_void_all_invoices_together_are_one_invoice(
    world: World, steps: list[tuple[str, int]]
) -> None:
    """Steps: calls of October turn up, are counted, all drafts are issued after some days, or some invoice is declared void."""
    with transaction.atomic():
        subscription = world.subscribe(world.plan(OVERAGE), "2026-10-01T00:00")
        now, total = moment("2026-11-02T00:00"), 0
        for step, number in steps:
            now += timedelta(hours=3)
            if step == "call":
                total += number
                calls(subscription, f"2026-10-{1 + number % 31:02d}T10:00", number)
            elif step == "count":
                usage_rebuild(now=now)
            elif step == "issue":
                now += timedelta(days=number % 40)
                for draft in close(now.isoformat()):
                    issue(draft, now.isoformat())
            else:
                _void_some(number, now.isoformat())
        for _month in range(2):
            usage_rebuild(now=now)
            now += timedelta(days=40)
            calls(subscription, now - timedelta(days=35), 1_001)  # so that there is something for late usage to go with
            for draft in close(now.isoformat()):
                issue(draft, now.isoformat())
        october = InvoiceLine.objects.filter(invoice__status="issued", period_start=moment("2026-10-01"))
        billed = october.aggregate(minor=Sum("amount_minor", default=0))["minor"]
        exact = sum(part.amount for part in price(PriceSpec.from_dict(OVERAGE.spec), total))
        assert billed == Money.rounded(exact, "EUR").minor
        transaction.set_rollback(True)


def _void_some(number: int, at: str) -> None:
    issued = list(Invoice.objects.filter(status="issued").order_by("id"))
    if issued:
        try:
            void(issued[number % len(issued)], at)
        except Conflict as refused:
            assert refused.code == "late_usage_billed"
