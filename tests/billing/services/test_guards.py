"""What the database itself refuses, whoever asks: an unbalanced ledger, a changed invoice, an edited price, a number gap."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest
from django.db import DatabaseError, connection, transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from billing.core.ledger import Claim, Share, post_invoice_issued, post_invoice_voided, post_payment_received
from billing.models import Invoice, LedgerAccount, LedgerEntry, LedgerTransaction
from billing.services.ledger import ledger_audit, ledger_post
from billing.services.plans import price_supersede
from tests.billing.world import FEE, OVERAGE, calls, close, issue, ledger_sums, moment

if TYPE_CHECKING:
    from tests.billing.world import World

amounts = st.integers(min_value=-5_000, max_value=5_000).filter(bool)


def _check_now() -> None:
    """Run what is deferred to COMMIT now, inside the test's own transaction."""
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        cursor.execute("SET CONSTRAINTS ALL DEFERRED")


def _raw(sql: str, *values: object) -> None:
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(sql, values)


def _account(kind: str, world: World) -> LedgerAccount:
    owner = None if kind in ("bank", "commission") else world.consumer
    return LedgerAccount.objects.get_or_create(kind=kind, organization=owner, currency="EUR")[0]


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(minors=st.lists(amounts, min_size=2, max_size=5))
def test_the_database_takes_a_transaction_only_when_its_entries_sum_to_zero(world: World, minors: list[int]) -> None:
    account = _account("bank", world)

    def write() -> None:
        with transaction.atomic():
            booked = LedgerTransaction.objects.create(
                kind="test", reference=str(uuid4()), booked_at=moment("2026-11-01"), description="test"
            )
            LedgerEntry.objects.bulk_create(
                LedgerEntry(transaction=booked, account=account, currency="EUR", amount_minor=minor) for minor in minors
            )
            _check_now()

    if sum(minors):
        with pytest.raises(DatabaseError, match="does not balance"):
            write()
    else:
        write()


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=st.lists(st.tuples(st.sampled_from("ivp"), st.integers(1, 10**6), st.integers(0, 10**6)), max_size=6))
def test_whatever_is_booked_the_books_sum_to_zero(world: World, steps: list[tuple[str, int, int]]) -> None:
    consumer, provider = str(world.consumer.id), str(world.provider.id)
    for what, minor, fee in steps:
        claim = Claim(consumer, "EUR", minor, min(fee, minor), (Share(provider, minor - min(fee, minor)),))
        posting = {
            "i": lambda claim=claim: post_invoice_issued(claim),
            "v": lambda claim=claim: post_invoice_voided(claim),
            "p": lambda minor=minor: post_payment_received(consumer_id=consumer, currency="EUR", amount_minor=minor),
        }[what]()
        for _ in range(2):  # booked once, however often it is asked for
            ledger_post(
                posting=posting, reference=f"{what}{minor}{fee}", booked_at=moment("2026-11-01"), description="x"
            )
    _check_now()
    assert sum(ledger_sums().values()) == 0
    assert ledger_audit() == []


def test_a_transaction_of_one_entry_or_none_is_refused(world: World) -> None:
    with pytest.raises(DatabaseError, match="fewer than two"), transaction.atomic():
        LedgerTransaction.objects.create(
            kind="test", reference="none", booked_at=moment("2026-11-01"), description="test"
        )
        _check_now()


