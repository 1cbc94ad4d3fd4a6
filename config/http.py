"""What the portal does to every request and to none in particular: its id, its log line, whose address it is, health pages.

What it answers when nobody else does is in ``config.refusals``.
"""

import time
from collections.abc import Callable
from uuid import uuid4

import structlog
from django.conf import settings
from django.core.cache import cache
from django.db import connection
from django.http import HttpRequest, HttpResponse
from django.views.decorators.cache import never_cache

log = structlog.get_logger("tollgate.portal")


class RequestLogMiddleware:
    """Gives each request an id, returns it in ``X-Request-Id``, and writes one log line when it ends."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Run the request with its id bound to every log line."""
        request_id = uuid4().hex
        started = time.perf_counter()
        with structlog.contextvars.bound_contextvars(request_id=request_id):
            response = self.get_response(request)
            elapsed_ms = round((time.perf_counter() - started) * 1000, 1)
            if not request.path.startswith(("/livez", "/readyz", settings.STATIC_URL)):
                log.info(
                    "request", method=request.method, path=request.path, status=response.status_code, ms=elapsed_ms
                )
        response["X-Request-Id"] = request_id
        return response


def client_address(request: HttpRequest) -> str:
    """The caller's address: the peer, or what the outermost trusted proxy saw (TOLLGATE_PROXY_COUNT of them)."""
    peer = str(request.META.get("REMOTE_ADDR") or "0.0.0.0")  # noqa: S104  (a unix socket has no peer address)
    if settings.TOLLGATE.proxy_count == 0:
        return peer
    seen = [part.strip() for part in request.headers.get("X-Forwarded-For", "").split(",") if part.strip()]
    return seen[-settings.TOLLGATE.proxy_count] if len(seen) >= settings.TOLLGATE.proxy_count else peer


@never_cache
def livez(request: HttpRequest) -> HttpResponse:
    """The process answers."""
    del request
    return HttpResponse("ok\n", content_type="text/plain")


@never_cache
def readyz(request: HttpRequest) -> HttpResponse:
    """The process can serve: PostgreSQL and Valkey answer. ``?verbose`` names each check."""
    checks = {"postgres": _postgres_answers, "valkey": _valkey_answers}
    faults = {name: fault for name, check in checks.items() if (fault := _fault_of(check))}
    lines = [f"{name}: {faults.get(name, 'ok')}" for name in checks] if "verbose" in request.GET else []
    lines.append("not ready" if faults else "ok")
    return HttpResponse("\n".join(lines) + "\n", status=503 if faults else 200, content_type="text/plain")


def _postgres_answers() -> None:
    with connection.cursor() as cursor:
        cursor.execute("select 1")


def _valkey_answers() -> None:
    cache.get("readyz")


def _fault_of(check: Callable[[], None]) -> str:
    try:
        check()
    except Exception as fault:  # noqa: BLE001  (any failure means not ready; its kind is named, its text may hold secrets)
        return type(fault).__name__
    return ""
