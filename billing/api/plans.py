"""Endpoints of meters, plans and prices: published plans for everybody, the rest for those who manage the API."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from django.utils import timezone
from django.utils.translation import gettext as _
from rest_framework.request import Request
from rest_framework.response import Response

from billing.api.shapes import MeterIn, MeterOut, PlanIn, PlanOut, PriceIn, PriceOut, SupersedeIn, limits_read
from billing.core.pricing import PriceSpec
from billing.models import Meter, Plan, PlanStatus, Price
from billing.selectors import plans as shown
from billing.selectors.permits import plan_find, price_find
from billing.services import plans
from billing.services.plans import PriceDraft
from marketplace.api.base import Endpoint, Nothing, Paged, operation
from marketplace.errors import Fault, InvalidInput, NotFound
from marketplace.models import Api, Operation
from marketplace.selectors.accounts import entity_find, is_permitted
from marketplace.selectors.catalog import api_get, catalog_get
from marketplace.selectors.paging import page_take

_SPEC_PARTS = ("kind", "unit_amount", "tiers", "included_units", "package_size")


def price_show(price: Price, spec: PriceSpec) -> dict[str, Any]:
    """Return a price as the API shows it."""
    meter = price.meter.public_id if price.meter else None
    return {"id": price.public_id, "name": price.name, "meter": meter, **spec.to_dict()}


def plan_show(card: shown.PlanCard) -> dict[str, Any]:
    """Return a plan as the API shows it."""
    plan = card.plan
    names = ("slug", "name", "summary", "currency", "status", "period_months", "alignment", "is_visible")
    body = {
        "id": plan.public_id,
        "api": plan.api.public_id,
        **{name: getattr(plan, name) for name in names},
        "is_free": card.is_free,
        "limits": asdict(card.limits),
        "prices": [price_show(price, spec) for price, spec in card.prices],
    }
    return dict(PlanOut(body).data)


def drafts_read(api: Api, prices: list[dict[str, Any]]) -> list[PriceDraft]:
    """Return price drafts of a checked body. Raises InvalidInput for a meter that is not the API's."""
    return [
        PriceDraft(price["name"], _spec(price), _meter(api, price.get("meter", ""), f"/prices/{place}/meter"))
        for place, price in enumerate(prices)
    ]


def _spec(value: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value[name] for name in _SPEC_PARTS if name in value}


def _meter(api: Api, public_id: str, pointer: str) -> Meter | None:
    if not public_id:
        return None
    try:
        return entity_find(Meter, Meter.objects.filter(api=api), public_id)
    except NotFound as error:
        text = _("This is not a meter of this API.")
        raise InvalidInput(text, faults=[Fault(pointer, text)]) from error


class ApiEndpoint(Endpoint):
    """Finds the API of the address."""

    def api_seen(self, public_id: str) -> Api:
        """An API that the caller may see: in the catalogue, or its own. Raises NotFound."""
        api = entity_find(Api, Api.objects.select_related("provider"), public_id)
        if self.within is not None and self.within.id == api.provider_id:
            return api
        return catalog_get(slug=api.slug, person=self.person)

    def api_managed(self, public_id: str) -> Api:
        """An API that the caller manages. Raises NotFound, NotPermitted."""
        return api_get(person=self.person, public_id=public_id, action="api.manage", within=self.within)


class ApiPlans(ApiEndpoint):
    """The plans of an API."""

    @operation("List the plans of an API", scope="apis:read", query=Paged, answer=PlanOut, many=True)
    def get(self, request: Request, api: str) -> Response:
        """Everybody sees published and visible plans; those who manage the API see all."""
        found = self.api_seen(api)
        is_inside = is_permitted(person=self.person, organization=found.provider, action="api.view")
        is_inside = is_inside and (self.within is None or self.within.id == found.provider_id)
        rows = Plan.objects.filter(api=found)
        rows = rows if is_inside else rows.filter(status=PlanStatus.PUBLISHED, is_visible=True)
        page = page_take(rows, order=("-id",), bound={"of": api, "inside": is_inside}, **self.query)
        cards = [plan_show(card) for card in shown.plan_cards(plans=page.rows)]
        body = {"data": cards, "has_more": page.has_more, "next_cursor": page.next_cursor or None}
        return Response(body)

    @operation("Draft a plan", scope="apis:write", body=PlanIn, answer=PlanOut, status=201, creates=True)
    def post(self, request: Request, api: str) -> Response:
        """Draft it with its prices; nobody sees it before it is published."""
        found = self.api_managed(api)
        fields = dict(self.body)
        prices = drafts_read(found, fields.pop("prices", []))
        limits = limits_read(fields.pop("limits", {}))
        plan = plans.plan_create(api=found, prices=prices, limits=limits, person=self.person, **fields)
        return self.entity_response(plan_show(shown.plan_get(plan_id=plan.id)), status=201)


