"""What the portal answers where no page and no endpoint does: an unknown address, a fault, a form that expired, a wrong method,
a door used too often. Programs (below /api/) get problem details, people a page that says what to do.
"""

from collections.abc import Callable
from http import HTTPStatus

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext as _
from django.views import defaults

from marketplace.api.problems import CONTENT_TYPE, problem_body

API_PREFIX = "/api/"


def is_program(request: HttpRequest) -> bool:
    """Whether the address is one of the REST API."""
    return request.path.startswith(API_PREFIX)


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """What cannot be read at all."""
    if is_program(request):
        return _problem(request, 400, _("The request is malformed."))
    return defaults.bad_request(request, exception)


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """No such address."""
    if not is_program(request):
        return defaults.page_not_found(request, exception)
    detail = _("There is no such address. The schema at /api/v1/schema/ lists all there are.")
    if request.path.endswith("/"):
        detail = _("There is no such address. Addresses of the REST API end without a slash.")
    return _problem(request, 404, detail)


def server_error(request: HttpRequest) -> HttpResponse:
    """A fault of ours; it is in the log under the request's id."""
    if is_program(request):
        return _problem(request, 500, _("Something went wrong on our side. Try again in a moment."))
    return defaults.server_error(request)


def form_expired(request: HttpRequest, reason: str = "") -> HttpResponse:
    """A form without a valid CSRF token: mostly a page that was open since before a log-in or for too long."""
    del reason
    back = request.headers.get("Referer", "")
    is_ours = url_has_allowed_host_and_scheme(
        back, allowed_hosts={request.get_host()}, require_https=request.is_secure()
    )
    return render(request, "403_csrf.html", {"back": back if is_ours else ""}, status=403)


def too_many_requests(request: HttpRequest, exception: Exception) -> HttpResponse:
    """The answer when a human door (login, sign-up, key creation, console) was used too often."""
    del exception
    if is_program(request):
        response = _problem(request, 429, _("Too many attempts. Wait a minute, then try again."))
    else:
        response = render(request, "429.html", status=429)
    response["Retry-After"] = "60"
    return response


class WrongMethodMiddleware:
    """Gives the bare 405 of a page that only takes a sent form some words: people come to it by reloading or by a bookmark."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Run the request; keep everything but a 405 without a body."""
        response = self.get_response(request)
        if response.status_code != HTTPStatus.METHOD_NOT_ALLOWED or response.streaming or response.content:
            return response
        page = render(request, "405.html", status=HTTPStatus.METHOD_NOT_ALLOWED)
        page["Allow"] = response["Allow"]
        return page


def _problem(request: HttpRequest, status: int, detail: str) -> HttpResponse:
    body = problem_body(status, detail=detail, instance=request.path)
    return JsonResponse(body, status=status, content_type=CONTENT_TYPE)
