"""Show invoices: lists for consumers and finance, one invoice with its lines, a line down to hours. Reads only.

From an hour ``line_calls`` leads on to the very calls behind it, through marketplace's evidence.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import dropwhile, islice
from typing import Any
from uuid import UUID

from django.db.models import Q, QuerySet

from billing.core.money import Money
from billing.models import (
    BillingPeriod,
    Invoice,
    InvoiceLine,
    InvoiceStatus,
    LateUsage,
    LineKind,
    Payment,
    PaymentStatus,
    UsageRecord,
)
from billing.selectors.tallies import meter_spec
from marketplace.contracts.usage import UsageEvent
from marketplace.models import AuditEvent, Organization
from marketplace.selectors.evidence import EvidenceQuery, evidence_events

CALLS_MAX = 200
"""Calls on one page of an hour's evidence."""

ISSUED = (InvoiceStatus.ISSUED, InvoiceStatus.VOID)


@dataclass(frozen=True, slots=True)
class InvoiceFilter:
    """What a list shows; empty parts do not narrow it. ``overdue_on``: unpaid and due before that day."""

    status: str = ""
    payment_status: str = ""
    currency: str = ""
    number: str = ""
    organization_id: UUID | None = None
    since: date | None = None
    until: date | None = None
    overdue_on: date | None = None


@dataclass(frozen=True, slots=True)
class LineHour:
    """The units of one hour of a line; ``grant_id`` and ``hour`` are what evidence is asked with."""

    hour: datetime
    units: int
    grant_id: UUID | None
    is_late: bool = False


@dataclass(frozen=True, slots=True)
class LineCalls:
    """Some calls of an hour; the next page comes after the last one's id."""

    events: tuple[UsageEvent, ...]
    has_more: bool


def invoice_list_finance(*, filters: InvoiceFilter = InvoiceFilter()) -> QuerySet[Invoice]:
    """Return all invoices that match, for the platform's finance; the newest first (keyset: ``-id``)."""
    return _narrow(Invoice.objects.select_related("organization"), filters).order_by("-id")


def invoice_list(*, organization: Organization, filters: InvoiceFilter = InvoiceFilter()) -> QuerySet[Invoice]:
    """Return a consumer's issued and void invoices, the newest first. Drafts are finance's business."""
    rows = Invoice.objects.filter(organization=organization, status__in=ISSUED)
    return _narrow(rows.select_related("organization"), filters).order_by("-id")


def invoice_payments(*, invoice: Invoice) -> QuerySet[Payment]:
    """Return the payments that settle a part of the invoice, the last day first, and of one day the last recorded first."""
    return Payment.objects.filter(allocations__invoice=invoice).distinct().order_by("-received_on", "-id")


def payment_exists(*, idempotency_key: str) -> bool:
    """Return whether a payment was recorded under this key."""
    return bool(idempotency_key) and Payment.objects.filter(idempotency_key=idempotency_key).exists()


def submitted_by(*, invoice: Invoice) -> str:
    """Return the address of whoever submitted the invoice for review, last; empty when that was nobody."""
    trail = AuditEvent.objects.filter(subject=invoice.public_id, verb="invoice.submit").select_related("person")
    event = trail.order_by("-at", "-id").first() if invoice.submitted_at else None
    return event.person.email if event and event.person else ""


def line_hours(*, line: InvoiceLine) -> list[LineHour]:
    """Return the hours whose quantities sum to the line's, in order; none for a fee."""
    if line.meter_id is None:
        return []
    if line.kind == LineKind.LATE_USAGE:
        return _late_hours(line)
    rows = UsageRecord.objects.filter(_hours(line), subscription_id=line.subscription_id, meter_id=line.meter_id)
    return [LineHour(row.hour, row.quantity, line.grant_id) for row in rows.order_by("hour")]


def line_calls(*, line: InvoiceLine, hour: datetime, after: UUID | None = None, limit: int = CALLS_MAX) -> LineCalls:
    """Return the very calls that a line counted in one hour, read back from the kept segments, a page of them.

    Raises EvidenceMissing (marketplace.selectors.evidence) when a segment is not what was tallied.
    """
    if line.meter is None or line.grant_id is None:
        return LineCalls((), has_more=False)
    spec = meter_spec(line.meter)
    query = EvidenceQuery(grant_id=line.grant_id, starts_at=hour, ends_at=hour + timedelta(hours=1))
    events: Iterator[UsageEvent] = (
        event
        for event in evidence_events(query)
        if spec.counts(event.outcome, str(event.operation_id) if event.operation_id else None)
    )
    if after is not None:
        events = islice(dropwhile(lambda event: event.id != after, events), 1, None)
    page = list(islice(events, limit + 1))
    return LineCalls(tuple(page[:limit]), has_more=len(page) > limit)


def invoice_evidence(*, invoice: Invoice) -> dict[str, Any]:
    """Return the file with which anybody recomputes the invoice: ``python -m billing.core.recompute invoice.json``."""
    return {
        "number": invoice.number or "",
        "currency": invoice.currency,
        "total_minor": invoice.total_minor,
        "pdf_sha256": invoice.pdf_sha256,
        "lines": [_line_evidence(line) for line in invoice.lines.order_by("position")],
    }


def money_show(minor: int, currency: str) -> dict[str, str]:
    """Return an amount as APIs show it: plain text with its currency."""
    return {"amount": Money(minor, currency).format(), "currency": currency}


def _line_evidence(line: InvoiceLine) -> dict[str, Any]:
    evidence: dict[str, Any] = {
        "amount_minor": line.amount_minor,
        "description": line.description,
        "grant_id": str(line.grant_id) if line.grant_id else None,
        "explanation": line.explanation,
    }
    if line.meter_id is not None and line.kind == LineKind.USAGE:
        evidence["hours"] = [[hour.hour.strftime("%Y-%m-%dT%H:%M:%SZ"), hour.units] for hour in line_hours(line=line)]
    return evidence


def _hours(line: InvoiceLine) -> Q:
    """Return the line's hours; the last line of an ended subscription also has what followed its end."""
    period = BillingPeriod.objects.filter(
        subscription_id=line.subscription_id, starts_at__lte=line.period_start, ends_at__gte=line.period_end
    ).select_related("subscription")
    row = period.first()
    hours = Q(hour__gte=line.period_start)
    subscription = row.subscription if row else None
    if row and subscription and not subscription.is_live and subscription.ended_at == row.ends_at == line.period_end:
        return hours
    return hours & Q(hour__lt=line.period_end)


def _late_hours(line: InvoiceLine) -> list[LineHour]:
    rows = LateUsage.objects.filter(
        _hours(line), invoice_id=line.invoice_id, subscription_id=line.subscription_id, meter=line.meter
    )
    return [LineHour(row.hour, row.quantity, line.grant_id, is_late=True) for row in rows.order_by("hour")]


def _narrow(rows: QuerySet[Invoice], filters: InvoiceFilter) -> QuerySet[Invoice]:
    exact = {
        "status": filters.status,
        "payment_status": filters.payment_status,
        "currency": filters.currency,
        "number": filters.number,
        "organization_id": filters.organization_id,
    }
    rows = rows.filter(**{name: value for name, value in exact.items() if value})
    if filters.since:
        rows = rows.filter(period_end__date__gt=filters.since)
    if filters.until:
        rows = rows.filter(period_start__date__lte=filters.until)
    if filters.overdue_on:
        unpaid = Q(status=InvoiceStatus.ISSUED, payment_status=PaymentStatus.UNPAID)
        rows = rows.filter(unpaid, due_on__lt=filters.overdue_on)
    return rows
