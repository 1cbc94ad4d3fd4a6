"""Make it so: plans and their prices, from draft to published to retired. Reads are in selectors/plans.

Input is checked whole: a refusal lists every fault with a pointer to it. Whether a person may do this is the door's question.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID
from zoneinfo import available_timezones

from django.db import transaction
from django.utils.text import slugify
from django.utils.translation import gettext as _

from billing.core.currencies import EXPONENTS
from billing.core.errors import MeterInvalid, PriceInvalid
from billing.core.meters import MeterSpec
from billing.core.pricing import PriceKind, PriceSpec
from billing.errors import Conflict, Fault, InvalidInput, LimitReached
from billing.models import Alignment, CommissionRate, Measure, Meter, Plan, PlanStatus, Price, Tier
from billing.models.plans import PERIOD_MONTHS_MAX, charged_outcomes
from billing.selectors.plans import price_spec
from billing.words import fee_faults, meter_words, price_faults
from marketplace.contracts.limits import Limits
from marketplace.core.limits import limits_faults
from marketplace.models import Api, Person
from marketplace.services.audit import audit_record

PLANS_PER_API_MAX = 30
PRICES_PER_PLAN_MAX = 20
METERS_PER_API_MAX = 20
SUPERSESSIONS_PER_PLAN_MAX = 1_000
NAME_CHARACTERS_MAX = 80
SUMMARY_CHARACTERS_MAX = 300
_TIME_ZONES = frozenset(available_timezones())
_PLAN_FIELDS = frozenset(
    {"name", "summary", "currency", "period_months", "alignment", "limits", "commission_rate", "is_visible", "position"}
)
_PLAN_FIELDS_PUBLISHED = frozenset({"summary", "is_visible", "position"})


@dataclass(frozen=True, slots=True)
class PriceDraft:
    """One price as asked for: ``spec`` in the form of PriceSpec.to_dict; ``meter`` None takes the Api's call meter."""

    name: str
    spec: Mapping[str, Any]
    meter: Meter | None = None


@transaction.atomic
def meter_create(
    *,
    api: Api,
    name: str,
    person: Person | None,
    slug: str = "",
    measure: str = Measure.CALLS,
    outcomes: Sequence[str] = (),
    operations: Sequence[UUID] = (),
) -> Meter:
    """Say what counts for an Api. ``outcomes`` empty: those a quota charges. Raises InvalidInput, Conflict, LimitReached."""
    Api.objects.select_for_update(no_key=True).get(id=api.id)
    counted = list(outcomes) or charged_outcomes()
    faults = [] if name.strip() and len(name) <= NAME_CHARACTERS_MAX else [Fault("/name", _("Give it a short name."))]
    try:
        MeterSpec.from_dict({"measure": measure, "outcomes": counted, "operations": [str(key) for key in operations]})
    except MeterInvalid:
        faults.append(Fault("", meter_words()))
    known = set(api.operations.filter(id__in=list(operations)).values_list("id", flat=True))
    if set(operations) - known:
        faults.append(Fault("/operations", _("Some of these are not operations of this API.")))
    slug = slugify(slug or name)[:40]
    if not slug:
        faults.append(Fault("/slug", _("Use Latin letters, digits and hyphens.")))
    if faults:
        raise InvalidInput(_("This meter cannot be made as asked."), faults=faults)
    if api.meters.filter(slug=slug).exists():
        raise Conflict(_("This API has a meter of this name. A meter's rule is never edited; choose a new name."))
    if api.meters.count() >= METERS_PER_API_MAX:
        raise LimitReached(_("This API has as many meters as it can have."))
    meter = Meter.objects.create(
        api=api, slug=slug, name=name.strip(), measure=measure, outcomes=counted, operations=list(operations)
    )
    audit_record(verb="meter.create", subject=meter.public_id, person=person, organization=api.provider)
    return meter


def meter_default(*, api: Api) -> Meter:
    """Return the Api's meter of charged calls, made when it is first needed."""
    return Meter.objects.get_or_create(api=api, slug="calls", defaults={"name": "Calls"})[0]


