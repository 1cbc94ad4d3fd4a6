"""Make it so: the monthly statement of a provider: gross, commission and share, by Api and invoice. Frozen once issued.

Sums come from invoice lines and must equal the books; where they do not, nothing is issued.
"""

import hashlib
from collections.abc import Sequence
from datetime import date, datetime

from django.db import transaction
from django.utils.translation import gettext as _

from billing.errors import Conflict, Fault, InvalidInput, LedgerDisagrees
from billing.models import ProviderStatement, ProviderStatementLine, StatementDocument, StatementStatus
from billing.selectors.earnings import Earning, currencies_earned, earnings_list, share_booked, statement_period
from billing.services.documents import provider_party, statement_pdf
from billing.services.numbering import STATEMENT_SERIES, number_take
from marketplace.models import Organization, Person
from marketplace.services.audit import audit_record

YEARS = range(2020, 2201)


@transaction.atomic
def statement_compute(*, provider: Organization, month: date, currency: str, now: datetime) -> ProviderStatement | None:
    """Compute (again) the provider's draft statement of the local month that holds ``month``.

    Returns None when nothing was earned; an issued statement is returned unchanged. Safe to repeat. Raises
    LedgerDisagrees when lines and books differ, InvalidInput for a month outside YEARS.
    """
    _month_check(month)
    provider = Organization.objects.select_for_update(no_key=True).get(id=provider.id)
    first = month.replace(day=1)
    statement = ProviderStatement.objects.filter(provider=provider, month=first, currency=currency).first()
    if statement is not None and statement.status == StatementStatus.ISSUED:
        return statement
    period = statement_period(provider=provider, currency=currency, month=first)
    earnings = earnings_list(provider=provider, currency=currency, period=period)
    share = sum(earning.share_minor for earning in earnings)
    booked = share_booked(provider=provider, currency=currency, period=period)
    if share != booked:
        sums = {"share": share, "booked": booked, "currency": currency}
        detail = _("Invoice lines sum to %(share)d, ledger entries to %(booked)d minor units of %(currency)s.") % sums
        raise LedgerDisagrees(_("The provider's invoices and the books do not agree."), faults=[Fault("", detail)])
    if not earnings:
        return None
    statement = statement or ProviderStatement(provider=provider, month=first, currency=currency)
    statement.time_zone, statement.period_start, statement.period_end = provider.time_zone, period.start, period.end
    statement.gross_minor = sum(earning.gross_minor for earning in earnings)
    statement.commission_minor = sum(earning.commission_minor for earning in earnings)
    statement.share_minor, statement.computed_at = share, now
    statement.save()
    _lines_write(statement, earnings)
    return statement


@transaction.atomic
def statement_issue(*, statement: ProviderStatement, person: Person | None, now: datetime) -> ProviderStatement:
    """Number and freeze a statement with its PDF, computed anew first. Safe to repeat. Raises Conflict, LedgerDisagrees."""
    statement = (
        ProviderStatement.objects.select_for_update(of=("self",)).select_related("provider").get(id=statement.id)
    )
    if statement.status == StatementStatus.ISSUED:
        return statement
    if statement.period_end > now:
        raise Conflict(_("This month is not over yet."), code="month_running")
    computed = statement_compute(
        provider=statement.provider, month=statement.month, currency=statement.currency, now=now
    )
    if computed is None:
        raise Conflict(_("Nothing was earned in this month."), code="statement_empty")
    statement = computed
    statement.status, statement.issued_at = StatementStatus.ISSUED, now
    statement.number = number_take(series=STATEMENT_SERIES, issued_at=now)
    statement.party = provider_party(statement.provider)
    pdf = statement_pdf(statement=statement)
    statement.pdf_sha256 = hashlib.sha256(pdf).hexdigest()
    statement.save()
    StatementDocument.objects.create(statement=statement, pdf=pdf, sha256=statement.pdf_sha256)
    audit_record(
        verb="statement.issue",
        subject=statement.public_id,
        person=person,
        organization=statement.provider,
        detail={"number": statement.number, "share_minor": statement.share_minor},
    )
    return statement


def statements_compute(*, month: date, now: datetime, providers: Sequence[Organization]) -> list[ProviderStatement]:
    """Compute the drafts of a month for several providers, in every currency they earned in. Raises as statement_compute."""
    _month_check(month)
    computed = [
        statement_compute(provider=provider, month=month, currency=currency, now=now)
        for provider in providers
        for currency in currencies_earned(provider=provider)
    ]
    return [statement for statement in computed if statement is not None]


def _month_check(month: date) -> None:
    if month.year not in YEARS:
        text = _("Choose a month of the years %(first)d to %(last)d.") % {"first": YEARS[0], "last": YEARS[-1]}
        raise InvalidInput(text, faults=[Fault("/month", text)])


def _lines_write(statement: ProviderStatement, earnings: Sequence[Earning]) -> None:
    statement.lines.all().delete()
    ProviderStatementLine.objects.bulk_create(
        ProviderStatementLine(
            statement=statement,
            position=position,
            invoice_id=earning.invoice_id,
            api_id=earning.api_id,
            api_name=earning.api_name,
            is_reversal=earning.is_reversal,
            gross_minor=earning.gross_minor,
            commission_minor=earning.commission_minor,
            share_minor=earning.share_minor,
        )
        for position, earning in enumerate(earnings, start=1)
    )
