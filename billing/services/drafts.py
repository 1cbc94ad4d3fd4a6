"""Make it so: draft invoices, computed from usage records and recomputed at will until they are submitted.

Drafting twice, or in two processes at once, drafts once: the billing period's row says which invoice bills it.
"""

import logging
from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from django.db import transaction
from django.utils import translation
from django.utils.translation import gettext as _

from billing.core.money import decimal_show
from billing.errors import Conflict
from billing.models import (
    BillingPeriod,
    Invoice,
    InvoiceLine,
    InvoiceStatus,
    LateUsage,
    Subscription,
)
from billing.selectors.rating import LineDraft, late_lines, late_waiting, period_lines
from billing.selectors.review import review_reasons
from billing.services.locks import consumer_lock
from billing.services.usage import usage_rebuild, usage_rebuild_arrived
from marketplace.models import Organization

LINES_PER_INVOICE_MAX = 5_000
Bounds = tuple[datetime, datetime]

logger = logging.getLogger(__name__)


@transaction.atomic
def invoice_draft(
    *, organization_id: UUID, currency: str, period_start: datetime, period_end: datetime, now: datetime
) -> Invoice | None:
    """Draft what a consumer owes for its periods with these bounds, or compute the draft anew. Rebuilds usage first.

    Returns None when nothing is due (the periods are then closed), or when they are billed already. Safe to repeat and
    to run in several processes at once.
    """
    consumer_lock(organization_id=organization_id, currency=currency)
    periods = _periods_lock(organization_id, currency, (period_start, period_end))
    invoice = Invoice.objects.filter(
        organization_id=organization_id,
        currency=currency,
        period_start=period_start,
        period_end=period_end,
        status=InvoiceStatus.DRAFT,
    ).first()
    mine = [period for period in periods if period.invoice_id is None or (invoice and period.invoice_id == invoice.id)]
    if invoice is None and not mine and not late_waiting(organization_id=organization_id, currency=currency):
        return None
    for period in mine:
        _usage_complete(period, now)
    return _compute(
        invoice,
        organization_id=organization_id,
        currency=currency,
        bounds=(period_start, period_end),
        mine=mine,
        now=now,
    )


@transaction.atomic
def invoice_refresh(*, invoice: Invoice, now: datetime) -> Invoice | None:
    """Compute a draft anew from the usage of this moment. Returns None when nothing is due any more. Raises Conflict."""
    if invoice.status != InvoiceStatus.DRAFT:
        raise Conflict(_not_a_draft(invoice), code="invoice_not_draft")
    return invoice_draft(
        organization_id=invoice.organization_id,
        currency=invoice.currency,
        period_start=invoice.period_start,
        period_end=invoice.period_end,
        now=now,
    )


def _usage_complete(period: BillingPeriod, now: datetime) -> None:
    """Rebuild the period's usage, and whatever arrived for older hours since the draft before this one was due."""
    ids = [period.subscription_id]
    usage_rebuild(since=period.starts_at, subscription_ids=ids, now=now)
    since = period.starts_at - (period.ends_at - period.starts_at)
    usage_rebuild_arrived(received_since=since, before=period.starts_at, subscription_ids=ids, now=now)


def _periods_lock(organization_id: UUID, currency: str, bounds: Bounds) -> list[BillingPeriod]:
    """Lock the subscriptions first and the periods second: whoever counts usage holds a subscription when it reopens a period."""
    rows = BillingPeriod.objects.filter(
        subscription__organization_id=organization_id,
        subscription__plan__currency=currency,
        starts_at=bounds[0],
        ends_at=bounds[1],
    )
    subscriptions = Subscription.objects.select_for_update(of=("self",), no_key=True).order_by("id")
    locked = list(subscriptions.filter(id__in=list(rows.values_list("subscription_id", flat=True))))
    related = rows.filter(subscription__in=locked).select_related(
        "subscription__api", "subscription__plan", "subscription__organization"
    )
    live = (
        related.defer("subscription__api__document")
        .exclude(subscription__is_parked=True)
        .select_for_update(of=("self",))
    )
    return list(live.order_by("subscription__api__name", "id"))