class PlanOne(Endpoint):
    """One plan."""

    @operation("Show a plan", scope="apis:read", answer=PlanOut, has_etag=True)
    def get(self, request: Request, plan: str) -> Response:
        """A published one for everybody, any other for those who manage its API."""
        found = plan_find(person=self.person, public_id=plan, within=self.within)
        return self.entity_response(plan_show(shown.plan_get(plan_id=found.id)))

    @operation("Change a plan", scope="apis:write", body=PlanIn, answer=PlanOut, has_etag=True)
    def patch(self, request: Request, plan: str) -> Response:
        """Anything of a draft; of a published plan how it is shown."""
        found = plan_find(person=self.person, public_id=plan, is_managing=True, within=self.within)
        Plan.objects.select_for_update(no_key=True).get(
            id=found.id
        )  # of two changes to one version the later is refused
        self.match_require(plan_show(shown.plan_get(plan_id=found.id)))
        fields = dict(self.body)
        prices = drafts_read(found.api, fields.pop("prices")) if "prices" in fields else None
        if "limits" in fields:
            fields["limits"] = limits_read(fields["limits"])
        plans.plan_update(plan=found, person=self.person, prices=prices, **fields)
        return self.entity_response(plan_show(shown.plan_get(plan_id=found.id)))


class PlanPublish(Endpoint):
    """A plan's way to its subscribers."""

    @operation("Publish a plan", scope="apis:write", body=Nothing, answer=PlanOut, creates=True)
    def post(self, request: Request, plan: str) -> Response:
        """From now on its prices are frozen."""
        found = plan_find(person=self.person, public_id=plan, is_managing=True, within=self.within)
        plans.plan_publish(plan=found, person=self.person, now=timezone.now())
        return self.entity_response(plan_show(shown.plan_get(plan_id=found.id)))


class PlanRetire(Endpoint):
    """The end of an offer."""

    @operation("Retire a plan", scope="apis:write", body=Nothing, answer=PlanOut, creates=True)
    def post(self, request: Request, plan: str) -> Response:
        """Whoever has it keeps it."""
        found = plan_find(person=self.person, public_id=plan, is_managing=True, within=self.within)
        plans.plan_retire(plan=found, person=self.person, now=timezone.now())
        return self.entity_response(plan_show(shown.plan_get(plan_id=found.id)))


class PlanPrices(Endpoint):
    """The prices of a draft."""

    @operation("Add a price to a draft", scope="apis:write", body=PriceIn, answer=PriceOut, status=201, creates=True)
    def post(self, request: Request, plan: str) -> Response:
        """One more price."""
        found = plan_find(person=self.person, public_id=plan, is_managing=True, within=self.within)
        meter = _meter(found.api, self.body.get("meter", ""), "/meter")
        price = plans.price_add(
            plan=found, name=self.body["name"], spec=_spec(self.body), meter=meter, person=self.person
        )
        return self.entity_response(PriceOut(price_show(price, shown.price_spec(price))).data, status=201)


class PriceSupersede(Endpoint):
    """A new price in place of a published one."""

    @operation("Supersede a price", scope="apis:write", body=SupersedeIn, answer=PriceOut, status=201, creates=True)
    def post(self, request: Request, price: str) -> Response:
        """Periods that have begun keep the old one."""
        found = price_find(person=self.person, public_id=price, within=self.within)
        successor = plans.price_supersede(
            price=found,
            spec=_spec(self.body),
            name=self.body.get("name", ""),
            person=self.person,
            now=timezone.now(),
        )
        return self.entity_response(PriceOut(price_show(successor, shown.price_spec(successor))).data, status=201)


class ApiMeters(ApiEndpoint):
    """The meters of an API."""

    @operation("List the meters of an API", scope="apis:read", query=Paged, answer=MeterOut, many=True)
    def get(self, request: Request, api: str) -> Response:
        """All of them."""
        found = self.api_managed(api)
        return self.page_response(page_take(Meter.objects.filter(api=found), bound={"of": api}, **self.query), MeterOut)

    @operation("Create a meter", scope="apis:write", body=MeterIn, answer=MeterOut, status=201, creates=True)
    def post(self, request: Request, api: str) -> Response:
        """Its rule never changes."""
        found = self.api_managed(api)
        fields = dict(self.body)
        ids = [
            entity_find(Operation, Operation.objects.filter(api=found), public_id).id
            for public_id in fields.pop("operations", [])
        ]
        meter = plans.meter_create(api=found, operations=ids, person=self.person, **fields)
        return self.entity_response(MeterOut(meter).data, status=201)
