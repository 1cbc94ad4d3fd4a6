"""Show the platform's finance where to look: counts, anomalies, what is overdue and for how long. Reads only."""

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta

from billing.models import BillingPeriod, Invoice, InvoiceLine, InvoiceStatus, LateUsage, PaymentStatus, Subscription
from billing.selectors.review import invoice_before, invoices_stuck, review_counts
from marketplace.models import Organization

STUCK_AFTER = timedelta(days=3)
"""How long an invoice may wait for somebody before it is an anomaly."""

ROWS_MAX = 20
OPEN_INVOICES_MAX = 5_000
AGE_BOUNDS = (0, 30, 60, 90)
"""Days past due at which the next bucket of receivables begins."""


@dataclass(frozen=True, slots=True)
class FinanceOverview:
    """What waits, and what is odd. Lists hold at most ROWS_MAX rows."""

    queue: dict[str, int]
    overdue: int
    periods_waiting: int
    late_hours: int
    parked: tuple[Subscription, ...]
    stuck: tuple[Invoice, ...]


@dataclass(slots=True)
class Debtor:
    """One consumer's open invoices in one currency: minor units by age, in the order of ``age_labels``, and their sum."""

    organization: Organization
    currency: str
    buckets: list[int] = field(default_factory=lambda: [0] * (len(AGE_BOUNDS) + 1))
    count: int = 0
    oldest_due_on: date | None = None

    @property
    def total_minor(self) -> int:
        """All that is open."""
        return sum(self.buckets)


@dataclass(frozen=True, slots=True)
class LineChange:
    """One line of an invoice beside the same price's line of the invoice before; None where there was none."""

    group: str
    description: str
    before_minor: int | None
    now_minor: int | None

    @property
    def difference_minor(self) -> int:
        """Now minus before."""
        return (self.now_minor or 0) - (self.before_minor or 0)


def finance_overview(*, now: datetime) -> FinanceOverview:
    """Return the counts of the home page."""
    unpaid = Invoice.objects.filter(status=InvoiceStatus.ISSUED, payment_status=PaymentStatus.UNPAID)
    parked = Subscription.objects.filter(is_parked=True).select_related("organization", "api", "plan")
    parked = parked.defer("api__document").order_by("id")
    stuck = invoices_stuck(since=now - STUCK_AFTER).select_related("organization")
    return FinanceOverview(
        queue=review_counts(),
        overdue=unpaid.filter(due_on__lt=now.date()).count(),
        periods_waiting=BillingPeriod.objects.filter(closed_at=None, ends_at__lte=now).count(),
        late_hours=LateUsage.objects.filter(invoice=None).count(),
        parked=tuple(parked[:ROWS_MAX]),
        stuck=tuple(stuck[:ROWS_MAX]),
    )


def receivables_list(*, today: date) -> list[Debtor]:
    """Return who owes what and since when, the largest debt of each currency first."""
    unpaid = Invoice.objects.filter(status=InvoiceStatus.ISSUED, payment_status=PaymentStatus.UNPAID)
    debtors: dict[tuple[object, str], Debtor] = {}
    for invoice in unpaid.select_related("organization").order_by("due_on", "id")[:OPEN_INVOICES_MAX]:
        key = (invoice.organization_id, invoice.currency)
        debtor = debtors.setdefault(key, Debtor(invoice.organization, invoice.currency))
        days = (today - invoice.due_on).days if invoice.due_on else 0
        debtor.buckets[sum(days > bound for bound in AGE_BOUNDS)] += invoice.due_minor
        debtor.count += 1
        debtor.oldest_due_on = debtor.oldest_due_on or invoice.due_on
    return sorted(debtors.values(), key=lambda debtor: (debtor.currency, -debtor.total_minor))


def receivables_totals(debtors: list[Debtor]) -> list[Debtor]:
    """Return one sum for each currency, with no organization's name of its own."""
    totals: dict[str, Debtor] = {}
    for debtor in debtors:
        total = totals.setdefault(debtor.currency, Debtor(debtor.organization, debtor.currency))
        total.buckets = [one + other for one, other in zip(total.buckets, debtor.buckets, strict=True)]
        total.count += debtor.count
    return list(totals.values())


def lines_compare(*, invoice: Invoice) -> tuple[Invoice | None, list[LineChange]]:
    """Return the consumer's invoice before this one, and both line by line, matched by subscription and name."""
    before = invoice_before(invoice)
    if before is None:
        return None, []
    old, new = _sums(before), _sums(invoice)
    keys = [*new, *(key for key in old if key not in new)]
    return before, [LineChange(key[1], key[2], old.get(key), new.get(key)) for key in keys]


def _sums(invoice: Invoice) -> dict[tuple[object, str, str], int]:
    sums: defaultdict[tuple[object, str, str], int] = defaultdict(int)
    for line in InvoiceLine.objects.filter(invoice=invoice).order_by("position"):
        sums[line.subscription_id, line.group, line.description] += line.amount_minor
    return dict(sums)
