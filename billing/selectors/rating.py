"""Show me what a period costs: the rows of a subscription, through billing.core.rating, to lines that are not written yet.

Drafts, the usage page and projections all use this one code. Nothing here rounds, prices or writes.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from django.db import connection
from django.db.models import Q, QuerySet
from django.utils.translation import gettext as _

from billing.core.commission import Split, commission_split
from billing.core.rating import RatedLine, rate, rate_late
from billing.models import BillingPeriod, Invoice, InvoiceStatus, LateUsage, LineKind, Price, Subscription
from billing.selectors.calendar import (
    Phase,
    hours_end,
    hours_of_period,
    period_of_hour,
    period_value,
    subscription_phases,
)
from billing.selectors.plans import plan_price
from billing.selectors.prices import PriceBook

_UNITS_OF_PARTS = """
SELECT part.period_id, part.place, record.meter_id, sum(record.quantity)
FROM unnest(%s::uuid[], %s::uuid[], %s::int[], %s::timestamptz[], %s::timestamptz[])
  AS part(period_id, subscription_id, place, since, until)
JOIN billing_usagerecord record ON record.subscription_id = part.subscription_id
  AND record.hour >= part.since AND record.hour < COALESCE(part.until, 'infinity')
GROUP BY part.period_id, part.place, record.meter_id
"""


@dataclass(frozen=True, slots=True)
class LineDraft:
    """One line to be: what was rated, for whom, and how its amount is shared."""

    kind: LineKind
    subscription: Subscription
    price: Price
    phase: Phase
    rated: RatedLine
    commission_rate: Decimal
    split: Split

    @property
    def group(self) -> str:
        """The heading that the line stands under."""
        return f"{self.subscription.api.name}, {self.phase.plan.name}"

    @property
    def description(self) -> str:
        """What the line says, in the active language."""
        if self.kind == LineKind.LATE_USAGE:
            return _("%(price)s (late usage of an earlier period)") % {"price": self.rated.name}
        return self.rated.name


def phases_rate(
    *,
    subscription: Subscription,
    phases: Sequence[Phase],
    quantities: Mapping[int, Mapping[str, int]],
    book: PriceBook | None = None,
) -> list[LineDraft]:
    """Rate every phase of a period. ``quantities``: for the place of each phase, the meter's id as text to its units.

    ``book`` holds the prices of the phases' plans when the caller has read them for several subscriptions.
    """
    book = book or PriceBook.of(phase.plan.id for phase in phases)
    lines = []
    for place, phase in enumerate(phases):
        prices = {price.public_id: price for price in book.prices_at(phase.plan.id, phase.priced_at)}
        rating = rate(
            prices=[plan_price(price) for price in prices.values()],
            quantities=dict(quantities.get(place, {})),
            currency=phase.plan.currency,
            period=phase.period,
            proration=phase.proration,
        )
        for rated in rating.lines:
            price = prices[rated.price_id]
            kind = LineKind.USAGE if price.meter_id else LineKind.FEE
            lines.append(_line(kind, subscription, price, phase, rated, book))
    return lines


def period_lines(*, period: BillingPeriod) -> list[LineDraft]:
    """Rate a billing period from its usage records. A line of zero usage that costs nothing is left out."""
    subscription = period.subscription
    phases = subscription_phases(subscription, period_value(subscription, period))
    quantities = phase_quantities(subscription=subscription, period=period, phases=phases)
    lines = phases_rate(subscription=subscription, phases=phases, quantities=quantities)
    return [line for line in lines if line.rated.amount_minor or (line.price.meter_id and line.rated.quantity)]


def phase_quantities(
    *, subscription: Subscription, period: BillingPeriod, phases: Sequence[Phase]
) -> dict[int, dict[str, int]]:
    """Return the units of each meter in each phase, from usage records."""
    return quantities_read([(subscription, period, phases)])[period.id]


def quantities_read(
    cuts: Sequence[tuple[Subscription, BillingPeriod, Sequence[Phase]]],
) -> dict[UUID, dict[int, dict[str, int]]]:
    """Return the units of each meter in each phase of several periods, by the period's id, in one query."""
    units: dict[UUID, dict[int, dict[str, int]]] = {
        period.id: {place: {} for place in range(len(phases))} for _subscription, period, phases in cuts
    }
    parts = [
        (period.id, subscription.id, place, *_part_bounds(subscription, period, phases, place))
        for subscription, period, phases in cuts
        for place in range(len(phases))
    ]
    with connection.cursor() as cursor:
        cursor.execute(_UNITS_OF_PARTS, [list(column) for column in zip(*parts, strict=True)] or [[]] * 5)
        for period_id, place, meter_id, quantity in cursor.fetchall():
            units[period_id][place][str(meter_id)] = int(quantity)
    return units


