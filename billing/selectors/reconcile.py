"""Show me every place where tallies, usage records, late usage and invoice lines differ: the gate before an issue.

It sums tallies afresh and shares no query with the rebuild, so that one's mistake is the other's finding.
"""

from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from django.utils.translation import gettext as _

from billing.core.errors import ExplanationInvalid
from billing.core.rating import rating_recompute
from billing.models import BillingPeriod, Invoice, InvoiceLine, LateUsage, LineKind, Meter, UsageRecord
from billing.selectors.calendar import hours_of_period, period_value, subscription_phases
from billing.selectors.prices import PriceBook
from billing.selectors.tallies import meter_hours, tallies_by_grant

DIFFERENCES_MAX = 50
"""Differences that one refusal lists; the first is enough to refuse."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One disagreement, in units or minor units: what two places say about the same thing."""

    where: str
    said: str
    found: str

    def __str__(self) -> str:
        return _("%(where)s: %(said)s, but %(found)s") % {"where": self.where, "said": self.said, "found": self.found}


def invoice_differences(*, invoice: Invoice) -> list[Difference]:
    """Return every disagreement about an invoice; an empty list allows its issue."""
    lines = list(invoice.lines.select_related("subscription", "meter"))
    found: list[Difference] = []
    periods = invoice.periods.select_related("subscription__api", "subscription__plan")
    for period in periods.defer("subscription__api__document"):
        found += _period_differences(period, invoice)
        found += _line_differences(period, [line for line in lines if line.subscription_id == period.subscription_id])
    found += _late_differences(invoice, lines)
    for line in lines:
        found += _amount_differences(line)
    total = sum(line.amount_minor for line in lines)
    if not total == invoice.subtotal_minor == invoice.total_minor:
        found.append(
            Difference(
                _("total"),
                _("the invoice says %(sum)d") % {"sum": invoice.total_minor},
                _("its lines sum to %(sum)d") % {"sum": total},
            )
        )
    return found[:DIFFERENCES_MAX]


def _period_differences(period: BillingPeriod, invoice: Invoice) -> list[Difference]:
    """Compare the tallies of every hour of the period with the record of that hour."""
    subscription = period.subscription
    if subscription.grant_id is None:
        return []
    meters = list(Meter.objects.filter(api_id=subscription.api_id))
    tallies = tallies_by_grant(
        grant_ids=[subscription.grant_id], meters=meters, since=period.starts_at, until=_until(period)
    )
    happened = meter_hours(meters, tallies.get(subscription.grant_id, []))
    rows = UsageRecord.objects.filter(hours_of_period(period), subscription=subscription)
    recorded = {(row.meter_id, row.hour): row for row in rows}
    found = []
    for key in sorted(happened.keys() | recorded.keys(), key=str):
        units, record = happened.get(key, 0), recorded.get(key)
        if units != (record.quantity if record else 0):
            where = _("%(subscription)s, hour %(hour)s") % {
                "subscription": subscription.public_id,
                "hour": f"{key[1]:%Y-%m-%dT%H:%MZ}",
            }
            found.append(
                Difference(
                    where,
                    _("the tallies say %(units)d") % {"units": units},
                    _("the usage record %(units)d") % {"units": record.quantity if record else 0},
                )
            )
        if record and record.invoice_id not in (None, invoice.id):
            found.append(
                Difference(record.public_id, _("this hour is to be billed"), _("another invoice has billed it"))
            )
    return found


def _line_differences(period: BillingPeriod, lines: list[InvoiceLine]) -> list[Difference]:
    """Compare the records of each phase with each of its metered lines, and look for usage that no line bills."""
    subscription = period.subscription
    found = []
    phases = subscription_phases(subscription, period_value(subscription, period))
    book = PriceBook.of(phase.plan.id for phase in phases)
    for place, phase in enumerate(phases):
        units: defaultdict[UUID, int] = defaultdict(int)
        for record in UsageRecord.objects.filter(hours_of_period(period), subscription=subscription):
            if _in_phase(record.hour, place, [part.period.start for part in phases]):
                units[record.meter_id] += record.quantity
        billed = {
            line.price_id: line
            for line in lines
            if line.kind == LineKind.USAGE and line.period_start == phase.period.start
        }
        for price in book.prices_at(phase.plan.id, phase.priced_at):
            if price.meter_id is None:
                continue
            line = billed.get(price.id)
            quantity = line.quantity if line else Decimal(0)
            if quantity != units[price.meter_id]:
                found.append(
                    Difference(
                        f"{subscription.public_id}, {price.name}",
                        _("the usage records sum to %(units)d") % {"units": units[price.meter_id]},
                        _("the line says %(quantity)s") % {"quantity": f"{quantity:f}"},
                    )
                )
    return found


def _late_differences(invoice: Invoice, lines: list[InvoiceLine]) -> list[Difference]:
    """Compare each line of late usage with the rows that it bills: those from its start up to the next such line's."""
    late = [line for line in lines if line.kind == LineKind.LATE_USAGE]
    rows = list(LateUsage.objects.filter(invoice=invoice))
    found = []
    for line in late:
        alike = [other for other in late if _late_key(other) == _late_key(line)]
        starts = sorted({other.period_start for other in alike})
        units = sum(
            row.quantity
            for row in rows
            if (row.subscription_id, row.meter_id) == _late_key(line)
            and max((start for start in starts if start <= row.hour), default=starts[0]) == line.period_start
        )
        if units != line.quantity:
            found.append(
                Difference(
                    _line_name(line),
                    _("%(units)d late units turned up") % {"units": units},
                    _("the line says %(quantity)s") % {"quantity": f"{line.quantity:f}"},
                )
            )
    return found


def _line_name(line: InvoiceLine) -> str:
    return _("line %(position)d") % {"position": line.position}


def _late_key(line: InvoiceLine) -> tuple[UUID, UUID | None]:
    return line.subscription_id, line.meter_id


def _amount_differences(line: InvoiceLine) -> list[Difference]:
    """Compute the line again from its explanation alone."""
    where = _line_name(line)
    try:
        computed = rating_recompute(line.explanation)
    except ExplanationInvalid as problem:
        return [Difference(where, _("it must be computable"), str(problem))]
    found = []
    stated = _("its amount is %(amount)d") % {"amount": line.amount_minor}
    if computed != line.amount_minor:
        found.append(Difference(where, stated, _("its explanation gives %(amount)d") % {"amount": computed}))
    if line.commission_minor + line.provider_minor != line.amount_minor:
        found.append(Difference(where, stated, _("its shares sum to something else")))
    return found


def _until(period: BillingPeriod) -> datetime | None:
    subscription = period.subscription
    return None if not subscription.is_live and subscription.ended_at == period.ends_at else period.ends_at


def _in_phase(hour: datetime, place: int, starts: list[datetime]) -> bool:
    after_start = place == 0 or hour >= starts[place]
    return after_start and (place + 1 == len(starts) or hour < starts[place + 1])
