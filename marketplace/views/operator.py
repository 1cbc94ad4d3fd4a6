"""The operator's pages: health of the platform, organizations, listings. What runs is read from tables; deeds go to services."""

from collections.abc import Callable
from typing import Any

from django.contrib import messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_safe

from marketplace.forms.operator import ReasonForm
from marketplace.selectors.operations import health_get, listings_search, organizations_search
from marketplace.selectors.paging import page_take
from marketplace.services.accounts import organization_suspend
from marketplace.services.catalog import api_suspend
from marketplace.views.doors import operator_page, service_try

SEARCH_LENGTH_MAX = 120


@require_safe
@operator_page
def operator_health(request: HttpRequest) -> HttpResponse:
    """Journals arriving, changes waiting, counts; other apps add their cards by the slot ``operator.health``."""
    template = "marketplace/operator_health_body.html" if request.htmx else "marketplace/operator_health.html"
    return render(request, template, {"health": health_get()})


@require_safe
@operator_page
def operator_organizations(request: HttpRequest) -> HttpResponse:
    """Search organizations."""
    return _search(request, organizations_search, template="marketplace/operator_organizations.html")


@require_http_methods(["GET", "HEAD", "POST"])
@operator_page
def operator_organization_suspend(request: HttpRequest, organization_id: str) -> HttpResponse:
    """Suspend an organization, or let it go on, with a reason."""
    organization = organizations_search(text="", public_id=organization_id).get()
    form = ReasonForm(request.POST or None)
    is_sent = request.method == "POST" and form.is_valid()
    if is_sent and _turn(request, organization_suspend, form, organization=organization):
        return redirect("pages:operator_organizations")
    context = {"subject": organization, "form": form, "back": "pages:operator_organizations", "kind": _("organization")}
    return render(request, "marketplace/operator_suspend.html", context)


@require_safe
@operator_page
def operator_listings(request: HttpRequest) -> HttpResponse:
    """Search APIs."""
    return _search(request, listings_search, template="marketplace/operator_listings.html")


@require_http_methods(["GET", "HEAD", "POST"])
@operator_page
def operator_listing_suspend(request: HttpRequest, api_id: str) -> HttpResponse:
    """Take an API off every gateway and out of the catalogue, or let it back, with a reason."""
    api = listings_search(text="", public_id=api_id).get()
    form = ReasonForm(request.POST or None)
    is_sent = request.method == "POST" and form.is_valid()
    if is_sent and _turn(request, api_suspend, form, api=api):
        return redirect("pages:operator_listings")
    context = {"subject": api, "form": form, "back": "pages:operator_listings", "kind": _("API")}
    return render(request, "marketplace/operator_suspend.html", context)


def _search(request: HttpRequest, find: Callable[..., QuerySet[Any]], *, template: str) -> HttpResponse:
    """The page of what ``find`` finds for the text in the address."""
    search = request.GET.get("q", "").replace("\x00", "")[:SEARCH_LENGTH_MAX]
    page = page_take(find(text=search), cursor=request.GET.get("cursor", ""), bound={"q": search})
    return render(request, template, {"page": page, "search": search})


def _turn(request: HttpRequest, service: Callable[..., Any], form: ReasonForm, **subject: Any) -> bool:
    """Suspend what goes on, or let go on what is suspended; say so. Whether it was done."""
    (entity,) = subject.values()
    is_suspended = not entity.is_suspended
    values = {**subject, **form.cleaned_data, "person": request.user, "is_suspended": is_suspended}
    if service_try(request, service, form=form, **values) is None:
        return False
    text = _("%(name)s is suspended.") if is_suspended else _("%(name)s may go on.")
    messages.success(request, text % {"name": entity.name})
    return True
