"""What the API of billing takes and gives, as serializers. Money is text with a currency; times are RFC 3339 UTC."""

from datetime import UTC, datetime
from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from billing.core.money import Money, decimal_show
from billing.models import Alignment, InvoiceStatus, LineKind, Measure, PaymentStatus, PlanStatus, PriceKind
from marketplace.api.base import Strict
from marketplace.contracts.limits import Limits, QuotaLimit, RateLimit
from marketplace.contracts.usage import UsageEvent

AMOUNT_LENGTH_MAX = 40
TIERS_MAX = 50
PRICES_MAX = 20


class MoneyOut(serializers.Serializer[Any]):
    """An amount in major units as text, and its currency."""

    amount = serializers.CharField(help_text="12.50")
    currency = serializers.CharField(help_text="ISO 4217")


@extend_schema_field(MoneyOut)
class MoneyField(serializers.Field):
    """Shows the minor units of a column together with the row's currency."""

    def __init__(self, minor: str, **given: Any) -> None:
        self.minor = minor
        super().__init__(source="*", read_only=True, **given)

    def to_representation(self, value: Any) -> dict[str, str]:
        """Return ``{"amount": "12.50", "currency": "EUR"}``; lines have the currency of their document."""
        owner = next(
            row
            for row in (value, getattr(value, "invoice", None), getattr(value, "statement", None))
            if row is not None and hasattr(row, "currency")
        )
        return {"amount": Money(getattr(value, self.minor), owner.currency).format(), "currency": owner.currency}


@extend_schema_field(OpenApiTypes.STR)
class DecimalText(serializers.Field):
    """Shows a decimal as plain digits without trailing zeros."""

    def to_representation(self, value: Any) -> str:
        """Return such as ``0.0004``."""
        return decimal_show(value)


class TierShape(Strict):
    """One step of a price; the last one has no ``up_to``."""

    up_to = serializers.IntegerField(min_value=1, max_value=10**15, allow_null=True, required=False, default=None)
    unit_amount = serializers.CharField(max_length=AMOUNT_LENGTH_MAX, default="0")
    flat_amount = serializers.CharField(max_length=AMOUNT_LENGTH_MAX, default="0")


class SpecIn(Strict):
    """What a price says. Amounts are text in major units with up to 12 places."""

    kind = serializers.ChoiceField(choices=PriceKind.choices)
    unit_amount = serializers.CharField(max_length=AMOUNT_LENGTH_MAX, required=False)
    tiers = TierShape(many=True, required=False, max_length=TIERS_MAX)  # type: ignore[call-arg]
    included_units = serializers.IntegerField(min_value=0, max_value=10**15, required=False)
    package_size = serializers.IntegerField(min_value=1, max_value=10**15, required=False)


class PriceIn(SpecIn):
    """One price of a plan; ``meter`` is the id of a meter (mtr_…), empty for calls."""

    name = serializers.CharField(max_length=80)
    meter = serializers.CharField(max_length=64, required=False, allow_blank=True)


class SupersedeIn(SpecIn):
    """What holds from the next period on."""

    name = serializers.CharField(max_length=80, required=False)


class RateIn(Strict):
    """``calls`` per ``period_s`` seconds."""

    calls = serializers.IntegerField(min_value=1, max_value=10_000_000)
    period_s = serializers.IntegerField(min_value=1, max_value=86_400)
    burst = serializers.IntegerField(min_value=0, max_value=10_000_000, default=0)
    store_down = serializers.ChoiceField(choices=["allow", "deny"], default="allow")


class QuotaIn(Strict):
    """``units`` per window; hard: refused beyond, soft: counted."""

    units = serializers.IntegerField(min_value=0, max_value=10**15)
    window = serializers.ChoiceField(choices=["hour", "day", "month", "period"])
    hard = serializers.BooleanField(default=True)
    store_down = serializers.ChoiceField(choices=["deny", "allow"], default="deny")
    charged = serializers.ListField(child=serializers.CharField(max_length=24), max_length=8, required=False)


class LimitsIn(Strict):
    """What a subscription allows."""

    rates = RateIn(many=True, required=False, max_length=8)  # type: ignore[call-arg]
    quota = QuotaIn(required=False, allow_null=True)


class MeterIn(Strict):
    """What counts: outcomes empty means those that a quota charges, operations empty means all."""

    name = serializers.CharField(max_length=80)
    slug = serializers.CharField(max_length=40, required=False, default="", allow_blank=True)
    measure = serializers.ChoiceField(choices=Measure.choices, default=Measure.CALLS)
    outcomes = serializers.ListField(child=serializers.CharField(max_length=24), max_length=20, required=False)
    operations = serializers.ListField(child=serializers.CharField(max_length=64), max_length=2_000, required=False)


