"""Usage pages of both sides: a chart with its table twin, outcomes, operations, apps, and the same as CSV.

The page refreshes itself every few seconds by htmx (only the figures); without JavaScript it is a page like any other.
"""

import csv
from datetime import date
from typing import Any
from zoneinfo import ZoneInfo

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from marketplace.forms.consumer import DAYS_MAX, SpanForm
from marketplace.models import Api, App
from marketplace.selectors.access import app_get, apps_list, grants_list
from marketplace.selectors.catalog import api_get, apis_list, catalog_get
from marketplace.selectors.usage import (
    Side,
    usage_by_app,
    usage_by_operation,
    usage_csv_rows,
    usage_rows,
    usage_tallies,
)
from marketplace.views.doors import member_page
from marketplace.views.usage_pictures import picture_make, span_bounds

CHOICES_MAX = 200
"""Apps or APIs that a filter lists."""
REFRESH_S = 5


@require_safe
@member_page("consumer", "usage.view")
def usage(request: HttpRequest) -> HttpResponse:
    """What the organization's apps called."""
    return _page(request, side="consumer")


@require_safe
@member_page("provider", "usage.view")
def provider_usage(request: HttpRequest) -> HttpResponse:
    """What was called of the organization's APIs."""
    return _page(request, side="provider")


@require_safe
@member_page("consumer", "usage.view")
def usage_csv(request: HttpRequest) -> HttpResponse:
    """The consumer's figures as CSV."""
    return _csv(request, side="consumer")


@require_safe
@member_page("provider", "usage.view")
def provider_usage_csv(request: HttpRequest) -> HttpResponse:
    """The provider's figures as CSV."""
    return _csv(request, side="provider")


def _page(request: HttpRequest, *, side: Side) -> HttpResponse:
    organization = request.organization
    first, last = _span(request)
    app, api = _chosen(request, side)
    picture = picture_make(organization=organization, first=first, last=last, side=side, app=app, api=api)
    since, until = span_bounds(first, last, ZoneInfo(organization.time_zone))
    tallies = usage_tallies(organization=organization, since=since, until=until, side=side, app=app, api=api)
    operations = usage_by_operation(tallies)
    context: dict[str, Any] = {
        "side": side,
        "picture": picture,
        "operations": operations,
        "apps_used": _apps_named(usage_by_app(tallies), side),
        "top": max((row.totals.calls for row in operations), default=1),
        "app": app,
        "api": api,
        "refresh_s": REFRESH_S,
        "is_live": last >= _today(request),
        "csv_url": "pages:usage_csv" if side == "consumer" else "pages:provider_usage_csv",
    }
    if request.htmx:
        return render(request, "marketplace/usage_figures.html", context)
    context |= {
        "form": SpanForm(request.GET or None, initial={"since": first, "until": last}),
        "first": first,
        "last": last,
        "apps": list(apps_list(organization=organization)[:CHOICES_MAX]) if side == "consumer" else [],
        "apis": _apis(request, side),
    }
    return render(request, "marketplace/usage.html", context)


def _csv(request: HttpRequest, *, side: Side) -> HttpResponse:
    organization = request.organization
    form = SpanForm(request.GET)
    first, last = form.span(_today(request))
    if not form.is_valid() or first > last or form.cleaned_data.get("since") not in (None, first):
        return _span_refused(form)
    app, api = _chosen(request, side)
    since, until = span_bounds(first, last, ZoneInfo(organization.time_zone))
    tallies = usage_tallies(organization=organization, since=since, until=until, side=side, app=app, api=api)
    response = HttpResponse(content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="usage-{first}-{last}.csv"'
    csv.writer(response).writerows(usage_csv_rows(usage_rows(tallies, grain="day", time_zone=organization.time_zone)))
    return response


def _span_refused(form: SpanForm) -> HttpResponse:
    """A file is read by programs: other days than were asked for would pass unnoticed."""
    faults = [f"{name}: {text}" for name, texts in form.errors.items() for text in texts]
    most = _("since and until: two days such as 2026-10-01, the first not after the last, at most %(days)d days.")
    text = "\n".join([*faults, most % {"days": DAYS_MAX}])
    return HttpResponse(text, status=400, content_type="text/plain; charset=utf-8")


def _span(request: HttpRequest) -> tuple[date, date]:
    return SpanForm(request.GET).span(_today(request))


def _today(request: HttpRequest) -> date:
    return timezone.now().astimezone(ZoneInfo(request.organization.time_zone)).date()


def _chosen(request: HttpRequest, side: Side) -> tuple[App | None, Api | None]:
    """The app and API of the query string, if the person may see them; raises NotFound otherwise."""
    app_id, api_id = request.GET.get("app", ""), request.GET.get("api", "")
    within = request.organization
    app = app_get(person=request.user, public_id=app_id, within=within) if app_id and side == "consumer" else None
    if not api_id:
        return app, None
    if side == "provider":
        return app, api_get(person=request.user, public_id=api_id, within=within)
    return app, catalog_get(slug=api_id, person=request.user)


def _apis(request: HttpRequest, side: Side) -> list[Api]:
    if side == "provider":
        return list(apis_list(organization=request.organization).order_by("name")[:CHOICES_MAX])
    grants = grants_list(organization=request.organization, is_ended_shown=True)
    return sorted({grant.api for grant in grants[:CHOICES_MAX]}, key=lambda api: api.name)


def _apps_named(rows: list[tuple[Any, Any]], side: Side) -> list[tuple[str, Any]]:
    """Apps by name. A provider learns the consumer's organization and the app's name, as in the list of subscribers."""
    known = App.objects.select_related("organization").in_bulk([app_id for app_id, _totals in rows])

    def name(app_id: Any) -> str:
        app = known.get(app_id)
        if app is None:
            return _("Unknown app")
        return app.name if side == "consumer" else f"{app.organization.name} · {app.name}"

    return [(name(app_id), totals) for app_id, totals in rows]
