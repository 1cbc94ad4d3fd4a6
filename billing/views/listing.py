"""Prices on marketplace's public pages: the pricing tab, the price on a card of the catalogue, the button that subscribes."""

from collections.abc import Mapping
from typing import Any

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils import timezone
from django.views.decorators.http import require_safe

from billing.forms.consumer import CalculatorForm
from billing.selectors.plans import PlanCard, offers_list, plan_list, prices_cheapest
from billing.selectors.quotes import plan_quotes
from marketplace.models import Api
from marketplace.views.context import membership_default

CALLS_DEFAULT = 10_000


def pricing_context(page: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The pricing tab: plans compared, and what a number of calls costs under each. Other tabs only learn that there are plans."""
    api: Api = page["api"]
    cards = plan_list(api=api)
    if not cards:
        return None
    if page.get("tab") != "pricing":
        return {"quotes": [], "form": None}
    request: HttpRequest = page["request"]
    form = CalculatorForm(request.GET if "calls" in request.GET else None)
    calls = form.cleaned_data["calls"] if form.is_valid() else CALLS_DEFAULT
    quotes = plan_quotes(cards=cards, calls=calls, time_zone="UTC", now=timezone.now())
    return {"quotes": quotes, "form": form, "calls": calls}


def actions_context(page: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The button at the top of a listing, when there is something to subscribe to."""
    return {} if page.get("pricing") else None


def card_context(page: Mapping[str, Any]) -> Mapping[str, Any]:
    """The cheapest plan of one card, or None without any; the offers of all cards of the page are read at once."""
    return {"offer": _offers(page).get(page["api"].id)}


@require_safe
@login_required
def subscribe_enter(request: HttpRequest, plan_id: str) -> HttpResponse:
    """From the public page to the organization that will subscribe: the one used last."""
    membership = membership_default(request)
    if membership is None:
        return redirect("pages:organization_new")
    return redirect("billing:subscription_new", membership.organization.slug, plan_id)


def _offers(page: Mapping[str, Any]) -> dict[object, PlanCard]:
    request: HttpRequest = page["request"]
    if not hasattr(request, "billing_offers"):
        shown = page["page"].rows if "page" in page else page.get("apis", [page["api"]])
        offers = offers_list(apis=[api.id for api in shown])
        cheapest = {api_id: prices_cheapest(cards) for api_id, cards in offers.items()}
        request.billing_offers = {key: card for key, card in cheapest.items() if card}  # type: ignore[attr-defined]
    return request.billing_offers  # type: ignore[attr-defined,no-any-return]