class MeterOut(serializers.Serializer[Any]):
    """A meter. Its rule never changes."""

    id = serializers.CharField(source="public_id")
    slug = serializers.CharField()
    name = serializers.CharField()
    measure = serializers.ChoiceField(choices=Measure.choices)
    outcomes = serializers.ListField(child=serializers.CharField())


class PlanIn(Strict):
    """A draft of a plan, or what to change of one; ``prices`` replaces all prices of a draft."""

    name = serializers.CharField(max_length=80)
    currency = serializers.CharField(max_length=3)
    summary = serializers.CharField(max_length=300, allow_blank=True, required=False)
    period_months = serializers.IntegerField(min_value=1, max_value=36, required=False)
    alignment = serializers.ChoiceField(choices=Alignment.choices, required=False)
    is_visible = serializers.BooleanField(required=False)
    position = serializers.IntegerField(min_value=0, max_value=1_000, required=False)
    limits = LimitsIn(required=False)
    prices = PriceIn(many=True, required=False, max_length=PRICES_MAX)  # type: ignore[call-arg]


class TierOut(serializers.Serializer[Any]):
    """One step of a price."""

    up_to = serializers.IntegerField(allow_null=True)
    unit_amount = serializers.CharField()
    flat_amount = serializers.CharField()


class PriceOut(serializers.Serializer[Any]):
    """One price with its spec."""

    id = serializers.CharField()
    name = serializers.CharField()
    meter = serializers.CharField(allow_null=True)
    kind = serializers.ChoiceField(choices=PriceKind.choices)
    unit_amount = serializers.CharField(required=False)
    tiers = TierOut(many=True, required=False)
    included_units = serializers.IntegerField(required=False)
    package_size = serializers.IntegerField(required=False)


class PlanOut(serializers.Serializer[Any]):
    """A plan with the prices that new subscribers get."""

    id = serializers.CharField()
    api = serializers.CharField()
    slug = serializers.CharField()
    name = serializers.CharField()
    summary = serializers.CharField()
    currency = serializers.CharField()
    status = serializers.ChoiceField(choices=PlanStatus.choices)
    period_months = serializers.IntegerField()
    alignment = serializers.ChoiceField(choices=Alignment.choices)
    is_visible = serializers.BooleanField()
    is_free = serializers.BooleanField()
    limits = serializers.DictField()
    prices = PriceOut(many=True)


class SubscriptionIn(Strict):
    """Which app subscribes to which plan, on which stage."""

    app = serializers.CharField(max_length=64)
    plan = serializers.CharField(max_length=64)
    stage = serializers.ChoiceField(choices=["test", "pre", "release"], default="release")


class PlanChoiceIn(Strict):
    """Another plan of the same API."""

    plan = serializers.CharField(max_length=64)


class SubscriptionOut(serializers.Serializer[Any]):
    """A subscription."""

    id = serializers.CharField(source="public_id")
    organization = serializers.CharField(source="organization.public_id")
    api = serializers.CharField(source="api.public_id")
    api_name = serializers.CharField(source="api.name")
    app = serializers.CharField(source="app.public_id")
    app_name = serializers.CharField(source="app.name")
    plan = serializers.CharField(source="plan.public_id")
    plan_name = serializers.CharField(source="plan.name")
    next_plan = serializers.CharField(source="next_plan.public_id", allow_null=True)
    next_plan_at = serializers.DateTimeField(allow_null=True)
    stage = serializers.CharField()
    status = serializers.CharField()
    time_zone = serializers.CharField()
    started_at = serializers.DateTimeField()
    current_period_start = serializers.DateTimeField()
    current_period_end = serializers.DateTimeField()
    cancel_at_period_end = serializers.BooleanField()
    ended_at = serializers.DateTimeField(allow_null=True)


class QuotaOut(serializers.Serializer[Any]):
    """A quota now, in units."""

    units = serializers.IntegerField()
    window = serializers.CharField()
    hard = serializers.BooleanField()
    used = serializers.IntegerField()
    left = serializers.IntegerField()
    resets_at = serializers.DateTimeField()


class MeterUseOut(serializers.Serializer[Any]):
    """One meter in the current period."""

    meter = serializers.CharField()
    name = serializers.CharField()
    units = serializers.IntegerField()
    projected_units = serializers.IntegerField()


class SpendLineOut(serializers.Serializer[Any]):
    """One line of the invoice to be, as of now."""

    description = serializers.CharField()
    quantity = serializers.CharField()
    amount = MoneyOut()
    explanation = serializers.DictField()


