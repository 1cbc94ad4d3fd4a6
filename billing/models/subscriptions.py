"""Agreements: a subscription to a plan, what changed in it and when, and its billing periods one after the other."""

from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _

from billing.models.plans import Plan
from marketplace.models import Api, App, Grant, Organization, Person, StageName
from marketplace.models.base import Entity


class SubscriptionStatus(models.TextChoices):
    """The life of a subscription; billing.core.subscription_states has the transitions."""

    TRIALING = "trialing", _("In trial")
    ACTIVE = "active", _("Active")
    CANCELED = "canceled", _("Ends with its period")
    ENDED = "ended", _("Ended")


class Subscription(Entity):
    """A consumer's agreement to a Plan from a moment on; owns one Grant, whose limits it writes.

    ``anchor_on`` and ``time_zone`` fix where periods are cut (billing.core.periods.BillingCycle): on the anchor's day of
    the month, local midnight; in shorter months the last day stands in. ``plan`` is the plan now, ``next_plan`` the one that
    takes over at ``next_plan_at``, a whole hour; SubscriptionChange says which was, or will be, in force when.
    A parked subscription is not drafted: its last attempt failed in a way nobody foresaw, and a person must look.
    """

    ID_PREFIX = "sub"

    organization = models.ForeignKey(Organization, on_delete=models.PROTECT, related_name="subscriptions")
    plan = models.ForeignKey(Plan, on_delete=models.PROTECT, related_name="subscriptions")
    next_plan = models.ForeignKey(Plan, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    next_plan_at = models.DateTimeField(null=True, blank=True)
    api = models.ForeignKey(Api, on_delete=models.PROTECT, related_name="subscriptions")
    app = models.ForeignKey(App, on_delete=models.PROTECT, related_name="subscriptions")
    stage = models.CharField(max_length=10, choices=StageName.choices, default=StageName.RELEASE)
    grant = models.OneToOneField(Grant, null=True, on_delete=models.PROTECT, related_name="subscription")
    status = models.CharField(max_length=8, choices=SubscriptionStatus.choices, default=SubscriptionStatus.ACTIVE)
    started_at = models.DateTimeField()
    anchor_on = models.DateField()
    time_zone = models.CharField(max_length=64)
    current_period_start = models.DateTimeField()
    current_period_end = models.DateTimeField()
    ended_at = models.DateTimeField(null=True, blank=True)
    is_parked = models.BooleanField(default=False)
    parked_reason = models.TextField(blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["app", "api", "stage"], condition=~Q(status="ended"), name="subscription_live_once"
            ),
            models.CheckConstraint(
                condition=Q(current_period_start__lt=F("current_period_end")), name="subscription_period_is_forward"
            ),
            models.CheckConstraint(
                condition=Q(next_plan=None, next_plan_at=None) | Q(next_plan__isnull=False, next_plan_at__isnull=False),
                name="subscription_next_plan_has_moment",
            ),
        ]
        indexes = [
            models.Index(fields=["current_period_end"], condition=~Q(status="ended"), name="subscription_turn_due"),
            models.Index(
                fields=["next_plan_at"], condition=Q(next_plan_at__isnull=False), name="subscription_change_due"
            ),
        ]

    def __str__(self) -> str:
        return self.public_id

    @property
    def is_live(self) -> bool:
        """True while its grant stands."""
        return self.status != SubscriptionStatus.ENDED

    @property
    def cancel_at_period_end(self) -> bool:
        """True when it ends with the current period."""
        return self.status == SubscriptionStatus.CANCELED


class ChangeKind(models.TextChoices):
    """What happened to a subscription."""

    START = "start", _("Started")
    PLAN = "plan", _("Plan changed")
    KEEP = "keep", _("Change of plan withdrawn")
    CANCEL = "cancel", _("Cancelled at period end")
    RESUME = "resume", _("Cancellation withdrawn")
    END = "end", _("Ended")


class SubscriptionChange(Entity):
    """One change, appended. Starts, plan changes and their withdrawals together say which plan was in force at any moment.

    ``at`` is when it counts: a change of plan that waits for its hour lies ahead, and its withdrawal bears the same moment.
    """

    ID_PREFIX = "sch"

    subscription = models.ForeignKey(Subscription, on_delete=models.PROTECT, related_name="changes")
    kind = models.CharField(max_length=8, choices=ChangeKind.choices)
    at = models.DateTimeField()
    from_plan = models.ForeignKey(Plan, null=True, on_delete=models.PROTECT, related_name="+")
    to_plan = models.ForeignKey(Plan, null=True, on_delete=models.PROTECT, related_name="+")
    person = models.ForeignKey(Person, null=True, on_delete=models.PROTECT, related_name="+")

    class Meta:
        ordering = ["at", "id"]


class BillingPeriod(Entity):
    """One half-open period [starts_at, ends_at) of a subscription: billed by one invoice at most.

    ``closed_at`` is set when it was drafted, or found to owe nothing (then ``invoice`` stays empty; usage that turns up
    later opens it again). This row is the lock that keeps two tasks from billing the same period.
    """

    ID_PREFIX = "bpd"

    subscription = models.ForeignKey(Subscription, on_delete=models.PROTECT, related_name="periods")
    starts_at = models.DateTimeField()
    ends_at = models.DateTimeField()
    closed_at = models.DateTimeField(null=True, blank=True)
    invoice = models.ForeignKey(
        "billing.Invoice", null=True, blank=True, on_delete=models.PROTECT, related_name="periods"
    )

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["subscription", "starts_at"], name="billing_period_once"),
            models.CheckConstraint(condition=Q(starts_at__lt=F("ends_at")), name="billing_period_is_forward"),
        ]
        indexes = [models.Index(fields=["ends_at"], condition=Q(closed_at=None), name="billing_period_due")]
        ordering = ["starts_at"]
