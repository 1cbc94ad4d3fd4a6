"""Stories of money received: in parts, too much, twice by mistake; and of statements when an invoice was void."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

import pytest
from django.db.models import Sum

from billing.errors import Conflict, InvalidInput
from billing.models import Invoice, Payment, PaymentStatus, ProviderStatement
from billing.selectors.balances import consumer_balances, provider_balances
from billing.services import invoices, payments, statements
from marketplace.services.accounts import organization_update
from tests.billing.world import FEE, close, issue, ledger_sums, moment

if TYPE_CHECKING:
    from tests.billing.world import World


def _pay(invoice: Invoice, minor: int, *, key: str = "", reference: str = "transfer") -> Payment:
    return payments.payment_record(
        invoice=invoice,
        amount_minor=minor,
        reference=reference,
        received_on=date(2026, 11, 9),
        person=None,
        now=moment("2026-11-09T10:00"),
        idempotency_key=key,
    )


@pytest.fixture
def invoice(world: World) -> Invoice:
    """An issued invoice of 30.00 EUR."""
    world.subscribe(world.plan(FEE), "2026-10-01T00:00")
    return issue(close("2026-11-01T02:00")[0], "2026-11-02T00:00")


def test_an_invoice_paid_in_parts_is_paid_with_the_last_part(invoice: Invoice) -> None:
    _pay(invoice, 1_000)
    invoice.refresh_from_db()
    assert (invoice.payment_status, invoice.due_minor) == (PaymentStatus.UNPAID, 2_000)
    _pay(invoice, 2_000)
    invoice.refresh_from_db()
    assert (invoice.payment_status, invoice.due_minor) == (PaymentStatus.PAID, 0)


def test_what_was_paid_too_much_settles_the_next_invoice(world: World, invoice: Invoice) -> None:
    _pay(invoice, 7_500)
    assert consumer_balances(organization=world.consumer) == {"EUR": -4_500}
    second = issue(close("2026-12-01T02:00")[0], "2026-12-02T00:00")
    third = issue(close("2027-01-01T02:00")[0], "2027-01-02T00:00")
    second.refresh_from_db()
    assert (second.payment_status, third.due_minor) == (PaymentStatus.PAID, 1_500)
    assert consumer_balances(organization=world.consumer) == {"EUR": 1_500}
    assert sum(ledger_sums().values()) == 0


def test_a_payment_settles_older_open_invoices_with_what_is_left(world: World, invoice: Invoice) -> None:
    second = issue(close("2026-12-01T02:00")[0], "2026-12-02T00:00")
    _pay(second, 4_000)
    invoice.refresh_from_db()
    second.refresh_from_db()
    assert (second.payment_status, invoice.due_minor) == (PaymentStatus.PAID, 2_000)


def test_a_payment_sent_twice_with_one_key_is_recorded_once(invoice: Invoice) -> None:
    assert _pay(invoice, 1_000, key="k1") == _pay(invoice, 1_000, key="k1")
    assert ledger_sums()["bank"] == 1_000
    with pytest.raises(Conflict):
        _pay(invoice, 1_001, key="k1")
    with pytest.raises(Conflict, match=r"another payment of 10\.00 EUR"):
        _pay(invoice, 1_000, key="k1", reference="the next transfer, of the same amount")
    assert ledger_sums()["bank"] == 1_000


@pytest.mark.parametrize(
    ("minor", "reference", "pointer"), [(0, "x", "/amount"), (-5, "x", "/amount"), (5, " ", "/reference")]
)
def test_a_payment_that_cannot_be_is_refused_with_its_fault(
    invoice: Invoice, minor: int, reference: str, pointer: str
) -> None:
    with pytest.raises(InvalidInput) as refusal:
        _pay(invoice, minor, reference=reference)
    assert [fault.pointer for fault in refusal.value.faults] == [pointer]


def test_a_draft_cannot_be_paid_and_a_paid_invoice_cannot_be_voided(world: World, invoice: Invoice) -> None:
    (draft,) = close("2026-12-01T02:00")
    with pytest.raises(Conflict):
        _pay(draft, 1_000)
    _pay(invoice, 10)
    with pytest.raises(Conflict, match="credit note"):
        invoices.invoice_void(invoice=invoice, reason="no", person=None, now=moment("2026-11-10"))


def test_a_void_invoice_is_taken_off_the_statement_of_the_month_it_was_voided_in(
    world: World, invoice: Invoice
) -> None:
    invoices.invoice_void(invoice=invoice, reason="wrong", person=None, now=moment("2026-12-03"))
    november = statements.statement_compute(
        provider=world.provider, month=date(2026, 11, 5), currency="EUR", now=moment("2027-01-01")
    )
    december = statements.statement_compute(
        provider=world.provider, month=date(2026, 12, 1), currency="EUR", now=moment("2027-01-01")
    )
    assert november is not None
    assert december is not None
    assert (november.share_minor, december.share_minor) == (2550, -2550)
    assert provider_balances(organization=world.provider) == {"EUR": 0}


def test_a_statement_of_a_running_month_is_not_issued(world: World, invoice: Invoice) -> None:
    draft = statements.statement_compute(
        provider=world.provider, month=date(2026, 11, 5), currency="EUR", now=moment("2026-11-15")
    )
    assert draft is not None
    with pytest.raises(Conflict):
        statements.statement_issue(statement=draft, person=None, now=moment("2026-11-15"))


@pytest.mark.parametrize(
    ("before", "after", "issued_at"),
    [("UTC", "Asia/Shanghai", "2026-11-30T20:00"), ("UTC", "America/New_York", "2026-12-01T02:00")],
)
@pytest.mark.parametrize("months", [(11, 12), (12, 11)])
def test_a_provider_that_moves_to_another_time_zone_finds_each_invoice_on_one_statement(
    world: World, before: str, after: str, issued_at: str, months: tuple[int, int]
) -> None:
    world.subscribe(world.plan(FEE), "2026-10-01T00:00")
    issue(close("2026-11-01T02:00")[0], issued_at)
    issue(close("2026-12-01T02:00")[0], "2026-12-15T00:00")
    for zone, month in ((before, months[0]), (after, months[1]), (after, months[0])):
        world.provider = organization_update(organization=world.provider, person=world.alice, time_zone=zone)
        draft = statements.statement_compute(
            provider=world.provider, month=date(2026, month, 1), currency="EUR", now=moment("2027-01-02")
        )
        if draft is not None:
            statements.statement_issue(statement=draft, person=None, now=moment("2027-01-02"))
    stated = ProviderStatement.objects.filter(status="issued").aggregate(minor=Sum("share_minor"))["minor"]
    assert provider_balances(organization=world.provider) == {"EUR": stated}
    assert stated == 2 * 2550