def late_waiting(*, organization_id: UUID, currency: str, draft: Invoice | None = None) -> list[LateUsage]:
    """Return the consumer's late usage that no issued invoice has billed: unclaimed, or claimed by this draft."""
    unclaimed = Q(invoice=None) if draft is None else Q(invoice=None) | Q(invoice=draft)
    rows = LateUsage.objects.filter(
        unclaimed, subscription__organization_id=organization_id, subscription__plan__currency=currency
    )
    return list(
        rows.select_related("subscription__api", "subscription__plan")
        .defer("subscription__api__document")
        .order_by("subscription_id", "hour", "id")
    )


def late_of_period(period: BillingPeriod) -> QuerySet[LateUsage]:
    """Return what turned up late for the hours of a period, billed or not."""
    return LateUsage.objects.filter(hours_of_period(period), subscription=period.subscription)


def late_lines(*, rows: Iterable[LateUsage]) -> list[LineDraft]:
    """Rate late usage: per subscription, earlier period and phase, what it costs now minus what was billed then."""
    by_subscription: defaultdict[Subscription, list[LateUsage]] = defaultdict(list)
    for row in rows:
        by_subscription[row.subscription].append(row)
    lines = []
    for subscription, late in by_subscription.items():
        periods = list(subscription.periods.order_by("starts_at"))
        by_period: defaultdict[BillingPeriod, list[LateUsage]] = defaultdict(list)
        for row in late:
            period = period_of_hour(subscription, periods, row.hour)
            assert period is not None, "late usage lies in a period that an invoice has billed"
            by_period[period].append(row)
        for period, rows_of_period in by_period.items():
            lines += _late_of_period(subscription, period, rows_of_period)
    return lines


def _late_of_period(subscription: Subscription, period: BillingPeriod, rows: Sequence[LateUsage]) -> list[LineDraft]:
    phases = subscription_phases(subscription, period_value(subscription, period))
    billed = phase_quantities(subscription=subscription, period=period, phases=phases)
    issued = late_of_period(period).filter(invoice__status=InvoiceStatus.ISSUED)
    book = PriceBook.of(phase.plan.id for phase in phases)
    lines = []
    for place, phase in enumerate(phases):
        before = defaultdict(int, billed[place])
        for row in issued.filter(_hours_of_phase(place, phases)):
            before[str(row.meter_id)] += row.quantity
        added: defaultdict[str, int] = defaultdict(int)
        for row in rows:
            if _phase_of(row.hour, phases) == place:
                added[str(row.meter_id)] += row.quantity
        for price in book.prices_at(phase.plan.id, phase.priced_at):
            more = added.get(str(price.meter_id), 0)
            if not more:
                continue
            start = before[str(price.meter_id)]
            rated = rate_late(
                plan_price=plan_price(price),
                before=start,
                after=start + more,
                currency=phase.plan.currency,
                period=phase.period,
                proration=phase.proration,
            )
            lines.append(_line(LineKind.LATE_USAGE, subscription, price, phase, rated, book))
    return lines


def _line(
    kind: LineKind, subscription: Subscription, price: Price, phase: Phase, rated: RatedLine, book: PriceBook
) -> LineDraft:
    rate_now = book.commission_rate_at(phase.plan, phase.priced_at)
    return LineDraft(
        kind=kind,
        subscription=subscription,
        price=price,
        phase=phase,
        rated=rated,
        commission_rate=rate_now,
        split=commission_split(rated.amount_minor, rate_now),
    )


def _part_bounds(
    subscription: Subscription, period: BillingPeriod, phases: Sequence[Phase], place: int
) -> tuple[datetime, datetime | None]:
    """Return [since, until) of a phase's hours; the last phase ends where the period's own hours do, None being never."""
    since = phases[place].period.start if place else period.starts_at
    until = phases[place].period.end if place + 1 < len(phases) else hours_end(subscription, period)
    return since, until


def _hours_of_phase(place: int, phases: Sequence[Phase]) -> Q:
    """Return the hours of a phase; the first and the last one take what the period itself takes at its ends."""
    hours = Q()
    if place > 0:
        hours &= Q(hour__gte=phases[place].period.start)
    if place + 1 < len(phases):
        hours &= Q(hour__lt=phases[place].period.end)
    return hours


def _phase_of(hour: datetime, phases: Sequence[Phase]) -> int:
    return max((place for place, phase in enumerate(phases) if place == 0 or hour >= phase.period.start), default=0)
