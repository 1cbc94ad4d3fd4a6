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
from billing.selectors.rating import LineDraft, phases_rate
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
    related = invoice.periods.select_related("subscription__api", "subscription__plan")
    periods = list(related.defer("subscription__api__document"))
    for period in periods:
        found += _period_differences(period, invoice)
    for line in lines:
        found += _amount_differences(line)
    for period in periods:
        found += _line_differences(period, [line for line in lines if line.subscription_id == period.subscription_id])
    found += _late_differences(invoice, lines)
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
                "hour": _moment(key[1]),
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
    """Compare each line with what the plans of the period cost now, by its records, and look for what no line bills."""
    subscription = period.subscription
    phases = subscription_phases(subscription, period_value(subscription, period))
    starts = [phase.period.start for phase in phases]
    units: defaultdict[int, defaultdict[str, int]] = defaultdict(lambda: defaultdict(int))
    for record in UsageRecord.objects.filter(hours_of_period(period), subscription=subscription):
        place = max((place for place, start in enumerate(starts) if start <= record.hour), default=0)
        units[place][str(record.meter_id)] += record.quantity
    stated = {(line.price_id, line.period_start): line for line in lines if line.kind != LineKind.LATE_USAGE}
    found = []
    for rated in phases_rate(subscription=subscription, phases=phases, quantities=units):
        found += _rated_differences(rated, stated.pop((rated.price.id, rated.phase.period.start), None))
    return found + [
        Difference(_line_name(line), _("its plan was not in force then"), _("the line bills it"))
        for line in stated.values()
    ]


def _rated_differences(rated: LineDraft, line: InvoiceLine | None) -> list[Difference]:
    """Compare one line, if there is one, with what it should be: units, amount, and until when its plan was in force."""
    where, end = f"{rated.subscription.public_id}, {rated.price.name}", rated.phase.period.end
    quantity, amount = (line.quantity, line.amount_minor) if line else (Decimal(0), 0)
    found = []
    if rated.kind == LineKind.USAGE and quantity != rated.rated.quantity:
        said = _("the usage records sum to %(units)d") % {"units": rated.rated.quantity}
        found.append(Difference(where, said, _("the line says %(quantity)s") % {"quantity": f"{quantity:f}"}))
    elif amount != rated.rated.amount_minor:
        said = _("its plan and its price give %(amount)d") % {"amount": rated.rated.amount_minor}
        found.append(Difference(where, said, _("the line says %(quantity)s") % {"quantity": amount}))
    if line and line.period_end != end:
        said = _("its plan was in force until %(moment)s") % {"moment": _moment(end)}
        found.append(Difference(where, said, _("the line says %(quantity)s") % {"quantity": _moment(line.period_end)}))
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


def _moment(instant: datetime) -> str:
    return f"{instant:%Y-%m-%dT%H:%MZ}"
