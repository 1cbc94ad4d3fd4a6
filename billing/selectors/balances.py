"""Show balances: sums over ledger entries, as of a moment. Nothing is stored, nothing is added up twice. Reads only."""

from dataclasses import dataclass
from datetime import datetime

from django.db.models import QuerySet, Sum

from billing.models import AccountKind, LedgerAccount, LedgerEntry
from marketplace.models import Organization


@dataclass(frozen=True, slots=True)
class Balance:
    """One account's balance in minor units; positive is debit (owed to us), negative credit (owed by us, or earned)."""

    account: LedgerAccount
    minor: int


def balance_list(*, as_of: datetime | None = None, kind: str = "") -> list[Balance]:
    """Return the balance of every account, the platform's own first; of one kind when given."""
    accounts = LedgerAccount.objects.select_related("organization").order_by("kind", "currency", "id")
    accounts = accounts.filter(kind=kind) if kind else accounts
    sums = _sums(LedgerEntry.objects.all(), as_of)
    return [Balance(account, sums.get(account.id, 0)) for account in accounts]


def balance_get(*, organization: Organization, kind: AccountKind, currency: str, as_of: datetime | None = None) -> int:
    """Return one organization's balance in minor units; 0 when nothing was ever booked."""
    entries = LedgerEntry.objects.filter(
        account__organization=organization, account__kind=kind, account__currency=currency
    )
    return sum(_sums(entries, as_of).values())


def consumer_balances(*, organization: Organization, as_of: datetime | None = None) -> dict[str, int]:
    """Return what the consumer owes by currency, in minor units; below zero it has paid too much."""
    return _by_currency(organization, AccountKind.RECEIVABLE, 1, as_of)


def provider_balances(*, organization: Organization, as_of: datetime | None = None) -> dict[str, int]:
    """Return what the platform owes the provider by currency, in minor units."""
    return _by_currency(organization, AccountKind.PAYABLE, -1, as_of)


def _by_currency(organization: Organization, kind: AccountKind, sign: int, as_of: datetime | None) -> dict[str, int]:
    accounts = LedgerAccount.objects.filter(organization=organization, kind=kind).order_by("currency")
    sums = _sums(LedgerEntry.objects.filter(account__in=accounts), as_of)
    return {account.currency: sign * sums.get(account.id, 0) for account in accounts}


def _sums(entries: QuerySet[LedgerEntry], as_of: datetime | None) -> dict[object, int]:
    if as_of is not None:
        entries = entries.filter(transaction__booked_at__lte=as_of)
    rows = entries.values("account_id").annotate(minor=Sum("amount_minor")).order_by()
    return {row["account_id"]: int(row["minor"]) for row in rows}
