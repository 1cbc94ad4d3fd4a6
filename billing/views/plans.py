"""A provider's plans of an API: list, draft, review in words, publish, retire, and the prices that supersede others."""

from collections.abc import Callable, Mapping
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from billing.errors import InvalidInput
from billing.forms.plans import FeeForm, PlanForm
from billing.forms.prices import NONE, UsagePriceForm, rows_asked
from billing.models import Plan, PlanStatus, PriceKind
from billing.selectors.permits import plan_find, price_find
from billing.selectors.plans import plan_get, plan_list, price_spec
from billing.selectors.quotes import plan_quotes
from billing.selectors.subscriptions import subscribers_count
from billing.services.plans import plan_create, plan_publish, plan_retire, plan_update, price_supersede
from marketplace.models import Api
from marketplace.selectors.catalog import api_get, stages_list
from marketplace.views.doors import member_page, service_try

SAMPLE_CALLS = (0, 1_000, 10_000, 100_000, 1_000_000)
"""Calls a month for which a plan's review shows the cost."""


def tabs_context(page: Mapping[str, Any]) -> Mapping[str, Any]:
    """The tab of the API editor that leads here."""
    return {}


@require_safe
@member_page("provider", "api.view")
def plan_index(request: HttpRequest, api_id: str) -> HttpResponse:
    """All plans of an API, drafts and retired ones too, with how many subscribed to each."""
    api = _open(request, api_id)
    cards = plan_list(api=api, is_provider=True)
    counts = subscribers_count(api=api)
    return _show(request, "plan_list", api, plans=[(card, counts.get(card.plan.id, 0)) for card in cards])


@require_http_methods(["GET", "HEAD", "POST"])
@member_page("provider", "api.manage")
def plan_new(request: HttpRequest, api_id: str) -> HttpResponse:
    """Draft a plan."""
    api = _open(request, api_id, manage=True)
    form = PlanForm(request.POST or None, tier_rows=rows_asked(request.POST), initial={"currency": "EUR"})
    if _is_sent(request) and form.is_valid():
        given = {**form.fields_given(), "prices": form.prices()}
        plan = service_try(request, _refusing(form, plan_create), form=form, api=api, person=request.user, **given)
        if plan is not None:
            messages.success(request, _("Drafted. Look at it in words, then publish it."))
            return redirect("billing:plan_detail", request.organization.slug, api.public_id, plan.public_id)
    return _show(request, "plan_form", api, form=form, title=_("New plan"))


@require_safe
@member_page("provider", "api.view")
def plan_detail(request: HttpRequest, api_id: str, plan_id: str) -> HttpResponse:
    """A plan in plain words, with what it costs at some numbers of calls."""
    api = _open(request, api_id)
    plan = _plan(request, api, plan_id)
    card, now = plan_get(plan_id=plan.id), timezone.now()
    samples = [(calls, plan_quotes(cards=[card], calls=calls, time_zone="UTC", now=now)[0]) for calls in SAMPLE_CALLS]
    history = [(price, price_spec(price)) for price in card.plan.prices.all() if price.superseded_by_id is not None]
    return _show(
        request,
        "plan_detail",
        api,
        plan=plan,
        card=card,
        samples=samples,
        history=history,
        count=subscribers_count(api=api).get(plan.id, 0),
        title=plan.name,
    )


@require_http_methods(["GET", "HEAD", "POST"])
@member_page("provider", "api.manage")
def plan_edit(request: HttpRequest, api_id: str, plan_id: str) -> HttpResponse:
    """Change a draft. A published plan keeps its terms, which the page explains."""
    api = _open(request, api_id, manage=True)
    plan = _plan(request, api, plan_id, manage=True)
    card = plan_get(plan_id=plan.id)
    if plan.status != PlanStatus.DRAFT or not PlanForm.is_fitting(card):
        return _show(request, "plan_frozen", api, plan=plan, card=card, title=plan.name)
    usage = next((spec for _price, spec in card.prices if spec.kind.is_metered), None)
    form = PlanForm(
        request.POST or None, tier_rows=rows_asked(request.POST, usage), initial=PlanForm.initial_from(card)
    )
    if _is_sent(request) and form.is_valid():
        given = {**form.fields_given(), "prices": form.prices()}
        if service_try(request, _refusing(form, plan_update), form=form, plan=plan, person=request.user, **given):
            messages.success(request, _("Saved."))
            return redirect("billing:plan_detail", request.organization.slug, api.public_id, plan.public_id)
    return _show(request, "plan_form", api, form=form, plan=plan, title=_("Edit %(plan)s") % {"plan": plan.name})


