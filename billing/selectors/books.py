"""Show the books: an account's entries, a transaction with its sum, and whether each currency sums to zero. Reads only."""

from dataclasses import dataclass

from django.db.models import Count, QuerySet, Sum

from billing.models import LedgerAccount, LedgerEntry, LedgerTransaction
from marketplace.selectors.accounts import entity_find


@dataclass(frozen=True, slots=True)
class BooksCheck:
    """All entries of one currency: how many, the sum of debits, and the sum of everything, which must be 0 (minor units)."""

    currency: str
    entries: int
    debit_minor: int
    sum_minor: int

    @property
    def is_balanced(self) -> bool:
        """True when it sums to zero."""
        return self.sum_minor == 0


def books_check() -> list[BooksCheck]:
    """Sum every entry there is, by currency."""
    rows = (
        LedgerEntry.objects.values("currency").annotate(n=Count("id"), minor=Sum("amount_minor")).order_by("currency")
    )
    debits = LedgerEntry.objects.filter(amount_minor__gt=0).values("currency").annotate(minor=Sum("amount_minor"))
    debit = {row["currency"]: int(row["minor"]) for row in debits.order_by()}
    return [BooksCheck(row["currency"], row["n"], debit.get(row["currency"], 0), int(row["minor"])) for row in rows]


def account_find(*, public_id: str) -> LedgerAccount:
    """Return an account. Raises NotFound."""
    return entity_find(LedgerAccount, LedgerAccount.objects.select_related("organization"), public_id)


def account_entries(*, account: LedgerAccount) -> QuerySet[LedgerEntry]:
    """Return an account's entries, the newest first (keyset: ``-id``)."""
    return account.entries.select_related("transaction").order_by("-id")


def transaction_find(*, public_id: str) -> LedgerTransaction:
    """Return a transaction. Raises NotFound."""
    return entity_find(LedgerTransaction, LedgerTransaction.objects.all(), public_id)


def transaction_list() -> QuerySet[LedgerTransaction]:
    """Return all transactions, the newest first (keyset: ``-id``)."""
    return LedgerTransaction.objects.order_by("-id")


def transaction_entries(*, transaction: LedgerTransaction) -> list[LedgerEntry]:
    """Return a transaction's entries, debits first."""
    return list(transaction.entries.select_related("account__organization").order_by("-amount_minor", "id"))
