"""Show a consumer and a provider which subscriptions there are, and what happened to them. Reads only.

What one used and costs is in ``selectors.overviews``.
"""

from dataclasses import dataclass
from datetime import datetime

from django.db.models import Count, QuerySet, Sum
from django.db.models.functions import TruncDay

from billing.core.periods import zone_get
from billing.models import Subscription, SubscriptionChange, SubscriptionStatus, UsageRecord
from billing.selectors.plans import PlanCard, plan_list
from marketplace.models import Api, Organization

TIMELINE_MAX = 100
"""Changes that a subscription's page shows."""


@dataclass(frozen=True, slots=True)
class UsageDay:
    """Units of one meter on one local day that starts ``at``."""

    at: datetime
    meter_id: object
    units: int


def subscription_list(*, organization: Organization, is_ended_shown: bool = True) -> QuerySet[Subscription]:
    """Return the organization's subscriptions, the newest first."""
    rows = Subscription.objects.filter(organization=organization)
    rows = rows if is_ended_shown else rows.exclude(status=SubscriptionStatus.ENDED)
    return (
        rows.select_related("plan", "next_plan", "api__provider", "app", "grant").defer("api__document").order_by("-id")
    )


def subscriber_list(*, provider: Organization) -> QuerySet[Subscription]:
    """Return the subscriptions to a provider's APIs, the newest first."""
    rows = Subscription.objects.filter(api__provider=provider)
    return rows.select_related("plan", "api", "organization").defer("api__document").order_by("-id")


def subscribers_count(*, api: Api) -> dict[object, int]:
    """Return how many live subscriptions each plan of an API has, by plan id."""
    live = Subscription.objects.filter(api=api).exclude(status=SubscriptionStatus.ENDED)
    rows = live.values("plan_id").annotate(n=Count("id")).order_by()
    return {row["plan_id"]: int(row["n"]) for row in rows}


def plans_to_change_to(*, subscription: Subscription) -> list[PlanCard]:
    """Return the offered plans that the subscription can change to: same API, currency and length of period."""
    now, taken = subscription.plan, (subscription.plan_id, subscription.next_plan_id)
    return [
        card
        for card in plan_list(api=subscription.api)
        if card.plan.id not in taken
        and (card.plan.currency, card.plan.period_months) == (now.currency, now.period_months)
    ]


def subscription_timeline(*, subscription: Subscription) -> list[SubscriptionChange]:
    """Return what happened to the subscription, the newest first."""
    changes = subscription.changes.select_related("from_plan", "to_plan", "person")
    return list(changes.order_by("-at", "-id")[:TIMELINE_MAX])


def usage_days(*, subscription: Subscription, since: datetime, until: datetime) -> list[UsageDay]:
    """Return the units of each meter by local day of the subscription's zone, days in order."""
    rows = UsageRecord.objects.filter(subscription=subscription, hour__gte=since, hour__lt=until)
    cut = rows.annotate(at=TruncDay("hour", tzinfo=zone_get(subscription.time_zone)))
    sums = cut.values("at", "meter_id").annotate(units=Sum("quantity")).order_by("at", "meter_id")
    return [UsageDay(row["at"], row["meter_id"], int(row["units"])) for row in sums]
