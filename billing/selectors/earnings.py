"""Show a provider what it earned: from the lines of issued invoices, minus those of void ones. Reads only."""

from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from uuid import UUID

from django.db.models import Q, QuerySet, Sum

from billing.core.periods import Period, calendar_month, day_start, month_reach, month_shift
from billing.models import AccountKind, InvoiceLine, InvoiceStatus, LedgerEntry, ProviderStatement, StatementStatus
from marketplace.models import Organization


@dataclass(frozen=True, slots=True)
class Earning:
    """One Api on one invoice, in minor units: gross = commission + share; a reversal is negative."""

    invoice_id: UUID
    number: str
    api_id: UUID
    api_name: str
    at: datetime
    is_reversal: bool
    gross_minor: int
    commission_minor: int
    share_minor: int


@dataclass(frozen=True, slots=True)
class EarningsSummary:
    """The sums over earnings of one currency, in minor units."""

    currency: str
    gross_minor: int
    commission_minor: int
    share_minor: int


def month_period(month: date, time_zone: str) -> Period:
    """Return the local calendar month that holds a day."""
    return calendar_month(day_start(month.replace(day=1), time_zone), time_zone)


def statement_period(*, provider: Organization, currency: str, month: date) -> Period:
    """Return what the statement of a month covers: the month in the provider's zone, as far as statements are not issued.

    It joins those of the months beside it where they end and begin, so that a provider that moves to another time zone finds
    each invoice on one statement.
    """
    local = month_period(month, provider.time_zone)
    issued = provider.statements.filter(currency=currency, status=StatementStatus.ISSUED)
    before = issued.filter(month=month_shift(month, -1)).first()
    after = issued.filter(month=month_shift(month, 1)).first()
    return Period(
        before.period_end if before else local.start, after.period_start if after else local.end, local.time_zone
    )


def earnings_list(*, provider: Organization, currency: str, period: Period) -> list[Earning]:
    """Return what a provider earned within a period: by invoices issued in it, minus invoices voided in it."""
    issued = _rows(provider, currency, {"invoice__issued_at__gte": period.start, "invoice__issued_at__lt": period.end})
    void = _rows(
        provider,
        currency,
        {
            "invoice__status": InvoiceStatus.VOID,
            "invoice__voided_at__gte": period.start,
            "invoice__voided_at__lt": period.end,
        },
    )
    earnings = [_earning(row, sign=1) for row in issued] + [_earning(row, sign=-1) for row in void]
    return sorted(earnings, key=lambda earning: (earning.number, earning.is_reversal, earning.api_name))


def earnings_summary(*, provider: Organization, period: Period) -> list[EarningsSummary]:
    """Return the provider's sums of a period, a row for each currency it earned in."""
    return [
        EarningsSummary(
            currency,
            sum(earning.gross_minor for earning in earnings),
            sum(earning.commission_minor for earning in earnings),
            sum(earning.share_minor for earning in earnings),
        )
        for currency in currencies_earned(provider=provider)
        if (earnings := earnings_list(provider=provider, currency=currency, period=period))
    ]


def currencies_earned(*, provider: Organization) -> list[str]:
    """Return the currencies in which the provider has an account in the books."""
    accounts = provider.ledger_accounts.filter(kind=AccountKind.PAYABLE)
    return list(accounts.order_by("currency").values_list("currency", flat=True).distinct())


def share_booked(*, provider: Organization, currency: str, period: Period) -> int:
    """Return what the books say the provider earned in a period, in minor units: the statement must say the same."""
    entries = LedgerEntry.objects.filter(
        account__kind=AccountKind.PAYABLE,
        account__organization=provider,
        account__currency=currency,
        transaction__kind__startswith="invoice_",
        transaction__booked_at__gte=period.start,
        transaction__booked_at__lt=period.end,
    )
    return -int(entries.aggregate(minor=Sum("amount_minor"))["minor"] or 0)


def statement_list(*, provider: Organization | None = None) -> QuerySet[ProviderStatement]:
    """Return statements, the newest month first; of one provider, or (for finance) of all."""
    statements = ProviderStatement.objects.select_related("provider").order_by("-month", "currency", "-id")
    return statements if provider is None else statements.filter(provider=provider)


def providers_due(*, period_of: date, after: UUID | None = None, limit: int | None = None) -> list[Organization]:
    """Return the providers with lines on invoices issued or voided in a month of any time zone: they get a statement.

    In the order of their ids, those behind ``after``, at most ``limit``.
    """
    bounds = month_reach(period_of)
    moved = Q(invoice__issued_at__range=bounds) | Q(invoice__voided_at__range=bounds)
    ids = InvoiceLine.objects.filter(moved).values_list("provider_id", flat=True).distinct()
    providers = Organization.objects.filter(id__in=ids).order_by("id")
    return list((providers if after is None else providers.filter(id__gt=after))[:limit])


def _rows(provider: Organization, currency: str, within: dict[str, Any]) -> list[dict[str, Any]]:
    lines = InvoiceLine.objects.filter(
        provider=provider, invoice__currency=currency, invoice__number__isnull=False, **within
    )
    sums = lines.values(
        "invoice_id", "invoice__number", "invoice__issued_at", "invoice__voided_at", "api_id", "api__name"
    ).annotate(gross=Sum("amount_minor"), commission=Sum("commission_minor"), share=Sum("provider_minor"))
    return [dict(row) for row in sums.order_by("invoice__number", "api__name")]


def _earning(row: dict[str, Any], *, sign: int) -> Earning:
    return Earning(
        invoice_id=row["invoice_id"],
        number=str(row["invoice__number"]),
        api_id=row["api_id"],
        api_name=str(row["api__name"]),
        at=row["invoice__issued_at"] if sign > 0 else row["invoice__voided_at"],
        is_reversal=sign < 0,
        gross_minor=sign * int(row["gross"]),
        commission_minor=sign * int(row["commission"]),
        share_minor=sign * int(row["share"]),
    )