@pytest.fixture
def invoice(world: World) -> Invoice:
    """An issued invoice with a fee and usage."""
    calls(world.subscribe(world.plan(FEE, OVERAGE), "2026-10-01T00:00"), "2026-10-05T00:00", 1_200)
    return issue(close("2026-11-01T02:00")[0], "2026-11-02T00:00")


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE billing_ledgerentry SET amount_minor = amount_minor + 1",
        "DELETE FROM billing_ledgerentry",
        "UPDATE billing_ledgertransaction SET description = 'x'",
        "DELETE FROM billing_ledgertransaction",
        "DELETE FROM billing_ledgeraccount",
        "UPDATE billing_invoice SET total_minor = 1",
        "UPDATE billing_invoice SET number = 'INV-2026-000009'",
        "UPDATE billing_invoice SET buyer = '{}'",
        "UPDATE billing_invoice SET status = 'draft', number = NULL, issued_at = NULL",
        "UPDATE billing_invoice SET voided_at = now()",
        "DELETE FROM billing_invoice",
        "UPDATE billing_invoiceline SET amount_minor = 0, commission_minor = 0, provider_minor = 0",
        "UPDATE billing_invoiceline SET explanation = '{}'",
        "DELETE FROM billing_invoiceline",
        (
            "INSERT INTO billing_invoiceline SELECT gen_random_uuid(), created_at, 99, kind, grant_id, period_start, "
            'period_end, "group", description, quantity, unit_price, amount_minor, commission_rate, commission_minor, '
            "provider_minor, explanation, api_id, invoice_id, meter_id, plan_id, price_id, provider_id, subscription_id "
            "FROM billing_invoiceline LIMIT 1"
        ),
        "UPDATE billing_invoicedocument SET pdf = ''",
        "DELETE FROM billing_invoicedocument",
        "UPDATE billing_usagerecord SET quantity = quantity + 1",
        "UPDATE billing_usagerecord SET invoice_id = NULL",
        "DELETE FROM billing_usagerecord",
        (
            "INSERT INTO billing_usagerecord SELECT gen_random_uuid(), created_at, hour + interval '1 hour', quantity, "
            "rebuilt_at, invoice_id, meter_id, subscription_id FROM billing_usagerecord"
        ),
        (
            "INSERT INTO billing_lateusage SELECT gen_random_uuid(), created_at, hour, quantity, "
            "rebuilt_at, invoice_id, meter_id, subscription_id FROM billing_usagerecord"
        ),
        "UPDATE billing_billingperiod SET invoice_id = NULL, closed_at = NULL",
        "UPDATE billing_billingperiod SET ends_at = ends_at + interval '1 hour' WHERE invoice_id IS NOT NULL",
        "UPDATE billing_billingperiod SET invoice_id = (SELECT id FROM billing_invoice) WHERE invoice_id IS NULL",
        "DELETE FROM billing_billingperiod",
        "UPDATE billing_price SET unit_amount = 0",
        "DELETE FROM billing_price WHERE kind = 'flat'",
        "UPDATE billing_tier SET unit_amount = 0",
        "DELETE FROM billing_tier",
        "UPDATE billing_meter SET measure = 'bytes'",
        "UPDATE billing_numberseries SET last_number = last_number + 2",
        "UPDATE billing_numberseries SET last_number = last_number - 1",
        "DELETE FROM billing_numberseries",
        "UPDATE billing_subscriptionchange SET at = now()",
    ],
)
def test_what_was_issued_or_booked_cannot_be_changed_even_by_sql(invoice: Invoice, sql: str) -> None:
    with pytest.raises(DatabaseError, match=r"refused|never|frozen|moves on|keeps facts"):
        _raw(sql)


def test_payment_and_dispatch_of_an_issued_invoice_can_be_noted(invoice: Invoice) -> None:
    _raw("UPDATE billing_invoice SET payment_status = 'uncollectible', sent_at = now()")


def test_tiers_cannot_be_added_to_a_published_price(invoice: Invoice) -> None:
    price = invoice.lines.get(kind="fee").price
    with pytest.raises(DatabaseError, match="published price"), transaction.atomic():
        price.tiers.create(position=0, unit_amount=1)


def test_a_price_is_superseded_once(world: World) -> None:
    price = world.plan(FEE).prices.get()
    arguments: dict[str, Any] = {"person": world.alice, "now": moment("2026-11-01")}
    price_supersede(price=price, spec={"kind": "flat", "unit_amount": "31"}, **arguments)
    with pytest.raises(DatabaseError, match="never edited"):
        _raw(
            "UPDATE billing_price SET effective_until = NULL, superseded_by_id = NULL WHERE superseded_by_id IS NOT NULL"
        )