@require_POST
@member_page("provider", "api.manage")
def plan_offer(request: HttpRequest, api_id: str, plan_id: str) -> HttpResponse:
    """Publish: from now on its prices are frozen. The plan's page has said so."""
    api = _open(request, api_id, manage=True)
    plan = _plan(request, api, plan_id, manage=True)
    if service_try(request, plan_publish, plan=plan, person=request.user, now=timezone.now()):
        messages.success(request, _("%(plan)s is on the pricing tab now.") % {"plan": plan.name})
    return redirect("billing:plan_detail", request.organization.slug, api.public_id, plan.public_id)


@require_http_methods(["GET", "HEAD", "POST"])
@member_page("provider", "api.manage")
def plan_end(request: HttpRequest, api_id: str, plan_id: str) -> HttpResponse:
    """Stop offering a plan, after saying who keeps it."""
    api = _open(request, api_id, manage=True)
    plan = _plan(request, api, plan_id, manage=True)
    if request.method == "POST":
        if service_try(request, plan_retire, plan=plan, person=request.user, now=timezone.now()):
            messages.success(request, _("%(plan)s is no longer offered.") % {"plan": plan.name})
        return redirect("billing:plan_list", request.organization.slug, api.public_id)
    count = subscribers_count(api=api).get(plan.id, 0)
    return _show(request, "plan_end", api, plan=plan, count=count, title=_("Retire %(plan)s") % {"plan": plan.name})


@require_http_methods(["GET", "HEAD", "POST"])
@member_page("provider", "api.manage")
def price_replace(request: HttpRequest, api_id: str, plan_id: str, price_id: str) -> HttpResponse:
    """Supersede a published price: periods that have begun keep the old one."""
    api = _open(request, api_id, manage=True)
    plan = _plan(request, api, plan_id, manage=True)
    price = price_find(person=request.user, public_id=price_id, within=request.organization)  # type: ignore[arg-type]
    spec = price_spec(price)
    form: FeeForm | UsagePriceForm
    if price.kind == PriceKind.FLAT:
        form = FeeForm(request.POST or None, initial={"unit_amount": spec.to_dict()["unit_amount"]})
    else:
        initial = UsagePriceForm.initial_of(spec)
        form = UsagePriceForm(request.POST or None, tier_rows=rows_asked(request.POST, spec), initial=initial)
        form.fields["model"].choices = [row for row in form.fields["model"].choices if row[0] != NONE]  # type: ignore[attr-defined]
    if _is_sent(request) and form.is_valid():
        done = service_try(
            request,
            _refusing(form, price_supersede),
            form=form,
            price=price,
            spec=form.spec() or {},
            person=request.user,
            now=timezone.now(),
        )
        if done is not None:
            messages.success(request, _("The new price holds from each subscriber's next billing period on."))
            return redirect("billing:plan_detail", request.organization.slug, api.public_id, plan.public_id)
    return _show(
        request,
        "price_form",
        api,
        plan=plan,
        price=price,
        spec=spec,
        form=form,
        title=_("A new price: %(name)s") % {"name": price.name},
    )


def _open(request: HttpRequest, api_id: str, *, manage: bool = False) -> Api:
    action = "api.manage" if manage else "api.view"
    return api_get(person=request.user, public_id=api_id, action=action, within=request.organization)  # type: ignore[arg-type]


def _plan(request: HttpRequest, api: Api, plan_id: str, *, manage: bool = False) -> Plan:
    plan = plan_find(person=request.user, public_id=plan_id, is_managing=manage, within=request.organization)  # type: ignore[arg-type]
    if plan.api_id != api.id:
        return plan_find(person=request.user, public_id="", within=request.organization)  # type: ignore[arg-type]
    return plan


def _is_sent(request: HttpRequest) -> bool:
    """False when only more rows were asked for."""
    return request.method == "POST" and "more" not in request.POST


def _refusing(form: Any, service: Callable[..., Any]) -> Callable[..., Any]:
    """The service, with the faults of its refusals renamed to the form's fields."""

    def called(**arguments: Any) -> Any:
        try:
            return service(**arguments)
        except InvalidInput as error:
            raise (form.refusal(error) if isinstance(form, PlanForm) else _price_refusal(form, error)) from error

    return called


def _price_refusal(form: Any, error: InvalidInput) -> InvalidInput:
    if not isinstance(form, UsagePriceForm):
        return error
    return InvalidInput(error.message, code=error.code, faults=form.faults_place(error.faults, base=""))


def _show(request: HttpRequest, template: str, api: Api, *, title: str = "", **context: Any) -> HttpResponse:
    slug = request.organization.slug
    crumbs = [(_("APIs"), reverse("pages:api_list", args=[slug])), (api.name, "")]
    if title:
        crumbs[1:] = [
            (api.name, reverse("pages:api_overview", args=[slug, api.public_id])),
            (_("Plans"), reverse("billing:plan_list", args=[slug, api.public_id])),
            (title, ""),
        ]
    context |= {"api": api, "tab": "plans", "crumbs": crumbs, "stages": stages_list(api=api), "title": title}
    return render(request, f"billing/{template}.html", context)
