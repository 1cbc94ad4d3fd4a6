"""Make it so: subscriptions from start to end. Each owns one Grant, whose limits are the plan's, copied by value.

The gateway knows neither plan nor period: it is told by the grant alone. What a period costs is services/invoices, changes of
plan are services/plan_changes.
"""

from datetime import datetime
from uuid import UUID

from django.db import IntegrityError, transaction
from django.db.models import Q
from django.utils.translation import gettext as _

from billing.core.subscription_states import SubscriptionStatus as Status
from billing.core.subscription_states import SubscriptionTrigger, advance
from billing.errors import AlreadySubscribed, Conflict, Fault, InvalidInput, PlanNotOffered
from billing.models import (
    BillingPeriod,
    ChangeKind,
    Plan,
    PlanStatus,
    Subscription,
    SubscriptionStatus,
)
from billing.selectors.calendar import first_period, subscription_cycle
from billing.services.agreements import (
    change_append,
    grant_is_gone,
    grant_rewrite,
    limits_in,
    subscription_live_lock,
    subscription_lock,
)
from billing.services.plan_changes import plan_turn
from marketplace.models import App, Organization, Person, StageName
from marketplace.services.access import grant_issue, grant_revoke
from marketplace.services.audit import audit_record

TURNS_MAX = 120
"""Periods that one call of ``subscription_turn`` may open: ten years of months."""

TURN_BATCH_MAX = 1_000


@transaction.atomic
def subscription_start(
    *, organization: Organization, plan: Plan, app: App, person: Person | None, now: datetime, stage: str = "release"
) -> Subscription:
    """Subscribe an app of the organization to a plan, and let it call within the plan's limits from now on.

    The first period begins with the local day of ``now`` in the organization's time zone. Raises InvalidInput,
    PlanNotOffered, AlreadySubscribed, Conflict (suspended, deleted).
    """
    plan = Plan.objects.select_related("api__provider").get(id=plan.id)
    app = App.objects.select_for_update().get(id=app.id)
    _start_check(organization, plan, app, stage)
    period, anchor_on = first_period(plan, organization.time_zone, now)
    subscription = Subscription(
        organization=organization,
        plan=plan,
        api=plan.api,
        app=app,
        stage=stage,
        started_at=now,
        anchor_on=anchor_on,
        time_zone=organization.time_zone,
        current_period_start=period.start,
        current_period_end=period.end,
    )
    subscription.grant = grant_issue(
        app=app,
        api=plan.api,
        stage=stage,
        limits=limits_in(plan, period),
        starts_at=now,
        source=subscription.public_id,
    )
    try:
        with transaction.atomic():
            subscription.save()
    except IntegrityError as error:
        raise AlreadySubscribed(_("This app is subscribed to this API already. Change its plan instead.")) from error
    BillingPeriod.objects.create(subscription=subscription, starts_at=period.start, ends_at=period.end)
    change_append(subscription, ChangeKind.START, at=now, person=person, to_plan=plan)
    return subscription


@transaction.atomic
def subscription_cancel(*, subscription: Subscription, person: Person | None, now: datetime) -> Subscription:
    """End it with the current period: until then everything goes on. Safe to repeat. Raises Conflict once it has ended."""
    subscription = subscription_live_lock(subscription)
    if subscription.cancel_at_period_end:
        return subscription
    _status_advance(subscription, SubscriptionTrigger.CANCEL)
    grant_rewrite(subscription, ends_at=subscription.current_period_end)
    change_append(subscription, ChangeKind.CANCEL, at=now, person=person, from_plan=subscription.plan)
    return subscription


@transaction.atomic
def subscription_resume(*, subscription: Subscription, person: Person | None, now: datetime) -> Subscription:
    """Take a cancellation back before the period ends. Safe to repeat. Raises Conflict once it has ended."""
    subscription = subscription_live_lock(subscription)
    if not subscription.cancel_at_period_end:
        return subscription
    if subscription.current_period_end <= now:
        raise Conflict(_("Its last period is over. Subscribe anew."), code="subscription_ended")
    _status_advance(subscription, SubscriptionTrigger.RESUME)
    grant_rewrite(subscription, ends_at=None)
    change_append(subscription, ChangeKind.RESUME, at=now, person=person, to_plan=subscription.plan)
    return subscription


