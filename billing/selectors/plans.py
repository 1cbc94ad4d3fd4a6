"""Show me what is sold: the plans of an Api, and their prices as specs. Reads only.

Which prices and which commission were in force at a moment is in ``selectors.prices``.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from decimal import Decimal
from uuid import UUID

from django.db.models import Prefetch, QuerySet

from billing.core.money import decimal_show
from billing.core.pricing import PriceKind, PriceSpec
from billing.core.pricing import Tier as TierSpec
from billing.core.rating import PlanPrice
from billing.models import Plan, PlanStatus, Price
from marketplace.contracts.limits import Limits
from marketplace.models import Api

COMMISSION_RATE_DEFAULT = Decimal("0.15")
"""The platform's share until finance sets its own with ``commission_rate_set``."""


@dataclass(frozen=True, slots=True)
class PlanCard:
    """One plan as the pricing tab shows it. ``prices`` are those for subscribers of now."""

    plan: Plan
    limits: Limits
    prices: tuple[tuple[Price, PriceSpec], ...]

    @property
    def is_free(self) -> bool:
        """True when no usage whatever can cost anything."""
        return all(spec.is_free for _, spec in self.prices)

    @property
    def fee(self) -> Decimal:
        """The sum of the fixed fees of a whole period, in major units."""
        return sum((spec.unit_amount for _, spec in self.prices if spec.kind is PriceKind.FLAT), Decimal(0))

    @property
    def fee_text(self) -> str:
        """The fee in plain digits."""
        return decimal_show(self.fee)


def price_spec(price: Price) -> PriceSpec:
    """Return the value that rating works with. The row was checked when it was written."""
    kind = PriceKind(price.kind)
    tiers = tuple(
        TierSpec(tier.up_to, tier.unit_amount, tier.flat_amount)
        for tier in sorted(price.tiers.all(), key=lambda tier: tier.position)
    )
    return PriceSpec(
        kind=kind,
        unit_amount=price.unit_amount,
        tiers=tiers,
        included_units=price.included_units,
        package_size=price.package_size,
    )


def plan_price(price: Price) -> PlanPrice:
    """Return a price as rating takes it; meters are known by their id's text."""
    return PlanPrice(
        id=price.public_id,
        name=price.name,
        spec=price_spec(price),
        meter=str(price.meter_id) if price.meter_id else None,
    )


def plan_limits(plan: Plan, *, time_zone: str = "UTC", period: tuple[int, int] | None = None) -> Limits:
    """Return the plan's limits by value, as a grant carries them.

    Calendar quotas follow ``time_zone`` (the subscriber's); a quota per billing period gets its bounds from ``period``,
    in Unix seconds.
    """
    limits = replace(Limits.from_dict(plan.limits or {}), plan_name=plan.name)
    if limits.quota is None:
        return limits
    quota = replace(limits.quota, time_zone=time_zone)
    if quota.window == "period" and period is not None:
        quota = replace(quota, period_start=period[0], period_end=period[1])
    return replace(limits, quota=quota)


def plan_card(plan: Plan) -> PlanCard:
    """Return a plan with the prices it has now (for a draft: those it will have)."""
    prices = [price for price in plan.prices.all() if price.superseded_by_id is None]
    return PlanCard(plan=plan, limits=plan_limits(plan), prices=tuple((price, price_spec(price)) for price in prices))


def plan_list(*, api: Api, is_provider: bool = False) -> list[PlanCard]:
    """Return the plans of an Api: all of them for its provider, the published and visible ones for everybody else."""
    plans = _with_prices(Plan.objects.filter(api=api))
    if not is_provider:
        plans = plans.filter(status=PlanStatus.PUBLISHED, is_visible=True)
    return [plan_card(plan) for plan in plans]


def offers_list(*, apis: Iterable[object]) -> dict[object, list[PlanCard]]:
    """Return the published and visible plans of several Apis by Api id, in two queries whatever their number."""
    offers: dict[object, list[PlanCard]] = {}
    for plan in _with_prices(Plan.objects.filter(api_id__in=list(apis), status=PlanStatus.PUBLISHED, is_visible=True)):
        offers.setdefault(plan.api_id, []).append(plan_card(plan))
    return offers


def plan_get(*, plan_id: UUID) -> PlanCard:
    """Return one plan with its prices. Raises Plan.DoesNotExist."""
    return plan_card(_with_prices(Plan.objects.filter(id=plan_id)).get())


def plan_cards(*, plans: Iterable[Plan]) -> list[PlanCard]:
    """Return these plans with their prices, in the order given, in a few queries whatever their number."""
    ids = [plan.id for plan in plans]
    found = {plan.id: plan_card(plan) for plan in _with_prices(Plan.objects.filter(id__in=ids))}
    return [found[key] for key in ids if key in found]


def prices_cheapest(cards: Iterable[PlanCard]) -> PlanCard | None:
    """Return the plan with the lowest fee, for a catalogue entry's "from …"."""
    return min(cards, key=lambda card: card.fee, default=None)


def _with_prices(plans: QuerySet[Plan]) -> QuerySet[Plan]:
    prices = Price.objects.select_related("meter").prefetch_related("tiers").order_by("position", "created_at")
    return (
        plans.select_related("api__provider")
        .defer("api__document")
        .prefetch_related(Prefetch("prices", queryset=prices))
    )
