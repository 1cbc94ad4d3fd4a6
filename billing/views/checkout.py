"""Subscribing: which app on which stage, the exact first charge and its day, then one button."""

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from billing.forms.consumer import SubscribeForm
from billing.models import PlanStatus
from billing.selectors.permits import plan_find, subscribe_action
from billing.selectors.plans import plan_get
from billing.selectors.quotes import first_charge
from billing.services.checkout import subscription_checkout
from marketplace.core.permissions import role_permits
from marketplace.selectors.access import apps_list
from marketplace.selectors.catalog import stages_list
from marketplace.views.doors import member_page, service_try

APPS_SHOWN_MAX = 200


@require_http_methods(["GET", "HEAD", "POST"])
@member_page("consumer", "app.view")
def subscription_new(request: HttpRequest, plan_id: str) -> HttpResponse:
    """Show what subscribing costs, and do it. Who may not bind the purse is told whom to ask."""
    organization, now = request.organization, timezone.now()
    plan = plan_find(person=request.user, public_id=plan_id)  # type: ignore[arg-type]
    may_subscribe = role_permits(request.membership.role, subscribe_action(plan))
    form = SubscribeForm(
        request.POST or None,
        apps=list(apps_list(organization=organization).order_by("-id")[:APPS_SHOWN_MAX]),
        may_create=request.may.app_manage,
        stages=[stage.name for stage in stages_list(api=plan.api) if stage.live_deployment_id],
    )
    if request.method == "POST" and may_subscribe and form.is_valid():
        subscription = service_try(
            request,
            subscription_checkout,
            form=form,
            organization=organization,
            plan=plan,
            person=request.user,
            now=now,
            **form.chosen(),
        )
        if subscription is not None:
            text = _("Subscribed. %(app)s may call %(api)s within two seconds.")
            messages.success(request, text % {"app": subscription.app.name, "api": subscription.api.name})
            return redirect("billing:subscription_detail", organization.slug, subscription.public_id)
    card = plan_get(plan_id=plan.id)
    context = {
        "plan": plan,
        "card": card,
        "charge": first_charge(card=card, time_zone=organization.time_zone, now=now),
        "form": form,
        "may_subscribe": may_subscribe,
        "is_offered": plan.status == PlanStatus.PUBLISHED,
        "crumbs": [
            (plan.api.name, reverse("pages:listing_pricing", args=[plan.api.slug])),
            (_("Subscribe"), ""),
        ],
    }
    return render(request, "billing/subscription_new.html", context)
