"""The door of the platform's finance. Doors of organizations are marketplace's (``member_page``)."""

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.views.decorators.cache import never_cache

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


def text_get(request: HttpRequest, name: str, *, length_max: int = 80) -> str:
    """A value of the query string without what no database takes: NUL, and more characters than anything asked for has."""
    return request.GET.get(name, "").replace("\x00", "")[:length_max]
