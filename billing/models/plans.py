"""What is sold: meters, plans, prices with their tiers, and the commission the platform keeps.

A published price is never edited: it is superseded by another (a trigger refuses anything else). Rating lives in core/.
"""

from django.contrib.postgres.fields import ArrayField
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from marketplace.contracts.limits import CHARGED_OUTCOMES_DEFAULT
from marketplace.models import Api
from marketplace.models.base import Entity

PERIOD_MONTHS_MAX = 36


def charged_outcomes() -> list[str]:
    """The outcomes that count unless a meter says otherwise: the same as a quota charges."""
    return list(CHARGED_OUTCOMES_DEFAULT)


class Measure(models.TextChoices):
    """What a meter adds up for each counted call."""

    CALLS = "calls", _("Calls")
    UNITS = "units", _("Units")
    REQUEST_BYTES = "request_bytes", _("Bytes received")
    RESPONSE_BYTES = "response_bytes", _("Bytes sent")
    BYTES = "bytes", _("Bytes both ways")


class Meter(Entity):
    """Which calls of an Api count, and how they add up. Its rule is never edited: a new rule is a new meter."""

    ID_PREFIX = "mtr"

    api = models.ForeignKey(Api, on_delete=models.PROTECT, related_name="meters")
    slug = models.SlugField(max_length=40)
    name = models.CharField(_("name"), max_length=80)
    measure = models.CharField(max_length=14, choices=Measure.choices, default=Measure.CALLS)
    outcomes = ArrayField(models.CharField(max_length=24), default=charged_outcomes)
    operations = ArrayField(models.UUIDField(), default=list, blank=True, help_text="Operation ids; empty: all")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["api", "slug"], name="meter_once")]
        ordering = ["slug"]

    def __str__(self) -> str:
        return self.name


class PlanStatus(models.TextChoices):
    """A draft may be edited; a published plan may be subscribed to; a retired one serves whoever has it."""

    DRAFT = "draft", _("Draft")
    PUBLISHED = "published", _("Published")
    RETIRED = "retired", _("Retired")


class Alignment(models.TextChoices):
    """Where billing periods begin: on the first of the month, or on the day of the month the subscription began."""

    CALENDAR = "calendar", _("Calendar month")
    ANNIVERSARY = "anniversary", _("Day of subscription")


class Plan(Entity):
    """A commercial offer on an Api: prices and limits, in one currency."""

    ID_PREFIX = "pln"

    api = models.ForeignKey(Api, on_delete=models.PROTECT, related_name="plans")
    slug = models.SlugField(max_length=60)
    name = models.CharField(_("name"), max_length=80)
    summary = models.CharField(_("summary"), max_length=300, blank=True)
    currency = models.CharField(_("currency"), max_length=3)
    status = models.CharField(max_length=10, choices=PlanStatus.choices, default=PlanStatus.DRAFT)
    period_months = models.PositiveSmallIntegerField(
        _("billing period (months)"),
        default=1,
        validators=[MinValueValidator(1), MaxValueValidator(PERIOD_MONTHS_MAX)],
    )
    alignment = models.CharField(max_length=12, choices=Alignment.choices, default=Alignment.CALENDAR)
    limits = models.JSONField(default=dict, help_text="marketplace.contracts.limits.Limits as a dict")
    commission_rate = models.DecimalField(
        max_digits=7, decimal_places=6, null=True, blank=True, help_text="0.15 is 15 %; empty: the platform's rate"
    )
    is_visible = models.BooleanField(_("shown on the pricing tab"), default=True)
    position = models.PositiveSmallIntegerField(default=0)
    published_at = models.DateTimeField(null=True, blank=True)
    retired_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["api", "slug"], name="plan_once"),
            models.CheckConstraint(
                condition=Q(commission_rate=None) | Q(commission_rate__gte=0, commission_rate__lte=1),
                name="plan_commission_is_a_share",
            ),
            models.CheckConstraint(condition=Q(currency__regex="^[A-Z]{3}$"), name="plan_currency_code"),
        ]
        ordering = ["position", "created_at"]

    def __str__(self) -> str:
        return self.name


class PriceKind(models.TextChoices):
    """The price models; billing.core.pricing has one file for each."""

    FLAT = "flat", _("Fixed fee per period")
    PER_UNIT = "per_unit", _("Per unit")
    GRADUATED = "graduated", _("Graduated tiers")
    VOLUME = "volume", _("Volume tiers")
    PACKAGE = "package", _("Packages")
    INCLUDED = "included", _("Included units, then per unit")


class Price(Entity):
    """One priced meter or fee of a Plan, live in [effective_from, effective_until). Frozen once published.

    The columns and tiers are those of billing.core.pricing.spec.PriceSpec; amounts are major units with up to 12 places.
    """

    ID_PREFIX = "prc"

    plan = models.ForeignKey(Plan, on_delete=models.PROTECT, related_name="prices")
    meter = models.ForeignKey(Meter, null=True, blank=True, on_delete=models.PROTECT, related_name="prices")
    kind = models.CharField(max_length=10, choices=PriceKind.choices)
    name = models.CharField(_("name"), max_length=80)
    unit_amount = models.DecimalField(
        max_digits=24, decimal_places=12, default=0, help_text="major units: the fee, or the price of a unit or package"
    )
    package_size = models.BigIntegerField(default=1)
    included_units = models.BigIntegerField(default=0, help_text="units without a price, before the others")
    position = models.PositiveSmallIntegerField(default=0)
    published_at = models.DateTimeField(null=True, blank=True)
    effective_from = models.DateTimeField(null=True, blank=True)
    effective_until = models.DateTimeField(null=True, blank=True)
    superseded_by = models.OneToOneField(
        "self", null=True, blank=True, on_delete=models.PROTECT, related_name="supersedes"
    )

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(kind="flat", meter=None) | (~Q(kind="flat") & Q(meter__isnull=False)),
                name="price_flat_has_no_meter",
            ),
            models.CheckConstraint(
                condition=Q(unit_amount__gte=0, included_units__gte=0, package_size__gte=1),
                name="price_is_not_negative",
            ),
        ]
        ordering = ["position", "created_at"]

    def __str__(self) -> str:
        return self.name


class Tier(Entity):
    """One step of a graduated or volume price, up to and including ``up_to`` units; the last one is open (null)."""

    ID_PREFIX = "tir"

    price = models.ForeignKey(Price, on_delete=models.CASCADE, related_name="tiers")
    position = models.PositiveSmallIntegerField()
    up_to = models.BigIntegerField(null=True, blank=True)
    unit_amount = models.DecimalField(max_digits=24, decimal_places=12, default=0)
    flat_amount = models.DecimalField(max_digits=24, decimal_places=12, default=0)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["price", "position"], name="tier_once"),
            models.CheckConstraint(
                condition=Q(unit_amount__gte=0, flat_amount__gte=0) & (Q(up_to=None) | Q(up_to__gte=1)),
                name="tier_is_not_negative",
            ),
        ]
        ordering = ["position"]


class CommissionRate(Entity):
    """The platform's share of every line from a day on, unless a plan carries its own. Appended, never edited."""

    ID_PREFIX = "cmr"

    rate = models.DecimalField(max_digits=7, decimal_places=6, help_text="0.15 is 15 %")
    effective_on = models.DateField(unique=True)

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(rate__gte=0, rate__lte=1), name="commission_rate_is_a_share"),
        ]
        ordering = ["-effective_on"]
