"""What every write to a subscription does: lock it, tell its grant the limits, append what happened with its trail.

When to do so is for services/subscriptions and services/plan_changes.
"""

from datetime import datetime, timedelta
from uuid import UUID

from django.utils.translation import gettext as _

from billing.core.periods import Period, hour_floor, zone_get
from billing.errors import Conflict
from billing.models import ChangeKind, Plan, Subscription, SubscriptionChange
from billing.selectors.calendar import subscription_cycle
from billing.selectors.plans import plan_limits
from marketplace.contracts.limits import Limits, LimitsTurn
from marketplace.models import Person
from marketplace.services.access import grant_limits_set
from marketplace.services.audit import audit_record

_EPOCH = datetime.fromtimestamp(0, zone_get("UTC"))
_SECOND = timedelta(seconds=1)


def subscription_lock(subscription_id: UUID) -> Subscription:
    """Return the subscription, locked until the transaction ends."""
    locked = Subscription.objects.select_for_update(of=("self",), no_key=True)
    return locked.select_related("plan__api", "next_plan", "grant", "organization").get(id=subscription_id)


def subscription_live_lock(subscription: Subscription) -> Subscription:
    """Return the subscription, locked. Raises Conflict when it has ended."""
    subscription = subscription_lock(subscription.id)
    if not subscription.is_live:
        raise Conflict(_("This subscription has ended. Subscribe anew."), code="subscription_ended")
    return subscription


def limits_in(plan: Plan, period: Period) -> Limits:
    """Return the plan's limits as the grant of a subscription in this period carries them."""
    bounds = (_unix(period.start), _unix(period.end))
    return plan_limits(plan, time_zone=period.time_zone, period=bounds)


def grant_rewrite(subscription: Subscription, *, ends_at: datetime | object | None = ...) -> None:
    """Write the limits of the plan, and those of the next one with its moment, into the grant, unless that has gone."""
    grant = subscription.grant
    if grant is None or grant_is_gone(subscription):
        return
    period = Period(subscription.current_period_start, subscription.current_period_end, subscription.time_zone)
    limits, turn = limits_in(subscription.plan, period), None
    if subscription.next_plan is not None and subscription.next_plan_at is not None:
        if subscription.next_plan_at >= period.end:
            period = subscription_cycle(subscription).containing(period.end)
        turn = LimitsTurn(_unix(subscription.next_plan_at), limits_in(subscription.next_plan, period))
    grant_limits_set(grant=grant, limits=limits, turn=turn, ends_at=ends_at)


def grant_is_gone(subscription: Subscription) -> bool:
    """True when the grant was revoked by other means (its app was deleted): the subscription ends with its period."""
    grant = subscription.grant
    return grant is None or type(grant).objects.filter(id=grant.id, revoked_at__isnull=False).exists()


def change_append(
    subscription: Subscription,
    kind: ChangeKind,
    *,
    at: datetime,
    person: Person | None,
    from_plan: Plan | None = None,
    to_plan: Plan | None = None,
) -> None:
    """Append the change, which counts from ``at``, and its trail."""
    SubscriptionChange.objects.create(
        subscription=subscription, kind=kind, at=at, from_plan=from_plan, to_plan=to_plan, person=person
    )
    audit_record(
        verb=f"subscription.{kind}",
        subject=subscription.public_id,
        person=person,
        organization=subscription.organization,
        detail={"plan": (to_plan or subscription.plan).public_id},
    )


def _unix(instant: datetime) -> int:
    """Return the Unix second of a whole hour."""
    return (hour_floor(instant) - _EPOCH) // _SECOND
