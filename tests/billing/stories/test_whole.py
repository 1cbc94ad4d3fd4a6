"""The whole job over two months: subscribe, call, close, review, issue, pay, state what the provider earned."""

from __future__ import annotations

import re
from datetime import date
from typing import TYPE_CHECKING

import pytest
from django.core import mail

from billing.models import PaymentStatus
from billing.services import dispatch, payments, statements
from billing.services.ledger import ledger_audit
from tests.billing.world import FEE, OVERAGE, PER_CALL, amounts, calls, close, issue, ledger_sums, moment

if TYPE_CHECKING:
    from django.test import Client

    from tests.billing.world import World


def test_a_subscription_from_mid_month_is_used_invoiced_paid_and_stated(world: World, client: Client) -> None:
    plan = world.plan(FEE, OVERAGE)
    subscription = world.subscribe(plan, "2026-10-16T09:00")
    calls(subscription, "2026-10-20T10:00", 900)
    calls(subscription, "2026-10-31T23:00", 1_100)
    calls(subscription, "2026-10-31T23:00", 50, outcome="upstream_failed")
    calls(subscription, "2026-11-01T00:00", 7)

    (draft,) = close("2026-11-01T02:00")
    # 16 of 31 days: half the fee and half the included units, rounded up for the subscriber: 517.
    assert amounts(draft) == [("Monthly fee", "1.000000", 1548), ("Calls", "2000.000000", 448)]
    assert draft.total_minor == 1996
    assert [reason["code"] for reason in draft.review_reasons] == ["first_invoice"]

    invoice = issue(draft, "2026-11-02T08:00")
    assert invoice.number == "INV-2026-000001"
    assert bytes(invoice.document.pdf).startswith(b"%PDF")
    assert ledger_sums() == {"receivable": 1996, "commission": -299, "payable": -1697}

    assert dispatch.invoices_send(now=moment("2026-11-02T08:01")) == 1
    assert dispatch.invoices_send(now=moment("2026-11-02T08:02")) == 0
    (letter,) = mail.outbox
    assert letter.to == ["bob@example.com"]
    assert letter.attachments[0][0] == "INV-2026-000001.pdf"
    assert letter.attachments[0][1] == bytes(invoice.document.pdf)
    (link,) = re.findall(r"https?://[^/]+(\S+)", letter.body)
    client.force_login(world.bob)
    assert invoice.number in client.get(link).content.decode()

    payments.payment_record(
        invoice=invoice,
        amount_minor=1996,
        reference="INV-2026-000001 Bob",
        received_on=date(2026, 11, 9),
        person=None,
        now=moment("2026-11-09T10:00"),
    )
    invoice.refresh_from_db()
    assert invoice.payment_status == PaymentStatus.PAID
    assert ledger_sums() == {"bank": 1996, "receivable": 0, "commission": -299, "payable": -1697}

    statement = statements.statement_compute(
        provider=world.provider, month=date(2026, 11, 1), currency="EUR", now=moment("2026-12-01T01:00")
    )
    assert statement is not None
    stated = statements.statement_issue(statement=statement, person=None, now=moment("2026-12-01T01:00"))
    assert (stated.gross_minor, stated.commission_minor, stated.share_minor) == (1996, 299, 1697)
    assert stated.number == "STM-2026-000001"
    assert bytes(stated.document.pdf).startswith(b"%PDF")
    assert ledger_audit() == []


def test_the_next_month_is_a_whole_one_and_its_number_follows(world: World) -> None:
    subscription = world.subscribe(world.plan(FEE, OVERAGE), "2026-10-16T09:00")
    issue(close("2026-11-01T02:00")[0], "2026-11-02T08:00")
    calls(subscription, "2026-11-30T12:00", 2_500)

    (draft,) = close("2026-12-01T02:00")
    assert amounts(draft) == [("Monthly fee", "1.000000", 3000), ("Calls", "2500.000000", 450)]
    assert [reason["code"] for reason in draft.review_reasons] == ["total_jump"]
    assert issue(draft, "2026-12-02T08:00").number == "INV-2026-000002"


def test_a_free_plan_is_closed_without_an_invoice_and_costs_nothing(world: World) -> None:
    subscription = world.subscribe(world.plan(name="Free"), "2026-10-16T09:00")
    calls(subscription, "2026-10-20T10:00", 5)
    assert close("2026-11-01T02:00") == []
    assert subscription.periods.get(starts_at=moment("2026-10-16")).closed_at is not None
    assert subscription.usage_records.get().quantity == 5


@pytest.mark.parametrize("times", [1, 3])
def test_a_price_of_0_067_times_55_is_3_69_and_parks_nobody(world: World, times: int) -> None:
    subscription = world.subscribe(world.plan(PER_CALL), "2026-10-01T00:00")
    calls(subscription, "2026-10-20T10:00", 55 * times)
    (draft,) = close("2026-11-01T02:00")
    assert draft.total_minor == {1: 369, 3: 1106}[times]
    subscription.refresh_from_db()
    assert not subscription.is_parked
    assert issue(draft, "2026-11-02T08:00").total_minor == draft.total_minor
