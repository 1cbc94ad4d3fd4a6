"""Finance's pages tell what they know: both parties of a draft, who did what, why a step is shut; and wrong days are refused."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

import pytest
import time_machine

from billing.errors import InvalidInput
from billing.forms.prices import UsagePriceForm
from billing.models import Invoice
from billing.selectors.overviews import invoice_expected
from billing.services import invoices, payments, plans, statements
from billing.services.closing import period_close
from billing.services.plans import PriceDraft
from billing.services.usage import usage_rebuild
from config import env
from tests.billing.world import FEE, PER_CALL, calls, close, issue, moment

if TYPE_CHECKING:
    from django.test import Client

    from marketplace.models import Person
    from tests.billing.world import World


@pytest.fixture
def fiona(world: World) -> Person:
    """Finance of the platform."""
    world.alice.is_platform_finance = True
    world.alice.save(update_fields=["is_platform_finance"])
    return world.alice


@pytest.fixture
def finance(fiona: Person, client: Client) -> Client:
    """Fiona, in the browser."""
    client.force_login(fiona)
    return client


@pytest.fixture
def draft(world: World) -> Invoice:
    """A draft of 30.00 EUR for October."""
    world.subscribe(world.plan(FEE), "2026-10-01T00:00")
    return close("2026-11-01T02:00")[0]


def page_of(client: Client, invoice: Invoice) -> str:
    return client.get(f"/finance/invoices/{invoice.public_id}/").content.decode()


def pay(invoice: Invoice, received_on: date, reference: str, minor: int = 1_000) -> None:
    payments.payment_record(
        invoice=invoice,
        amount_minor=minor,
        reference=reference,
        received_on=received_on,
        person=None,
        now=moment("2026-11-09T10:00"),
    )


def test_a_draft_shows_both_parties_as_they_would_be_printed_now(world: World, finance: Client, draft: Invoice) -> None:
    type(world.consumer).objects.filter(id=world.consumer.id).update(address="7 Feather Lane\nHangzhou")
    shown = page_of(finance, draft)
    assert "7 Feather Lane<br>Hangzhou" in shown
    assert f"<strong>{env.settings_read().seller['name']}</strong>" in shown


def test_the_timeline_says_who_submitted_and_lists_the_last_transfer_of_a_day_first(
    finance: Client, fiona: Person, draft: Invoice
) -> None:
    invoices.invoice_submit(invoice=draft, person=fiona, now=moment("2026-11-01T08:00"))
    invoices.invoice_approve(invoice=draft, person=None, now=moment("2026-11-01T08:10"))
    issued = invoices.invoice_issue(invoice_id=draft.id, person=None, now=moment("2026-11-02T00:00"))
    for day, reference in ((7, "SECOND"), (7, "THIRD"), (5, "FIRST")):
        pay(issued, date(2026, 11, day), reference, minor=100)
    shown = page_of(finance, issued)
    assert shown.index("THIRD") < shown.index("SECOND") < shown.index("FIRST")
    submitted = shown[shown.index("Submitted for review") :][:200]
    assert fiona.email in submitted and "computed by Tollgate" in shown


@pytest.mark.parametrize(
    ("day", "words"), [(date(1900, 1, 1), "which began on 2026-10-01"), (date(2026, 12, 1), "has not come")]
)
def test_a_transfer_has_a_day_between_the_periods_begin_and_now(draft: Invoice, day: date, words: str) -> None:
    issued = issue(draft, "2026-11-02T00:00")
    with pytest.raises(InvalidInput) as refused:
        pay(issued, day, "transfer")
    (fault,) = refused.value.faults
    assert fault.pointer == "/received_on" and words in fault.detail
    pay(issued, date(2026, 10, 1), "transfer")


def test_the_form_to_declare_void_does_not_open_for_what_was_paid(finance: Client, draft: Invoice) -> None:
    issued = issue(draft, "2026-11-02T00:00")
    void = f"/finance/invoices/{issued.public_id}/void/"
    assert finance.get(void).status_code == 200
    pay(issued, date(2026, 11, 5), "transfer")
    for answer in (finance.get(void, follow=True), finance.post(void, {"reason": "wrong"}, follow=True)):
        assert answer.redirect_chain and "corrected by a credit note only" in answer.content.decode()


def test_a_statement_of_a_running_month_says_from_when_it_can_be_issued(
    world: World, finance: Client, draft: Invoice
) -> None:
    issue(draft, "2026-11-02T00:00")
    with time_machine.travel(moment("2026-11-20T10:00"), tick=False):
        statement = statements.statement_compute(
            provider=world.provider, month=date(2026, 11, 1), currency="EUR", now=moment("2026-11-20T10:00")
        )
        assert statement is not None
        page = f"/finance/statements/{statement.public_id}/"
        assert "Not before 1 Dec 2026, 00:00 UTC: the month still runs." in finance.get(page).content.decode()
    with time_machine.travel(moment("2026-12-01T00:00"), tick=False):
        assert "Not before" not in finance.get(page).content.decode()


def test_the_next_invoice_does_not_expect_what_was_invoiced_of_the_running_period(world: World) -> None:
    subscription = world.subscribe(world.plan(FEE, PER_CALL), "2026-11-01T00:00")
    calls(subscription, "2026-11-05T10:00", 100)
    now = moment("2026-11-11T00:00")
    usage_rebuild(now=now)
    before = invoice_expected(organization=world.consumer, now=now)
    assert before is not None and before.minor == 3_000 + 2_010
    period_close(now=now, subscription_id=subscription.id)
    early = issue(Invoice.objects.get(), now.isoformat())
    expected = invoice_expected(organization=world.consumer, now=now)
    assert early.total_minor == 3_670
    assert expected is not None and expected.minor == before.minor - early.total_minor


@pytest.mark.parametrize(
    ("currency", "amount", "example"), [("EUR", "1.234", "1.23"), ("JPY", "1.5", "2"), ("KWD", "1.2345", "1.235")]
)
def test_a_fee_finer_than_its_currency_is_refused_with_one_that_can_be_paid(
    world: World, currency: str, amount: str, example: str
) -> None:
    fee = PriceDraft("Fee", {"kind": "flat", "unit_amount": amount})
    with pytest.raises(InvalidInput) as refused:
        world.plan(fee, currency=currency)
    (fault,) = refused.value.faults
    assert fault.pointer == "/prices/0/unit_amount" and fault.detail.endswith(f"such as {example}.")
    plan = world.plan(FEE, name="Whole", currency=currency)
    with pytest.raises(InvalidInput, match="superseded"):
        plans.price_supersede(price=plan.prices.get(), spec=fee.spec, person=None, now=moment("2026-11-01"))


def test_a_draft_gets_no_currency_that_is_too_coarse_for_the_fees_that_it_keeps(world: World) -> None:
    fee = PriceDraft("Fee", {"kind": "flat", "unit_amount": "9.99"})
    draft = plans.plan_create(api=world.api, name="New", currency="EUR", prices=[fee], person=world.alice)
    with pytest.raises(InvalidInput) as refused:
        plans.plan_update(plan=draft, person=world.alice, currency="JPY")
    assert [(fault.pointer, fault.detail[-11:]) for fault in refused.value.faults] == [("/currency", "such as 10.")]
    whole = PriceDraft("Fee", {"kind": "flat", "unit_amount": "999"})
    assert plans.plan_update(plan=draft, person=world.alice, currency="JPY", prices=[whole]).currency == "JPY"


def test_a_price_of_many_digits_is_refused_for_its_size_not_its_shape(world: World) -> None:
    with pytest.raises(InvalidInput) as refused:
        world.plan(PriceDraft("Fee", {"kind": "flat", "unit_amount": "9" * 23}))
    assert [fault.detail for fault in refused.value.faults] == ["A price is below 1000000000000."]


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"tier_0_up_to": "100", "tier_0_unit_amount": "0.1"}, "tier_0_up_to"),
        ({"tier_1_unit_amount": "0.1"}, "tier_1_unit_amount"),
        ({"package_size": "500"}, "package_size"),
    ],
)
def test_what_a_price_per_call_does_not_use_is_refused_not_dropped(values: dict[str, str], field: str) -> None:
    form = UsagePriceForm({"model": "per_unit", "unit_amount": "0.01", **values})
    assert not form.is_valid() and list(form.errors) == [field]
    assert UsagePriceForm({"model": "per_unit", "unit_amount": "0.01"}).is_valid()


def test_an_amount_without_a_use_is_refused_beside_tiers() -> None:
    values = {"model": "graduated", "tier_0_unit_amount": "0.1", "unit_amount": "0.01"}
    assert list(UsagePriceForm(values).errors) == ["unit_amount"]
    assert UsagePriceForm({**values, "unit_amount": "0"}).is_valid()


def test_a_demo_invoice_can_be_paid_and_no_other_prints_a_made_up_account(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TOLLGATE_SELLER", raising=False)
    monkeypatch.setenv("TOLLGATE_ENV", "demo")
    seller = env.settings_read().seller
    assert seller["address"] and {label for label, _value in seller["payment"]} >= {"IBAN"}
    monkeypatch.setenv("TOLLGATE_ENV", "test")
    assert env.settings_read().seller == {"name": "Tollgate"}


@pytest.mark.parametrize(
    "span",
    [
        "since=2026-13-45&until=x",
        "since=2026-11-10&until=2026-11-01",
        "since=2026-01-01&until=2026-11-01",
        "since=2025-01-01",
        "since=2026-11-17",
    ],
)
def test_a_file_of_usage_is_refused_for_days_that_it_would_not_hold(world: World, client: Client, span: str) -> None:
    client.force_login(world.bob)
    page = f"/o/{world.consumer.slug}/usage.csv"
    with time_machine.travel(moment("2026-11-16T11:20"), tick=False):
        refused = client.get(f"{page}?{span}")
        assert (refused.status_code, refused["Content-Type"]) == (400, "text/plain; charset=utf-8")
        assert "two days such as 2026-10-01" in refused.content.decode()
        for good in ("", "?since=2026-11-01&until=2026-11-16", "?since=2026-11-10"):
            assert client.get(page + good).status_code == 200
