"""billing.core.ledger: every template balances, and whatever does not is refused."""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.core.commission import commission_split
from billing.core.errors import MoneyInvalid, PostingInvalid
from billing.core.ledger import (
    AccountKind,
    AccountRef,
    Claim,
    Entry,
    Posting,
    PostingKind,
    Share,
    balances,
    post_invoice_issued,
    post_invoice_reinstated,
    post_invoice_voided,
    post_invoice_written_off,
    post_payment_received,
    post_payout_sent,
)

ALICE, BOB = "alice-provides", "bob-consumes"
BANK = AccountRef(AccountKind.BANK, "", "USD")


@st.composite
def claims(draw: st.DrawFn) -> Claim:
    """Draw an invoice of up to eight lines over three providers, split line by line."""
    lines = draw(
        st.lists(
            st.tuples(st.sampled_from("abc"), st.integers(0, 10**9), st.decimals(0, 1, places=4)),
            min_size=1,
            max_size=8,
        )
    )
    total = fee = 0
    shares: dict[str, int] = {}
    for provider, net_minor, rate in lines:
        split = commission_split(net_minor, rate)
        total, fee = total + net_minor, fee + split.fee_minor
        shares[provider] = shares.get(provider, 0) + split.share_minor
    currency = draw(st.sampled_from(["USD", "JPY"]))
    return Claim(BOB, currency, total, fee, tuple(Share(*share) for share in sorted(shares.items())))


def claim_of(total: int, fee: int, *shares: Share) -> Claim:
    return Claim(BOB, "USD", total, fee, shares)


@given(st.lists(claims().filter(lambda claim: claim.total_minor), max_size=6))
def test_after_any_invoices_payments_and_pay_outs_the_ledger_is_zero_and_nobody_owes(drawn: list[Claim]) -> None:
    postings = []
    for claim in drawn:
        paid = {"consumer_id": claim.consumer_id, "currency": claim.currency, "amount_minor": claim.total_minor}
        postings += [post_invoice_issued(claim), post_payment_received(**paid)]
        for share in claim.shares:
            if share.amount_minor:
                sent = {"provider_id": share.provider_id, "currency": claim.currency}
                postings.append(post_payout_sent(**sent, amount_minor=share.amount_minor))
    left = balances(postings)
    for currency in ("USD", "JPY"):
        assert sum(amount for account, amount in left.items() if account.currency == currency) == 0
        fees = sum(claim.fee_minor for claim in drawn if claim.currency == currency)
        assert left.get(AccountRef(AccountKind.BANK, "", currency), 0) == fees
        assert left.get(AccountRef(AccountKind.COMMISSION, "", currency), 0) == -fees
    assert all(not amount for account, amount in left.items() if account.kind.has_owner)


@given(claims().filter(lambda claim: claim.total_minor))
def test_a_void_and_a_write_off_undo_the_issue_and_a_reinstatement_undoes_the_write_off(claim: Claim) -> None:
    issued = post_invoice_issued(claim)
    for undone in (post_invoice_voided(claim), post_invoice_written_off(claim)):
        assert not any(balances([issued, undone]).values())
    again = [issued, post_invoice_written_off(claim), post_invoice_reinstated(claim)]
    assert balances(again) == balances([issued])


def test_an_issued_invoice_is_owed_by_the_consumer_and_to_platform_and_provider() -> None:
    posting = post_invoice_issued(claim_of(5550, 833, Share(ALICE, 4717)))
    booked = {(entry.account.kind, entry.account.owner_id): entry.amount_minor for entry in posting.entries}
    assert booked == {
        (AccountKind.RECEIVABLE, BOB): 5550,
        (AccountKind.COMMISSION, ""): -833,
        (AccountKind.PAYABLE, ALICE): -4717,
    }
    assert posting.kind == "invoice_issued"


def test_an_overpayment_stays_as_the_consumers_credit() -> None:
    postings = [
        post_invoice_issued(claim_of(100, 10, Share(ALICE, 90))),
        post_payment_received(consumer_id=BOB, currency="USD", amount_minor=130),
    ]
    assert balances(postings)[AccountRef(AccountKind.RECEIVABLE, BOB, "USD")] == -30


def test_two_shares_of_one_provider_are_one_entry_and_an_empty_fee_is_none() -> None:
    posting = post_invoice_issued(claim_of(100, 0, Share(ALICE, 60), Share(ALICE, 40)))
    assert [entry.amount_minor for entry in posting.entries] == [100, -100]


@pytest.mark.parametrize(
    "claim", [claim_of(100, 10, Share(ALICE, 91)), claim_of(100, 10), claim_of(0, 0), claim_of(0, 0, Share(ALICE, 0))]
)
def test_a_claim_whose_parts_do_not_make_the_whole_is_refused(claim: Claim) -> None:
    with pytest.raises(PostingInvalid):
        post_invoice_issued(claim)


@given(st.lists(st.tuples(st.sampled_from(["USD", "EUR"]), st.integers(-5, 5)), max_size=5))
def test_a_posting_is_taken_exactly_when_it_balances_in_every_currency(rows: list[tuple[str, int]]) -> None:
    entries = tuple(Entry(AccountRef(AccountKind.BANK, "", currency), amount) for currency, amount in rows)
    is_balanced = all(sum(amount for at, amount in rows if at == currency) == 0 for currency in ("USD", "EUR"))
    if len(rows) >= 2 and is_balanced and all(amount for _, amount in rows):
        assert Posting(PostingKind.PAYMENT_RECEIVED, entries).entries == entries
    else:
        with pytest.raises(PostingInvalid):
            Posting(PostingKind.PAYMENT_RECEIVED, entries)


@pytest.mark.parametrize("amount", [Decimal(5), True, 2**63])
def test_an_entry_is_a_whole_number_that_fits_the_database(amount: Any) -> None:
    with pytest.raises(PostingInvalid):
        Posting(PostingKind.PAYMENT_RECEIVED, (Entry(BANK, amount), Entry(BANK, -amount)))


def test_accounts_name_an_owner_exactly_when_they_have_one() -> None:
    with pytest.raises(PostingInvalid):
        AccountRef(AccountKind.RECEIVABLE, "", "USD")
    with pytest.raises(PostingInvalid):
        AccountRef(AccountKind.BANK, BOB, "USD")
    with pytest.raises(MoneyInvalid):
        AccountRef(AccountKind.BANK, "", "usd")
