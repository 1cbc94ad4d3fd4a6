"""Renders every refusal of the REST API as RFC 9457 problem details: the one place that does.

Fields: type (a page that explains the code), title, status, detail, instance, code, request_id, errors [{pointer, detail}].
"""

import logging
from collections.abc import Iterator
from http.client import responses
from typing import Any

import structlog
from django.conf import settings
from django.core.exceptions import PermissionDenied, SuspiciousOperation
from django.http import Http404
from django.utils.translation import gettext as _
from rest_framework import exceptions
from rest_framework.response import Response
from rest_framework.views import set_rollback

from marketplace.core.documents import pointer_join
from marketplace.errors import ApplicationError, Fault

CONTENT_TYPE = "application/problem+json"
ERRORS_MAX = 100

logger = logging.getLogger(__name__)

_CODES = {
    400: "request_malformed",
    401: "not_authenticated",
    403: "not_permitted",
    404: "not_found",
    405: "method_not_allowed",
    406: "not_acceptable",
    413: "body_too_large",
    415: "media_type_unsupported",
    429: "rate_limited",
    500: "server_failed",
}


def problem_exception_handler(exception: Exception, context: dict[str, Any]) -> Response | None:
    """Turn an exception into a problem; None (a server error) for what nobody foresaw."""
    request = context.get("request")
    instance = request.path if request is not None else ""
    set_rollback()
    if isinstance(exception, ApplicationError):
        response = problem_response(
            exception.status,
            code=exception.code,
            detail=exception.message,
            faults=exception.faults,
            instance=instance,
        )
        for name, value in getattr(exception, "headers", {}).items():
            response[name] = value
        return response
    if isinstance(exception, exceptions.APIException):
        return _framework_problem(exception, instance)
    if isinstance(exception, Http404):
        return problem_response(404, detail=_("There is no such object, or you may not see it."), instance=instance)
    if isinstance(exception, PermissionDenied):
        return problem_response(403, detail=_("You may not do this."), instance=instance)
    if isinstance(exception, SuspiciousOperation):
        is_large = type(exception).__name__ in ("RequestDataTooBig", "TooManyFieldsSent")
        detail = _("The body is too large.") if is_large else _("The request is malformed.")
        return problem_response(413 if is_large else 400, detail=detail, instance=instance)
    return None


def problem_response(
    status: int, *, detail: str, code: str = "", faults: tuple[Fault, ...] = (), instance: str = ""
) -> Response:
    """Return a problem as an answer."""
    body = problem_body(status, detail=detail, code=code, faults=faults, instance=instance)
    return Response(body, status=status, content_type=CONTENT_TYPE)


def problem_body(
    status: int, *, detail: str, code: str = "", faults: tuple[Fault, ...] = (), instance: str = ""
) -> dict[str, Any]:
    """Return what a problem says; the root of all URLs needs it where no endpoint answers."""
    code = code or _CODES.get(status, "refused")
    body: dict[str, Any] = {
        "type": f"{settings.TOLLGATE.public_url.rstrip('/')}/errors/{code}",
        "title": responses.get(status, "Refused"),
        "status": status,
        "detail": detail,
        "instance": instance,
        "code": code,
        "request_id": structlog.contextvars.get_contextvars().get("request_id", ""),
    }
    if faults:
        body["errors"] = [{"pointer": fault.pointer, "detail": str(fault.detail)} for fault in faults[:ERRORS_MAX]]
    return body


def _framework_problem(exception: exceptions.APIException, instance: str) -> Response:
    """Problems of the framework itself: a body that does not parse, fields that do not fit, a method that is not there."""
    faults = tuple(_faults_of(exception.detail, "")) if isinstance(exception, exceptions.ValidationError) else ()
    code = "input_invalid" if faults else ""
    detail = _("Some fields are not right.") if faults else str(exception.detail)
    response = problem_response(exception.status_code, code=code, detail=detail, faults=faults, instance=instance)
    if header := getattr(exception, "auth_header", None):
        response["WWW-Authenticate"] = header
    if wait := getattr(exception, "wait", None):
        response["Retry-After"] = str(int(wait) + 1)
    return response


def _faults_of(detail: Any, pointer: str) -> Iterator[Fault]:
    if isinstance(detail, dict):
        for name, child in detail.items():
            inner = pointer if name == "non_field_errors" else pointer_join(pointer, str(name))
            yield from _faults_of(child, inner)
    elif isinstance(detail, list):
        for index, child in enumerate(detail):
            yield from _faults_of(child, f"{pointer}/{index}" if isinstance(child, dict | list) else pointer)
    else:
        yield Fault(pointer, str(detail))