@transaction.atomic
def plan_create(
    *,
    api: Api,
    name: str,
    currency: str,
    person: Person | None,
    prices: Sequence[PriceDraft] = (),
    slug: str = "",
    limits: Limits | None = None,
    **fields: Any,
) -> Plan:
    """Draft a plan with its prices. ``fields``: summary, period_months, alignment, commission_rate, is_visible, position.

    Raises InvalidInput with every fault (prices point at ``/prices/<n>/…``), Conflict for a slug in use, LimitReached.
    """
    Api.objects.select_for_update(no_key=True).get(id=api.id)
    if api.plans.count() >= PLANS_PER_API_MAX:
        raise LimitReached(_("This API has as many plans as it can have. Retired ones count."))
    plan = Plan(api=api, slug=slugify(slug or name)[:60], name=name.strip(), currency=currency)
    fields_faults = _fields_apply(plan, {**fields, "limits": limits or Limits()}, allowed=_PLAN_FIELDS)
    specs, price_problems = _specs_read(prices, plan=plan)
    faults = [*fields_faults, *_plan_faults(plan), *price_problems]
    if faults:
        raise InvalidInput(_("This plan cannot be made as asked."), faults=faults)
    if api.plans.filter(slug=plan.slug).exists():
        raise Conflict(_("This API has a plan of this name already. Choose another name."), code="plan_name_taken")
    plan.save()
    _prices_write(plan, prices, specs)
    _audit("plan.create", plan, person)
    return plan


@transaction.atomic
def plan_update(
    *, plan: Plan, person: Person | None, prices: Sequence[PriceDraft] | None = None, **fields: Any
) -> Plan:
    """Edit a draft, replacing all its prices when ``prices`` is given. Of a published plan only how it is shown can change.

    Raises InvalidInput with every fault; Conflict for a change that a published plan does not allow.
    """
    plan = Plan.objects.select_for_update(of=("self",), no_key=True).select_related("api__provider").get(id=plan.id)
    is_draft = plan.status == PlanStatus.DRAFT
    if not is_draft and (prices is not None or not set(fields) <= _PLAN_FIELDS_PUBLISHED):
        raise Conflict(
            _("A published plan keeps its terms. Supersede a price, or make a new plan."), code="plan_frozen"
        )
    faults = _fields_apply(plan, fields, allowed=_PLAN_FIELDS)
    specs, price_problems = _specs_read(prices or (), plan=plan)
    if prices is None:
        price_problems += _fees_kept_faults(plan)
    faults += [*_plan_faults(plan), *price_problems]
    if faults:
        raise InvalidInput(_("This plan cannot be changed as asked."), faults=faults)
    plan.save()
    if prices is not None:
        plan.prices.all().delete()
        _prices_write(plan, prices, specs)
    _audit("plan.update", plan, person)
    return plan


@transaction.atomic
def price_add(
    *, plan: Plan, name: str, spec: Mapping[str, Any], person: Person | None, meter: Meter | None = None
) -> Price:
    """Add one price to a draft. Raises InvalidInput with every fault of the price; Conflict once the plan is published."""
    plan = _draft_lock(plan)
    draft = PriceDraft(name, spec, meter)
    specs, faults = _specs_read([draft], plan=plan, pointer="")
    if faults:
        raise InvalidInput(_("This price cannot be added as asked."), faults=faults)
    if plan.prices.count() >= PRICES_PER_PLAN_MAX:
        raise LimitReached(_("This plan has as many prices as it can have."))
    price = _price_write(plan, draft, specs[0], position=plan.prices.count())
    _audit("price.add", plan, person, price=price.public_id)
    return price


@transaction.atomic
def plan_publish(*, plan: Plan, person: Person | None, now: datetime) -> Plan:
    """Offer a plan: from now on its prices are frozen and it can be subscribed to. Safe to repeat. Raises Conflict."""
    plan = Plan.objects.select_for_update(of=("self",), no_key=True).select_related("api__provider").get(id=plan.id)
    if plan.status == PlanStatus.PUBLISHED:
        return plan
    if plan.status == PlanStatus.RETIRED:
        raise Conflict(_("A retired plan does not come back. Make a new one."), code="plan_retired")
    plan.prices.update(published_at=now, effective_from=now)
    plan.status, plan.published_at = PlanStatus.PUBLISHED, now
    plan.save(update_fields=["status", "published_at"])
    meter_default(api=plan.api)
    _audit("plan.publish", plan, person)
    return plan