def _compute(
    invoice: Invoice | None,
    *,
    organization_id: UUID,
    currency: str,
    bounds: Bounds,
    mine: Sequence[BillingPeriod],
    now: datetime,
) -> Invoice | None:
    organization = Organization.objects.get(id=organization_id)
    with translation.override(organization.language):
        lines = [line for period in mine for line in period_lines(period=period)]
        late = late_waiting(organization_id=organization_id, currency=currency, draft=invoice)
        more = late_lines(rows=late)
    if sum(line.rated.amount_minor for line in (*lines, *more)) < 0:
        more, late = [], []  # a correction larger than the bill waits for a bill that is large enough
    lines += more
    BillingPeriod.objects.filter(id__in=[period.id for period in mine]).update(closed_at=now)
    if not any(line.rated.amount_minor for line in lines):
        _nothing_due(invoice)
        return None
    if len(lines) > LINES_PER_INVOICE_MAX:
        text = _("An invoice holds at most %(max)d lines.") % {"max": LINES_PER_INVOICE_MAX}
        raise Conflict(text, code="invoice_too_long")
    invoice = invoice or Invoice(
        organization=organization,
        currency=currency,
        period_start=bounds[0],
        period_end=bounds[1],
        drafted_at=now,
        revision=0,
    )
    with translation.override(organization.language):
        _write(invoice, organization, lines, now)
    BillingPeriod.objects.filter(id__in=[period.id for period in mine]).update(invoice=invoice)
    LateUsage.objects.filter(invoice=invoice).exclude(id__in=[row.id for row in late]).update(invoice=None)
    LateUsage.objects.filter(id__in=[row.id for row in late]).update(invoice=invoice)
    return invoice


def _nothing_due(invoice: Invoice | None) -> None:
    """Take back a draft that has become empty; its periods stay closed, and usage that turns up opens them again."""
    if invoice is not None:
        invoice.periods.update(invoice=None)
        invoice.late_usage.update(invoice=None)
        invoice.delete()


def _write(invoice: Invoice, organization: Organization, lines: Sequence[LineDraft], now: datetime) -> None:
    """Write lines and totals, unless they read as they did: a revision is a change."""
    rows = [_row(invoice, position, line) for position, line in enumerate(lines, start=1)]
    stored = [] if invoice.revision == 0 else list(invoice.lines.order_by("position"))
    time_zone = lines[0].subscription.time_zone  # whose days the periods follow, wherever the consumer is now
    as_it_was = (invoice.language, invoice.time_zone) == (organization.language, time_zone)
    if stored and as_it_was and [_content(row) for row in stored] == [_content(row) for row in rows]:
        return
    invoice.revision += 1
    invoice.drafted_at = now
    invoice.language, invoice.time_zone = organization.language, time_zone
    invoice.subtotal_minor = invoice.total_minor = sum(row.amount_minor for row in rows)
    invoice.save()
    InvoiceLine.objects.filter(invoice=invoice).delete()
    InvoiceLine.objects.bulk_create(rows)
    invoice.review_reasons = review_reasons(invoice=invoice, lines=rows, now=now)
    invoice.save(update_fields=["review_reasons"])


def _row(invoice: Invoice, position: int, line: LineDraft) -> InvoiceLine:
    rated, subscription = line.rated, line.subscription
    return InvoiceLine(
        invoice=invoice,
        position=position,
        kind=line.kind.value,
        subscription=subscription,
        provider_id=subscription.api.provider_id,
        api=subscription.api,
        plan=line.phase.plan,
        price=line.price,
        meter=line.price.meter,
        grant_id=subscription.grant_id,
        period_start=line.phase.period.start,
        period_end=line.phase.period.end,
        group=line.group,
        description=line.description[:300],
        quantity=rated.quantity,
        unit_price="" if rated.unit_price is None else decimal_show(rated.unit_price),
        amount_minor=rated.amount_minor,
        commission_rate=line.commission_rate,
        commission_minor=line.split.fee_minor,
        provider_minor=line.split.share_minor,
        explanation=rated.explanation,
    )


def _content(row: InvoiceLine) -> tuple[object, ...]:
    """Return what makes two lines the same line."""
    return (
        row.position,
        row.kind,
        row.subscription_id,
        row.price_id,
        row.period_start,
        row.period_end,
        row.group,
        row.description,
        decimal_show(row.quantity),
        row.amount_minor,
        row.commission_minor,
        row.explanation,
    )


def _not_a_draft(invoice: Invoice) -> str:
    words = {"invoice": str(invoice), "status": invoice.get_status_display()}
    return _("%(invoice)s is %(status)s; only a draft is computed anew. Return it to draft first.") % words
