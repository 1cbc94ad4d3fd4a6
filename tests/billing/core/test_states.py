"""The state tables and document numbers: only what has a row happens, and refusals say what would."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.core import invoice_states, subscription_states
from billing.core.errors import NumberInvalid, TransitionRefused
from billing.core.invoice_states import (
    DOCUMENT_TABLE,
    PAYMENT_TABLE,
    InvoiceStatus,
    InvoiceTrigger,
    PaymentStatus,
    PaymentTrigger,
)
from billing.core.numbering import number_format, number_parse
from billing.core.subscription_states import SUBSCRIPTION_TABLE, SubscriptionStatus, SubscriptionTrigger


def reachable(table: Any, start: Any) -> set[Any]:
    found, before = {start}, set()
    while found != before:
        before = set(found)
        found |= {after for (status, _), after in table.rows.items() if status in before}
    return found


def test_the_document_walks_from_draft_to_issued_and_may_be_voided() -> None:
    status = InvoiceStatus.DRAFT
    walk = [InvoiceTrigger.SUBMIT, InvoiceTrigger.APPROVE, InvoiceTrigger.ISSUE, InvoiceTrigger.VOID]
    for trigger in walk:
        status = invoice_states.advance(status, trigger)
    assert status is InvoiceStatus.VOID


@pytest.mark.parametrize("status", InvoiceStatus)
@pytest.mark.parametrize("trigger", InvoiceTrigger)
def test_every_document_step_is_in_the_table_or_refused(status: InvoiceStatus, trigger: InvoiceTrigger) -> None:
    if (status, trigger) in DOCUMENT_TABLE.rows:
        assert invoice_states.advance(status, trigger) in InvoiceStatus
        assert trigger in DOCUMENT_TABLE.allowed(status)
    else:
        with pytest.raises(TransitionRefused, match=f"is {status}; it cannot {trigger}"):
            invoice_states.advance(status, trigger)


def test_an_issued_document_never_becomes_a_draft_again() -> None:
    assert reachable(DOCUMENT_TABLE, InvoiceStatus.ISSUED) == {InvoiceStatus.ISSUED, InvoiceStatus.VOID}


def test_only_an_approved_document_can_be_issued() -> None:
    sources = [status for (status, trigger) in DOCUMENT_TABLE.rows if trigger is InvoiceTrigger.ISSUE]
    assert sources == [InvoiceStatus.APPROVED]


def test_every_status_can_be_reached_from_the_first() -> None:
    assert reachable(DOCUMENT_TABLE, InvoiceStatus.DRAFT) == set(InvoiceStatus)
    assert reachable(PAYMENT_TABLE, PaymentStatus.UNPAID) == set(PaymentStatus)
    assert reachable(SUBSCRIPTION_TABLE, SubscriptionStatus.TRIALING) == set(SubscriptionStatus)


def test_a_claim_given_up_may_still_be_paid_and_a_paid_one_stays_paid() -> None:
    given_up = invoice_states.advance(PaymentStatus.UNPAID, PaymentTrigger.GIVE_UP)
    assert invoice_states.advance(given_up, PaymentTrigger.SETTLE) is PaymentStatus.PAID
    with pytest.raises(TransitionRefused, match="nothing more"):
        invoice_states.advance(PaymentStatus.PAID, PaymentTrigger.SETTLE)


def test_the_two_axes_of_an_invoice_do_not_mix() -> None:
    mixed: Any = PaymentTrigger.SETTLE
    with pytest.raises(TypeError):
        invoice_states.advance(InvoiceStatus.ISSUED, mixed)


def test_a_canceled_subscription_may_be_resumed_but_an_ended_one_may_not() -> None:
    canceled = subscription_states.advance(SubscriptionStatus.ACTIVE, SubscriptionTrigger.CANCEL)
    assert canceled.is_live
    assert subscription_states.advance(canceled, SubscriptionTrigger.RESUME) is SubscriptionStatus.ACTIVE
    ended = subscription_states.advance(canceled, SubscriptionTrigger.END)
    assert not ended.is_live
    with pytest.raises(TransitionRefused):
        subscription_states.advance(ended, SubscriptionTrigger.RESUME)


@given(st.from_regex(r"[A-Z][A-Z0-9]{0,11}", fullmatch=True), st.integers(1000, 9999), st.integers(1, 10**12 - 1))
def test_a_number_survives_its_text(series: str, year: int, sequence: int) -> None:
    assert number_parse(number_format(series=series, year=year, sequence=sequence)) == (series, year, sequence)


def test_numbers_are_zero_padded_and_sort_within_a_year() -> None:
    numbers = [number_format(series="INV", year=2026, sequence=sequence) for sequence in (1, 17, 999_999)]
    assert numbers == ["INV-2026-000001", "INV-2026-000017", "INV-2026-999999"] == sorted(numbers)


@pytest.mark.parametrize(
    ("series", "year", "sequence"),
    [
        ("inv", 2026, 1),
        ("", 2026, 1),
        ("1A", 2026, 1),
        ("A" * 13, 2026, 1),
        ("A-B", 2026, 1),
        ("A", 26, 1),
        ("A", 2026, 0),
    ],
)
def test_a_number_out_of_form_is_refused(series: str, year: int, sequence: int) -> None:
    with pytest.raises(NumberInvalid):
        number_format(series=series, year=year, sequence=sequence)


@pytest.mark.parametrize("text", ["", "INV-2026-17", "INV-2026-0000017", "INV-2026-000017\n", "inv-2026-000017"])
def test_text_that_is_no_number_is_refused(text: str) -> None:
    with pytest.raises(NumberInvalid):
        number_parse(text)