@transaction.atomic
def price_supersede(
    *, price: Price, spec: Mapping[str, Any], person: Person | None, now: datetime, name: str = ""
) -> Price:
    """Replace a published price. Periods that have begun keep the old one; the next ones get the new one.

    Raises InvalidInput with every fault; Conflict when the price is no longer, or not yet, live.
    """
    plan = (
        Plan.objects.select_for_update(of=("self",), no_key=True).select_related("api__provider").get(id=price.plan_id)
    )
    price = Price.objects.select_for_update().get(id=price.id)
    if price.published_at is None or price.effective_until is not None:
        raise Conflict(_("Only a price that is live can be superseded."), code="price_not_live")
    draft = PriceDraft(name or price.name, spec, price.meter)
    specs, faults = _specs_read([draft], plan=plan, pointer="")
    if not faults and specs[0] and specs[0].kind.is_metered != (price.meter_id is not None):
        faults = [Fault("/kind", _("A fee stays a fee, and a metered price stays metered. Make a new plan instead."))]
    if faults:
        raise InvalidInput(_("This price cannot be superseded as asked."), faults=faults)
    if plan.prices.count() >= SUPERSESSIONS_PER_PLAN_MAX:
        raise LimitReached(_("This plan's prices were superseded too often. Make a new plan."))
    successor = _price_write(plan, draft, specs[0], position=price.position)
    successor.published_at = successor.effective_from = now
    successor.save(update_fields=["published_at", "effective_from"])
    price.effective_until, price.superseded_by = now, successor
    price.save(update_fields=["effective_until", "superseded_by"])
    _audit("price.supersede", plan, person, price=price.public_id, by=successor.public_id)
    return successor


@transaction.atomic
def plan_retire(*, plan: Plan, person: Person | None, now: datetime) -> Plan:
    """Stop offering a plan; whoever has it keeps it. A draft is simply retired. Safe to repeat."""
    plan = Plan.objects.select_for_update(no_key=True).get(id=plan.id)
    if plan.status != PlanStatus.RETIRED:
        plan.status, plan.retired_at = PlanStatus.RETIRED, now
        plan.save(update_fields=["status", "retired_at"])
        _audit("plan.retire", plan, person)
    return plan


@transaction.atomic
def commission_rate_set(*, rate: Decimal, effective_on: date, person: Person | None) -> CommissionRate:
    """Set the platform's share from a day on (0.15 is 15 %). Raises InvalidInput; Conflict when that day has a rate."""
    if not rate.is_finite() or not 0 <= rate <= 1:
        raise InvalidInput(_("A share lies between 0 and 1."), faults=[Fault("/rate", _("Write 0.15 for 15 %."))])
    if CommissionRate.objects.filter(effective_on=effective_on).exists():
        raise Conflict(_("This day has a rate already. Rates are never edited; choose another day."))
    row = CommissionRate.objects.create(rate=rate, effective_on=effective_on)
    audit_record(verb="commission.set", subject=row.public_id, person=person, detail={"rate": str(rate)})
    return row


def _fields_apply(plan: Plan, fields: Mapping[str, Any], *, allowed: frozenset[str]) -> list[Fault]:
    faults = [Fault(f"/{name}", _("This field cannot be set.")) for name in sorted(set(fields) - allowed)]
    for name in set(fields) & allowed:
        value = fields[name]
        setattr(plan, name, asdict(value) if name == "limits" and isinstance(value, Limits) else value)
    return faults


def _plan_faults(plan: Plan) -> list[Fault]:
    faults = []
    if not plan.name or len(plan.name) > NAME_CHARACTERS_MAX:
        faults.append(Fault("/name", _("Give it a name of at most 80 characters.")))
    if not plan.slug:
        faults.append(Fault("/slug", _("Use Latin letters, digits and hyphens.")))
    if len(plan.summary) > SUMMARY_CHARACTERS_MAX:
        faults.append(Fault("/summary", _("Use at most 300 characters.")))
    if plan.currency not in EXPONENTS:
        faults.append(Fault("/currency", _("Choose an ISO 4217 currency, such as EUR, USD or CNY.")))
    if type(plan.period_months) is not int or not 1 <= plan.period_months <= PERIOD_MONTHS_MAX:
        faults.append(Fault("/period_months", _("A billing period lasts 1 to 36 months.")))
    if plan.alignment not in Alignment.values:
        faults.append(Fault("/alignment", _("Choose calendar or anniversary.")))
    rate = plan.commission_rate
    if rate is not None and not (isinstance(rate, Decimal) and rate.is_finite() and 0 <= rate <= 1):
        faults.append(Fault("/commission_rate", _("A share lies between 0 and 1; write 0.15 for 15 %.")))
    return [*faults, *_limits_faults(plan)]


