"""Make it so: changes of plan, at once or at their hour, and taking back one that waits (the rule: billing.core.plan_changes).

A change that waits is in the grant as well, so that gateways turn to its limits by their own clocks, whoever else is down.
"""

from datetime import datetime

from django.db import transaction
from django.utils.translation import gettext as _

from billing.core.periods import zone_get
from billing.core.plan_changes import CHANGE_LEAD, CHANGES_MAX
from billing.errors import Conflict, PlanNotOffered
from billing.models import ChangeKind, Plan, PlanStatus, Subscription
from billing.selectors.quotes import billed_until, change_counts_at
from billing.services.agreements import change_append, grant_rewrite, subscription_live_lock
from marketplace.models import Person


@transaction.atomic
def subscription_change(
    *, subscription: Subscription, plan: Plan, person: Person | None, now: datetime
) -> Subscription:
    """Move to another plan of the same API, limits and prices together; ``next_plan_at`` says when, if not at once.

    Replaces a change that waits; changing to the plan that is in force only takes it back. Safe to repeat. Raises
    PlanNotOffered, Conflict (ended, not comparable, too many changes, or one is about to count).
    """
    subscription = subscription_live_lock(subscription)
    if plan_turn(subscription, now=now):
        grant_rewrite(subscription)
    if plan.id == (subscription.next_plan_id or subscription.plan_id):
        return subscription
    _settled_check(subscription, now)
    if plan.id == subscription.plan_id:
        _waiting_drop(subscription, subscription.plan, person)
    else:
        _offer_check(subscription, plan)
        _number_check(subscription)
        _change(subscription, plan, person, now)
    subscription.save(update_fields=["plan", "next_plan", "next_plan_at"])
    grant_rewrite(subscription)
    return subscription


def plan_turn(subscription: Subscription, *, now: datetime) -> bool:
    """Put the next plan in the plan's place once its moment has come. The caller holds the lock and rewrites the grant."""
    at, plan = subscription.next_plan_at, subscription.next_plan
    if plan is None or at is None or at > now:
        return False
    if subscription.cancel_at_period_end and at >= subscription.current_period_end:
        return False
    subscription.plan, subscription.next_plan, subscription.next_plan_at = plan, None, None
    subscription.save(update_fields=["plan", "next_plan", "next_plan_at"])
    return True


def _change(subscription: Subscription, plan: Plan, person: Person | None, now: datetime) -> None:
    at, before = change_counts_at(subscription=subscription, plan=plan, now=now), subscription.plan
    if subscription.cancel_at_period_end and at >= subscription.current_period_end:
        raise Conflict(
            _("This subscription ends before another plan could count. Take the cancellation back first."),
            code="subscription_ending",
        )
    is_now = at <= now
    if subscription.next_plan is not None:
        _waiting_drop(subscription, plan if is_now else before, person)
    if is_now:
        subscription.plan = plan
    else:
        subscription.next_plan, subscription.next_plan_at = plan, at
    change_append(subscription, ChangeKind.PLAN, at=at, person=person, from_plan=before, to_plan=plan)


def _waiting_drop(subscription: Subscription, instead: Plan, person: Person | None) -> None:
    """Take back the change that waits: from its moment on, ``instead`` is in force."""
    assert subscription.next_plan_at is not None
    change_append(
        subscription,
        ChangeKind.KEEP,
        at=subscription.next_plan_at,
        person=person,
        from_plan=subscription.next_plan,
        to_plan=instead,
    )
    subscription.next_plan, subscription.next_plan_at = None, None


def _settled_check(subscription: Subscription, now: datetime) -> None:
    at = subscription.next_plan_at
    if at is None or subscription.next_plan is None:
        return
    clock = at.astimezone(zone_get(subscription.time_zone))
    words = {"plan": subscription.next_plan.name, "time": f"{clock:%H:%M}", "day": f"{clock:%Y-%m-%d}"}
    if at - now < CHANGE_LEAD:
        text = _("The change to %(plan)s at %(time)s is about to count. Change the plan again after %(time)s.")
        raise Conflict(text % words, code="plan_change_settled")
    billed = billed_until(subscription=subscription)
    if billed is not None and at < billed:
        text = _("The change to %(plan)s on %(day)s at %(time)s is invoiced already. Change the plan again after that.")
        raise Conflict(text % words, code="plan_change_settled")


def _offer_check(subscription: Subscription, plan: Plan) -> None:
    before = subscription.plan
    if plan.status != PlanStatus.PUBLISHED:
        raise PlanNotOffered(_("This plan is not offered. Choose a published one."))
    if plan.api_id != before.api_id or plan.currency != before.currency or plan.period_months != before.period_months:
        raise Conflict(
            _(
                "Plans can be changed within one API, currency and length of period. Cancel, and subscribe anew instead."
            ),
            code="plan_not_comparable",
        )


def _number_check(subscription: Subscription) -> None:
    changes = subscription.changes.filter(kind=ChangeKind.PLAN, at__gte=subscription.current_period_start)
    if changes.count() >= CHANGES_MAX:
        end = subscription.current_period_end.astimezone(zone_get(subscription.time_zone))
        raise Conflict(
            _("The plan was changed %(max)d times in this billing period. Change it again from %(day)s on.")
            % {"max": CHANGES_MAX, "day": f"{end:%Y-%m-%d}"},
            code="plan_changes_max",
        )
