"""My subscriptions: what each may do and has used, what it costs so far, changing and ending it."""

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from billing.models import Subscription
from billing.selectors.overviews import subscription_overview, subscription_overviews
from billing.selectors.permits import plan_find, subscribe_action, subscription_find
from billing.selectors.plans import plan_get
from billing.selectors.quotes import change_preview
from billing.selectors.subscriptions import plans_to_change_to, subscription_list, subscription_timeline
from billing.services.plan_changes import subscription_change
from billing.services.subscriptions import subscription_cancel, subscription_resume
from billing.templatetags.money import local_time
from billing.views.doors import text_get
from marketplace.core.permissions import role_permits
from marketplace.selectors.catalog import catalog_list
from marketplace.selectors.paging import page_take
from marketplace.views.doors import member_page, service_try

SUGGESTIONS = 3


@require_safe
@member_page("consumer", "billing.view")
def subscriptions(request: HttpRequest) -> HttpResponse:
    """All of the organization, the newest first; live ones with what they used and cost so far."""
    is_all = bool(text_get(request, "ended"))
    rows = subscription_list(organization=request.organization, is_ended_shown=is_all)
    page = page_take(rows, cursor=request.GET.get("cursor", ""), bound={"all": is_all})
    now = timezone.now()
    overviews = subscription_overviews(subscriptions=[one for one in page.rows if one.is_live], now=now)
    shown = [(one, overviews.get(one.id)) for one in page.rows]
    suggestions = [] if page.rows else catalog_list(limit=SUGGESTIONS).rows
    context = {"page": page, "shown": shown, "is_all": is_all, "suggestions": suggestions, "now": now}
    return render(request, "billing/subscription_list.html", context)


@require_safe
@member_page("consumer", "billing.view")
def subscription_detail(request: HttpRequest, subscription_id: str) -> HttpResponse:
    """One subscription: quota now, cost so far and to come, other plans, and what happened to it."""
    subscription = _find(request, subscription_id)
    now = timezone.now()
    context = {
        "subscription": subscription,
        "overview": subscription_overview(subscription=subscription, now=now),
        "timeline": subscription_timeline(subscription=subscription),
        "plans": plans_to_change_to(subscription=subscription) if subscription.is_live else [],
        "may_change": _may_change(request, subscription),
        "has_credential": subscription.app.credentials.filter(revoked_at=None).exists(),
        "now": now,
        "crumbs": [*_crumbs(request, subscription)[:1], (subscription.api.name, "")],
    }
    return render(request, "billing/subscription_detail.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@member_page("consumer", "billing.view")
def subscription_plan(request: HttpRequest, subscription_id: str, plan_id: str) -> HttpResponse:
    """Change the plan, after showing what that does to this period's bill."""
    subscription = _find(request, subscription_id)
    plan = plan_find(person=request.user, public_id=plan_id)  # type: ignore[arg-type]
    _manage_require(request, subscription)
    may_change = role_permits(request.membership.role, subscribe_action(plan))
    card, now = plan_get(plan_id=plan.id), timezone.now()
    if request.method == "POST" and may_change:
        changed = service_try(
            request, subscription_change, subscription=subscription, plan=plan, person=request.user, now=now
        )
        if changed:
            messages.success(request, _changed_words(changed))
        return _to(request, subscription)
    is_comparable = any(one.plan.id == plan.id for one in plans_to_change_to(subscription=subscription))
    preview = change_preview(subscription=subscription, card=card, now=now) if is_comparable else None
    context = {
        "subscription": subscription,
        "plan": plan,
        "card": card,
        "before": plan_get(plan_id=subscription.plan_id),
        "preview": preview,
        "may_change": may_change,
        "crumbs": [*_crumbs(request, subscription), (_("Change plan"), "")],
    }
    return render(request, "billing/subscription_plan.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@member_page("consumer", "billing.view")
def subscription_end(request: HttpRequest, subscription_id: str) -> HttpResponse:
    """Cancel at the end of the period, after saying until when it works."""
    subscription = _find(request, subscription_id)
    _manage_require(request, subscription)
    now = timezone.now()
    if request.method == "POST":
        if service_try(request, subscription_cancel, subscription=subscription, person=request.user, now=now):
            messages.success(request, _("Cancelled. It works until the end of its period."))
        return _to(request, subscription)
    context = {
        "subscription": subscription,
        "overview": subscription_overview(subscription=subscription, now=now),
        "crumbs": [*_crumbs(request, subscription), (_("Cancel"), "")],
    }
    return render(request, "billing/subscription_end.html", context)


@require_POST
@member_page("consumer", "billing.view")
def subscription_keep(request: HttpRequest, subscription_id: str) -> HttpResponse:
    """Take a cancellation back."""
    subscription = _find(request, subscription_id)
    _manage_require(request, subscription)
    if service_try(request, subscription_resume, subscription=subscription, person=request.user, now=timezone.now()):
        messages.success(request, _("It goes on."))
    return _to(request, subscription)


def _changed_words(subscription: Subscription) -> str:
    """Say which plan is in force, or from when the next one will be."""
    if subscription.next_plan is None or subscription.next_plan_at is None:
        return _("The plan is %(plan)s now.") % {"plan": subscription.plan.name}
    at = local_time(subscription.next_plan_at, subscription.time_zone)
    return _("The plan changes to %(plan)s at %(at)s.") % {"plan": subscription.next_plan.name, "at": at}


def _find(request: HttpRequest, subscription_id: str) -> Subscription:
    return subscription_find(person=request.user, public_id=subscription_id, within=request.organization)  # type: ignore[arg-type]


def _may_change(request: HttpRequest, subscription: Subscription) -> bool:
    return role_permits(request.membership.role, subscribe_action(subscription.plan))


def _manage_require(request: HttpRequest, subscription: Subscription) -> None:
    action = subscribe_action(subscription.plan)
    subscription_find(
        person=request.user,  # type: ignore[arg-type]
        public_id=subscription.public_id,
        action=action,
        within=request.organization,
    )


def _to(request: HttpRequest, subscription: Subscription) -> HttpResponse:
    return redirect("billing:subscription_detail", request.organization.slug, subscription.public_id)


def _crumbs(request: HttpRequest, subscription: Subscription) -> list[tuple[str, str]]:
    slug = request.organization.slug
    return [
        (_("Subscriptions"), reverse("billing:subscription_list", args=[slug])),
        (subscription.api.name, reverse("billing:subscription_detail", args=[slug, subscription.public_id])),
    ]
