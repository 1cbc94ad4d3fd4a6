"""Show me the prices and the commission that were in force at a moment, of many plans at once. Reads only.

What is sold now, as pages show it, is in ``selectors.plans``.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Self
from uuid import UUID

from billing.models import CommissionRate, Plan, Price
from billing.selectors.plans import COMMISSION_RATE_DEFAULT


@dataclass(frozen=True, slots=True)
class PriceBook:
    """All published prices of some plans, and the platform's commission of all days: what rating asks for, read once."""

    prices: Mapping[UUID, Sequence[Price]]
    rates: Sequence[CommissionRate]

    @classmethod
    def of(cls, plan_ids: Iterable[UUID]) -> Self:
        """Read the book of these plans in three queries, whatever their number."""
        rows = Price.objects.filter(plan_id__in=set(plan_ids), published_at__isnull=False)
        prices: defaultdict[UUID, list[Price]] = defaultdict(list)
        for price in rows.select_related("meter").prefetch_related("tiers").order_by("position", "created_at"):
            prices[price.plan_id].append(price)
        return cls(prices=dict(prices), rates=list(CommissionRate.objects.order_by("-effective_on")))

    def prices_at(self, plan_id: UUID, moment: datetime) -> list[Price]:
        """Return the prices of a plan that are live at a moment, in their order."""
        return [
            price
            for price in self.prices.get(plan_id, ())
            if price.effective_from is not None
            and price.effective_from <= moment
            and (price.effective_until is None or price.effective_until > moment)
        ]

    def commission_rate_at(self, plan: Plan, moment: datetime) -> Decimal:
        """Return the platform's share of the plan's lines: the plan's own rate, else the platform's of that UTC day."""
        if plan.commission_rate is not None:
            return plan.commission_rate
        day = moment.astimezone(UTC).date()
        return next((row.rate for row in self.rates if row.effective_on <= day), COMMISSION_RATE_DEFAULT)
