"""The doors of the console: who may open a page, and how a service's refusal becomes a message on it.

``member_page`` opens pages of one organization, ``operator_page`` those of the platform. To strangers an organization does
not exist (404); to members without the right the page says so (403).
"""

import hashlib
from collections.abc import Callable
from functools import wraps
from typing import Any, Concatenate, ParamSpec

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.cache import cache
from django.core.exceptions import PermissionDenied
from django.forms import BaseForm
from django.http import Http404, HttpRequest, HttpResponse
from django.views.decorators.cache import never_cache

from marketplace.core.permissions import Action, role_permits
from marketplace.errors import ApplicationError, NotFound, NotPermitted
from marketplace.selectors.accounts import memberships_list
from marketplace.views.context import AREA_COOKIE, ORGANIZATION_COOKIE, area_of

COOKIES_S = 365 * 24 * 3600
REPEAT_REMEMBERED_S = 24 * 3600
"""How long a form that was sent is known again."""
P = ParamSpec("P")
View = Callable[Concatenate[HttpRequest, P], HttpResponse]


def member_page(area: str, action: Action) -> Callable[[Callable[..., HttpResponse]], Callable[..., HttpResponse]]:
    """Open a view of organization ``slug`` to members whose role permits ``action``.

    ``area`` is consumer or provider, or organization for what belongs to both: shown in the area last used.
    The view finds ``request.organization``, ``request.membership`` and ``request.may`` (action → bool).
    """

    def decorate(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
        @wraps(view)
        @never_cache
        @login_required
        def opened(request: HttpRequest, slug: str, **arguments: Any) -> HttpResponse:
            membership = memberships_list(person=request.user).filter(organization__slug=slug).first()
            if membership is None:
                raise Http404
            shown = area_of(request, membership) if area == "organization" else area
            request.area, request.membership = shown, membership  # type: ignore[attr-defined]
            request.organization = membership.organization  # type: ignore[attr-defined]
            request.may = Rights(membership.role)  # type: ignore[attr-defined]
            if not role_permits(membership.role, action):
                raise PermissionDenied
            try:
                response = view(request, **arguments)
            except NotFound as error:
                raise Http404 from error
            except NotPermitted as error:
                raise PermissionDenied from error
            for name, value in ((ORGANIZATION_COOKIE, slug), (AREA_COOKIE, shown)):
                if request.COOKIES.get(name) != value:
                    response.set_cookie(
                        name, value, COOKIES_S, httponly=True, samesite="Lax", secure=request.is_secure()
                    )
            return response

        return opened

    return decorate


def operator_page(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
    """Open a view to platform operators only; to everybody else it does not exist."""

    @wraps(view)
    @never_cache
    @login_required
    def opened(request: HttpRequest, **arguments: Any) -> HttpResponse:
        if not request.user.is_platform_operator:
            raise Http404
        request.area = "operator"  # type: ignore[attr-defined]
        try:
            return view(request, **arguments)
        except NotFound as error:
            raise Http404 from error

    return opened


class Rights:
    """What a role may do, for templates: ``request.may.app_manage`` is ``app.manage``."""

    def __init__(self, role: str) -> None:
        self._role = role

    def __getattr__(self, name: str) -> bool:
        if name.startswith("_"):
            raise AttributeError(name)
        return role_permits(self._role, name.replace("_", "."))  # type: ignore[arg-type]


def service_try(
    request: HttpRequest, service: Callable[..., Any], *, form: BaseForm | None = None, **arguments: Any
) -> Any:
    """Call a service; return its result, or None after showing its refusal on the form or as a notice.

    A fault's pointer (``/name``) becomes the error of that field when the form has it.
    """
    try:
        return service(**arguments)
    except (NotFound, NotPermitted):
        raise
    except ApplicationError as error:
        if form is None:
            messages.error(request, error.message)
        else:
            form_refuse(form, error)
        return None


def form_refuse(form: BaseForm, error: ApplicationError) -> None:
    """Put a refusal on a form: each fault at its field, the rest at the top."""
    placed = False
    for fault in error.faults:
        name = fault.pointer.strip("/").split("/")[0]
        placed = True
        form.add_error(name if name in form.fields else None, fault.detail)
    if not placed:
        form.add_error(None, error.message)


def is_repeated(request: HttpRequest) -> bool:
    """Whether this very form was sent before: by a reload of the answer, or by a second click.

    Django masks the CSRF token anew in each rendered form (BREACH), so that equal tokens mean one and the same form.
    """
    token = request.POST.get("csrfmiddlewaretoken", "")
    if not token:
        return False
    said = "\0".join([str(request.user.pk), request.path, request.POST.get("kind", ""), token])
    return not cache.add(f"form:{hashlib.sha256(said.encode()).hexdigest()}", 1, REPEAT_REMEMBERED_S)
