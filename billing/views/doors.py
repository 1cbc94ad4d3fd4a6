"""The door of the platform's finance. Doors of organizations are marketplace's (``member_page``)."""

from collections.abc import Callable
from datetime import date
from functools import wraps
from typing import Any

from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.views.decorators.cache import never_cache

from billing.core.periods import YEAR_MAX, YEAR_MIN
from billing.selectors.permits import finance_is
from marketplace.errors import NotFound


def finance_page(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
    """Open a view to the platform's finance only; to everybody else it does not exist."""

    @wraps(view)
    @never_cache
    @login_required
    def opened(request: HttpRequest, **arguments: Any) -> HttpResponse:
        if not finance_is(request.user):  # type: ignore[arg-type]
            raise Http404
        request.area = "finance"  # type: ignore[attr-defined]
        try:
            return view(request, **arguments)
        except NotFound as error:
            raise Http404 from error

    return opened


def month_read(request: HttpRequest, today: date) -> date:
    """The first day of the month that the query string names (``month=2026-10``); of ``today``'s month without one."""
    text = text_get(request, "month", length_max=7)
    try:
        month = date.fromisoformat(f"{text}-01")
    except ValueError:
        return today.replace(day=1)
    return month if YEAR_MIN < month.year < YEAR_MAX else today.replace(day=1)


def text_get(request: HttpRequest, name: str, *, length_max: int = 80) -> str:
    """A value of the query string without what no database takes: NUL, and more characters than anything asked for has."""
    return request.GET.get(name, "").replace("\x00", "")[:length_max]