@transaction.atomic
def subscription_turn(*, subscription_id: UUID, now: datetime) -> int:
    """Let what has come by ``now`` begin: the next plan, the next periods, or the end. Returns how many things turned.

    Each turn writes the new bounds into the grant, so that a quota per period starts afresh. Safe to repeat.
    """
    subscription = subscription_lock(subscription_id)
    turns = 0
    while subscription.is_live and turns < TURNS_MAX:
        if plan_turn(subscription, now=min(now, subscription.current_period_end)):
            turns += 1
            continue
        if subscription.current_period_end > now:
            break
        turns += 1
        if subscription.cancel_at_period_end or grant_is_gone(subscription):
            _end(subscription)
        else:
            period_open(subscription=subscription)
    if turns and subscription.is_live:
        grant_rewrite(subscription)
    return turns


def subscriptions_due(*, now: datetime, limit: int = TURN_BATCH_MAX) -> list[UUID]:
    """Return the ids of live subscriptions, not parked, whose period is over or whose next plan's moment has come."""
    has_come = Q(current_period_end__lte=now) | Q(next_plan_at__lte=now)
    due = Subscription.objects.filter(has_come, is_parked=False)
    live = due.exclude(status=SubscriptionStatus.ENDED).order_by("current_period_end", "id")
    return list(live.values_list("id", flat=True)[:limit])


def period_open(*, subscription: Subscription) -> BillingPeriod:
    """Open the period after the current one and make it current. The caller holds the subscription's lock."""
    period = subscription_cycle(subscription).containing(subscription.current_period_end)
    subscription.current_period_start, subscription.current_period_end = period.start, period.end
    subscription.save(update_fields=["current_period_start", "current_period_end"])
    return BillingPeriod.objects.create(subscription=subscription, starts_at=period.start, ends_at=period.end)


@transaction.atomic
def subscription_park(*, subscription_id: UUID, reason: str) -> None:
    """Withhold a subscription from automation until a person has looked: it is neither turned nor drafted."""
    Subscription.objects.filter(id=subscription_id).update(is_parked=True, parked_reason=reason[:2_000])


@transaction.atomic
def subscription_unpark(*, subscription: Subscription, person: Person | None) -> Subscription:
    """Let automation go on. Safe to repeat."""
    subscription = Subscription.objects.select_for_update().get(id=subscription.id)
    subscription.is_parked, subscription.parked_reason = False, ""
    subscription.save(update_fields=["is_parked", "parked_reason"])
    audit_record(
        verb="subscription.unpark",
        subject=subscription.public_id,
        person=person,
        organization=subscription.organization,
    )
    return subscription


def _start_check(organization: Organization, plan: Plan, app: App, stage: str) -> None:
    if plan.status != PlanStatus.PUBLISHED:
        raise PlanNotOffered(_("This plan is not offered. Choose a published one."))
    if app.organization_id != organization.id or app.deleted_at is not None:
        raise InvalidInput(
            _("Choose one of your apps."), faults=[Fault("/app", _("This is not an app of your organization."))]
        )
    if stage not in StageName.values:
        faults = [Fault("/stage", _("Choose one of: %(stages)s.") % {"stages": ", ".join(StageName.values)})]
        raise InvalidInput(_("There is no such stage."), faults=faults)
    if organization.is_suspended:
        raise Conflict(_("Your organization is suspended. Ask the operator."), code="organization_suspended")
    if plan.api.is_suspended or plan.api.provider.is_suspended:
        raise Conflict(_("This API is suspended at the moment."), code="api_suspended")
    live = Subscription.objects.filter(app=app, api=plan.api, stage=stage).exclude(status=SubscriptionStatus.ENDED)
    if live.exists():
        raise AlreadySubscribed(_("This app is subscribed to this API already. Change its plan instead."))


def _end(subscription: Subscription) -> None:
    subscription.ended_at = subscription.current_period_end
    subscription.next_plan, subscription.next_plan_at = None, None
    _status_advance(subscription, SubscriptionTrigger.END)
    if subscription.grant is not None:
        grant_revoke(grant=subscription.grant)
    change_append(subscription, ChangeKind.END, at=subscription.ended_at, person=None, from_plan=subscription.plan)


def _status_advance(subscription: Subscription, trigger: SubscriptionTrigger) -> None:
    subscription.status = advance(Status(subscription.status), trigger).value
    subscription.save(update_fields=["status", "ended_at", "next_plan", "next_plan_at"])