class SubscriptionUsageOut(serializers.Serializer[Any]):
    """The current period so far; ``projected`` is at the same pace until its end."""

    period_start = serializers.DateTimeField()
    period_end = serializers.DateTimeField()
    quota = QuotaOut(allow_null=True)
    meters = MeterUseOut(many=True)
    lines = SpendLineOut(many=True)
    spent = MoneyOut()
    projected = MoneyOut()


class LineOut(serializers.Serializer[Any]):
    """One line with its explanation."""

    id = serializers.CharField(source="public_id")
    position = serializers.IntegerField()
    kind = serializers.ChoiceField(choices=LineKind.choices)
    group = serializers.CharField()
    description = serializers.CharField()
    period_start = serializers.DateTimeField()
    period_end = serializers.DateTimeField()
    quantity = DecimalText()
    unit_price = serializers.CharField()
    amount = MoneyField("amount_minor")
    explanation = serializers.DictField()


class InvoiceOut(serializers.Serializer[Any]):
    """An invoice without its lines."""

    id = serializers.CharField(source="public_id")
    number = serializers.CharField(allow_null=True)
    organization = serializers.CharField(source="organization.public_id")
    organization_name = serializers.CharField(source="organization.name")
    status = serializers.ChoiceField(choices=InvoiceStatus.choices)
    payment_status = serializers.ChoiceField(choices=PaymentStatus.choices)
    period_start = serializers.DateTimeField()
    period_end = serializers.DateTimeField()
    total = MoneyField("total_minor")
    paid = MoneyField("paid_minor")
    issued_at = serializers.DateTimeField(allow_null=True)
    due_on = serializers.DateField(allow_null=True)
    sent_at = serializers.DateTimeField(allow_null=True)
    voided_at = serializers.DateTimeField(allow_null=True)
    pdf_sha256 = serializers.CharField()


class InvoiceLinesOut(InvoiceOut):
    """An invoice with its lines."""

    revision = serializers.IntegerField()
    lines = LineOut(many=True, source="lines.all")


class ReviewOut(serializers.Serializer[Any]):
    """One invoice in the review queue."""

    invoice = InvoiceOut()
    reasons = serializers.ListField(child=serializers.CharField())
    difference = MoneyOut(allow_null=True)


class HourOut(serializers.Serializer[Any]):
    """The units of one hour of a line."""

    hour = serializers.DateTimeField()
    units = serializers.IntegerField()
    is_late = serializers.BooleanField()


class CallOut(serializers.Serializer[Any]):
    """One call, as the gateway journaled it; ``request_id`` is what the caller got as X-Ca-Request-Id."""

    request_id = serializers.CharField(source="id")
    finished_at = serializers.SerializerMethodField()
    outcome = serializers.CharField()
    status = serializers.IntegerField()
    request_bytes = serializers.IntegerField()
    response_bytes = serializers.IntegerField()
    latency_us = serializers.IntegerField()

    def get_finished_at(self, event: UsageEvent) -> datetime:
        """Microseconds to a moment."""
        return datetime.fromtimestamp(event.finished_at_us // 1_000_000, UTC)


class ReasonIn(Strict):
    """Why."""

    reason = serializers.CharField(max_length=300)


class PaymentIn(Strict):
    """A bank transfer: amount in major units of the invoice's currency, as text."""

    amount = serializers.CharField(max_length=AMOUNT_LENGTH_MAX)
    reference = serializers.CharField(max_length=120)
    received_on = serializers.DateField()


class PaymentOut(serializers.Serializer[Any]):
    """Money received."""

    id = serializers.CharField(source="public_id")
    invoice = serializers.CharField(source="invoice.public_id")
    amount = MoneyField("amount_minor")
    reference = serializers.CharField(source="processor_reference")
    received_on = serializers.DateField()
    created_at = serializers.DateTimeField()


class BalanceOut(serializers.Serializer[Any]):
    """What an organization owes as a consumer and is owed as a provider, in one currency."""

    owes = MoneyOut(many=True)
    is_owed = MoneyOut(many=True)


def limits_read(value: dict[str, Any]) -> Limits:
    """Return the Limits of a checked LimitsIn."""
    rates = tuple(RateLimit(**rate) for rate in value.get("rates", ()))
    quota = value.get("quota")
    if not quota:
        return Limits(rates=rates)
    charged = {"charged": tuple(quota["charged"])} if quota.get("charged") else {}
    return Limits(rates=rates, quota=QuotaLimit(**{**quota, **charged}))