def _limits_faults(plan: Plan) -> list[Fault]:
    try:
        limits = Limits.from_dict(plan.limits)
    except (TypeError, KeyError, AttributeError):
        return [Fault("/limits", _("These are not limits: give rates and a quota."))]
    if limits.quota and limits.quota.window == "period":  # its bounds are those of each subscription, written later
        limits = replace(limits, quota=replace(limits.quota, period_start=1, period_end=2))
    try:
        return [Fault(f"/limits{pointer}", text) for pointer, text in limits_faults(limits, time_zones=_TIME_ZONES)]
    except TypeError:
        return [Fault("/limits", _("Rates and quotas are whole numbers."))]


def _specs_read(
    drafts: Sequence[PriceDraft], *, plan: Plan, pointer: str = "/prices/{}"
) -> tuple[list[PriceSpec | None], list[Fault]]:
    """Check all prices; the specs are usable only when there is no fault."""
    specs: list[PriceSpec | None] = []
    faults: list[Fault] = []
    if len(drafts) > PRICES_PER_PLAN_MAX:
        return [], [Fault("/prices", _("A plan has at most 20 prices."))]
    for place, draft in enumerate(drafts):
        at = pointer.format(place)
        spec = None
        try:
            spec = PriceSpec.from_dict(dict(draft.spec))
        except PriceInvalid as problem:
            faults += price_faults(problem, pointer=at)
        if not draft.name.strip() or len(draft.name) > NAME_CHARACTERS_MAX:
            faults.append(Fault(f"{at}/name", _("Give it a name of at most 80 characters.")))
        if draft.meter is not None and draft.meter.api_id != plan.api_id:
            faults.append(Fault(f"{at}/meter", _("This is not a meter of this API.")))
        if spec is not None and draft.meter is not None and not spec.kind.is_metered:
            faults.append(Fault(f"{at}/meter", _("A fixed fee has no meter.")))
        if spec is not None and not spec.kind.is_metered:
            faults += fee_faults(spec, plan.currency, pointer=at)
        specs.append(spec)
    return specs, faults


def _fees_kept_faults(plan: Plan) -> list[Fault]:
    """Return which fees that the plan keeps do not fit the currency that it gets."""
    specs = [price_spec(price) for price in plan.prices.filter(kind=PriceKind.FLAT.value)]
    return [Fault("/currency", fault.detail) for spec in specs for fault in fee_faults(spec, plan.currency)]


def _prices_write(plan: Plan, drafts: Sequence[PriceDraft], specs: Sequence[PriceSpec | None]) -> None:
    for position, (draft, spec) in enumerate(zip(drafts, specs, strict=True)):
        _price_write(plan, draft, spec, position=position)


def _price_write(plan: Plan, draft: PriceDraft, spec: PriceSpec | None, *, position: int) -> Price:
    assert spec is not None, "checked by _specs_read"
    meter = (draft.meter or meter_default(api=plan.api)) if spec.kind is not PriceKind.FLAT else None
    price = Price.objects.create(
        plan=plan,
        meter=meter,
        kind=spec.kind.value,
        name=draft.name.strip(),
        unit_amount=spec.unit_amount,
        package_size=spec.package_size,
        included_units=spec.included_units,
        position=position,
    )
    Tier.objects.bulk_create(
        Tier(price=price, position=place, up_to=tier.up_to, unit_amount=tier.unit_amount, flat_amount=tier.flat_amount)
        for place, tier in enumerate(spec.tiers)
    )
    assert price_spec(price) == spec, "a price reads back as it was written"
    return price


def _draft_lock(plan: Plan) -> Plan:
    plan = Plan.objects.select_for_update(of=("self",), no_key=True).select_related("api__provider").get(id=plan.id)
    if plan.status != PlanStatus.DRAFT:
        raise Conflict(_("A published price is never edited. Supersede it instead."), code="plan_frozen")
    return plan


def _audit(verb: str, plan: Plan, person: Person | None, **detail: str) -> None:
    audit_record(verb=verb, subject=plan.public_id, person=person, organization=plan.api.provider, detail=detail)
