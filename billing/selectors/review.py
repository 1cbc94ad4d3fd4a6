"""Show finance why a draft deserves a look: reasons with their numbers, and the difference to the invoice before."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import Count, OuterRef, Q, QuerySet, Subquery
from django.utils.translation import gettext as _

from billing.core.money import Money
from billing.models import Invoice, InvoiceLine, InvoiceStatus, LineKind

JUMP_PERCENT = 50
"""A total that differs from the invoice before by more than this many per cent is a reason to look."""

REVIEW_ROWS_MAX = 500
"""Rows of the queue on one page."""

QUEUE_STATUSES = (InvoiceStatus.DRAFT, InvoiceStatus.IN_REVIEW, InvoiceStatus.APPROVED)


@dataclass(frozen=True, slots=True)
class ReviewRow:
    """One invoice in the queue: why to look, and what the invoice before came to (minor units, None: the first)."""

    invoice: Invoice
    reasons: tuple[str, ...]
    previous_minor: int | None

    @property
    def difference_minor(self) -> int | None:
        """This total minus the one before, in minor units."""
        return None if self.previous_minor is None else self.invoice.total_minor - self.previous_minor


def review_reasons(*, invoice: Invoice, lines: Sequence[InvoiceLine], now: datetime) -> list[dict[str, Any]]:
    """Return the reasons for a draft as stored: a code and its numbers. An empty list: nothing unusual."""
    reasons: list[dict[str, Any]] = []
    if invoice.period_end > now:
        reasons.append({"code": "period_running"})
    late = [line for line in lines if line.kind == LineKind.LATE_USAGE]
    if late:
        reasons.append({"code": "late_usage", "lines": len(late), "minor": sum(line.amount_minor for line in late)})
    before = invoice_before(invoice)
    if before is None:
        reasons.append({"code": "first_invoice"})
    elif abs(invoice.total_minor - before.total_minor) * 100 > JUMP_PERCENT * abs(before.total_minor):
        reasons.append({"code": "total_jump", "before_minor": before.total_minor, "minor": invoice.total_minor})
    return reasons


def reason_text(reason: dict[str, Any], currency: str) -> str:
    """Return a stored reason in words of the active language."""
    texts = {
        "period_running": _("The billing period is not over yet; later calls go on the next invoice."),
        "first_invoice": _("This is the first invoice for this consumer."),
        "late_usage": _("It bills usage of earlier periods."),
    }
    if reason["code"] == "total_jump":
        return _("The total went from %(before)s to %(now)s.") % {
            "before": Money(int(reason["before_minor"]), currency),
            "now": Money(int(reason["minor"]), currency),
        }
    return texts.get(reason["code"], reason["code"])


def reasons_shown(invoice: Invoice, *, is_first: bool) -> tuple[str, ...]:
    """Return the stored reasons in words, without those that have become untrue since: a first invoice with one before it."""
    current = [one for one in invoice.review_reasons if one["code"] != "first_invoice" or is_first]
    return tuple(reason_text(reason, invoice.currency) for reason in current)


def invoice_before(invoice: Invoice) -> Invoice | None:
    """Return the consumer's last issued invoice of an earlier period in the same currency."""
    return _earlier(invoice.organization_id, invoice.currency, invoice.period_start).first()


def review_list(*, status: str = "") -> list[ReviewRow]:
    """Return the invoices that wait for finance, the oldest first; ``status`` narrows it to one of QUEUE_STATUSES."""
    statuses = [status] if status in QUEUE_STATUSES else list(QUEUE_STATUSES)
    before = _earlier(OuterRef("organization_id"), OuterRef("currency"), OuterRef("period_start"))
    waiting = (
        Invoice.objects.filter(status__in=statuses)
        .select_related("organization", "approved_by")
        .annotate(line_count=Count("lines"), before_minor=Subquery(before.values("total_minor")[:1]))
    )
    return [
        ReviewRow(
            invoice=invoice,
            reasons=reasons_shown(invoice, is_first=invoice.before_minor is None),
            previous_minor=invoice.before_minor,
        )
        for invoice in waiting.order_by("period_end", "id")[:REVIEW_ROWS_MAX]
    ]


def review_counts() -> dict[str, int]:
    """Return how many invoices wait in each status of the queue."""
    counts = Invoice.objects.aggregate(**{status: Count("id", filter=Q(status=status)) for status in QUEUE_STATUSES})
    return {str(status.value): counts[status] for status in QUEUE_STATUSES}


def _earlier(organization_id: Any, currency: Any, before: Any) -> QuerySet[Invoice]:
    """Return a consumer's issued invoices of earlier periods, the last first. Values, or references into another query."""
    issued = Invoice.objects.filter(organization_id=organization_id, currency=currency, status=InvoiceStatus.ISSUED)
    return issued.filter(period_end__lte=before).order_by("-period_end", "-id")


def invoices_stuck(*, since: datetime) -> QuerySet[Invoice]:
    """Return invoices that nobody has moved since a moment, or that were issued and never sent: for the alarm."""
    waiting = Q(status__in=QUEUE_STATUSES, drafted_at__lt=since)
    unsent = Q(status=InvoiceStatus.ISSUED, sent_at=None, issued_at__lt=since)
    return Invoice.objects.filter(waiting | unsent).order_by("id")
