"""What every endpoint shares: who calls, scopes, known query parameters, bodies, pages, ETags, idempotency keys.

An endpoint is a class with one method per HTTP verb; ``operation`` says all there is to know about that method, enforces it,
and describes it in our OpenAPI document.
"""

import hashlib
import json
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import wraps
from typing import Any, ClassVar

from django.db import transaction
from django.utils.translation import gettext as _
from django_ratelimit.core import get_usage
from drf_spectacular.utils import OpenApiResponse, extend_schema, inline_serializer
from redis.exceptions import RedisError
from rest_framework import serializers
from rest_framework.permissions import AllowAny, BasePermission, IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.utils.encoders import JSONEncoder
from rest_framework.views import APIView

from marketplace.api.authentication import AUTHENTICATION
from marketplace.api.parsers import StrictJsonParser
from marketplace.api.schema import IDEMPOTENCY_KEY, IF_MATCH, IF_NONE_MATCH, EndpointSchema
from marketplace.core.permissions import scope_permits
from marketplace.errors import ApplicationError, Fault, InvalidInput, NotPermitted
from marketplace.models import AccessToken, Organization, Person
from marketplace.selectors.paging import PAGE_DEFAULT, PAGE_MAX, Page
from marketplace.services import idempotency

IDEMPOTENCY_KEY_LENGTH_MAX = 255
NEVER_STORED = {"Cache-Control": "no-store"}
"""On answers that carry, or may carry, a secret that is shown once."""

logger = logging.getLogger(__name__)


class PreconditionRequired(ApplicationError):
    """A change of a config resource must say which version it changes."""

    code, status = "precondition_required", 428


class PreconditionFailed(ApplicationError):
    """Somebody else changed the resource meanwhile."""

    code, status = "precondition_failed", 412


class TooMany(ApplicationError):
    """A human door was used too often."""

    code, status = "rate_limited", 429

    def __init__(self, message: str, *, retry_after_s: int) -> None:
        super().__init__(message)
        self.headers = {"Retry-After": str(max(retry_after_s, 1))}


class Strict(serializers.Serializer[Any]):
    """A body or query in which an unknown name is an error, not a silence."""

    def to_internal_value(self, data: Any) -> Any:
        """Refuse unknown names, then read as usual."""
        if isinstance(data, Mapping) and (unknown := sorted(set(data) - set(self.fields))):
            raise serializers.ValidationError({name: [_("There is no such field.")] for name in unknown[:20]})
        return super().to_internal_value(data)


class Nothing(Strict):
    """No query parameter, or an empty body."""


class Paged(Strict):
    """The query of a list."""

    limit = serializers.IntegerField(min_value=1, max_value=PAGE_MAX, default=PAGE_DEFAULT)
    cursor = serializers.CharField(max_length=600, default="", allow_blank=True)


@dataclass(frozen=True, slots=True)
class Operation:
    """What one method of an endpoint needs and gives."""

    scope: str
    query: type[Strict]
    body: type[Strict] | None
    status: int
    is_public: bool
    is_session_only: bool


class Endpoint(APIView):
    """Base of all endpoints. ``person``, ``within`` (the organization of an organization's token), ``query``, ``body``."""

    authentication_classes = AUTHENTICATION
    parser_classes = [StrictJsonParser]
    schema = EndpointSchema()  # type: ignore[no-untyped-call]
    tag: ClassVar[str] = ""
    query: dict[str, Any]
    body: dict[str, Any]

    @property
    def person(self) -> Person:
        """Who calls."""
        return self.request.user  # type: ignore[return-value]

    @property
    def within(self) -> Organization | None:
        """The only organization that the caller's token may see; None for a person's own token or a session."""
        return self.request.auth.organization if isinstance(self.request.auth, AccessToken) else None

    def get_permissions(self) -> list[BasePermission]:
        """Public operations are open to all, the others to those who say who they are."""
        described = self._described(self.request)
        return [AllowAny()] if described is not None and described.is_public else [IsAuthenticated()]

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Bound the body, then check caller, scope, query parameters and body, before the method runs."""
        _ = request._request.body  # read it whole here: Django's size limit applies only so
        super().initial(request, *args, **kwargs)
        described = self._described(request)
        if described is None:
            return
        self._scope_check(described)
        repeated = {name for name in request.query_params if len(request.query_params.getlist(name)) > 1}
        query = described.query(data={name: request.query_params[name] for name in request.query_params})
        query.is_valid(raise_exception=True)
        if repeated:
            raise serializers.ValidationError({name: [_once()] for name in sorted(repeated)[:20]})
        self.query = query.validated_data
        if described.body is not None:
            body = described.body(data=request.data, partial=request.method == "PATCH")
            body.is_valid(raise_exception=True)
            self.body = dict(body.validated_data)

    def _described(self, request: Request | None) -> Operation | None:
        handler = getattr(self, (request.method or "").lower(), None) if request is not None else None
        return getattr(handler, "described", None)

    def _scope_check(self, described: Operation) -> None:
        token = self.request.auth
        if not isinstance(token, AccessToken):
            return
        if described.is_session_only:
            raise NotPermitted(
                _("An access token cannot do this. Log in to the portal instead."), code="session_required"
            )
        if described.scope and not scope_permits(token.scopes, described.scope):
            raise NotPermitted(
                _("The access token lacks the scope %(scope)s.") % {"scope": described.scope}, code="scope_missing"
            )

    def personal_require(self) -> None:
        """Refuse an organization's token: what follows belongs to the person. Raises NotPermitted."""
        if self.within is not None:
            raise NotPermitted(_("An organization's access token cannot do this."), code="personal_required")

    def rate_limit(self, group: str, rate: str) -> None:
        """Count one use of a human door by this person; raise TooMany when ``rate`` (such as 20/h) is used up.

        With the cache down people are let in: a limit against guessing must not lock out those who know."""
        who = str(self.person.pk or self.request.META.get("REMOTE_ADDR"))
        request = self.request._request
        try:
            usage = get_usage(request, group=f"api.{group}", key=lambda *_: who, rate=rate, increment=True)
        except RedisError:
            logger.warning("rate limit not counted: the cache does not answer", exc_info=True)
            return
        if usage and usage["should_limit"]:
            raise TooMany(_("Too many attempts. Wait, then try again."), retry_after_s=int(usage["time_left"]))

    def page_response(self, page: Page[Any], shape: type[serializers.Serializer[Any]]) -> Response:
        """Return a page as ``{data, has_more, next_cursor}`` with a Link to the next."""
        body = {
            "data": shape(page.rows, many=True).data,
            "has_more": page.has_more,
            "next_cursor": page.next_cursor or None,
        }
        response = Response(body)
        if page.has_more:
            query = self.request._request.GET.copy()
            query["cursor"] = page.next_cursor
            response["Link"] = f'<{self.request.build_absolute_uri(self.request.path)}?{query.urlencode()}>; rel="next"'
        return response

    def entity_response(self, body: Any, *, status: int = 200) -> Response:
        """Return one object with its ETag; 304 without a body when the caller has it already."""
        tag = etag_of(body)
        if self.request.method == "GET" and tag in _tags(self.request.headers.get("If-None-Match", "")):
            return Response(status=304, headers={"ETag": tag})
        return Response(body, status=status, headers={"ETag": tag})

    def match_require(self, body: Any) -> None:
        """Refuse a change unless If-Match names the present version. Raises PreconditionRequired, PreconditionFailed."""
        wanted = self.request.headers.get("If-Match", "")
        if not wanted:
            raise PreconditionRequired(_("Send the ETag that you read as If-Match, so that nobody's change is lost."))
        if wanted.strip() != "*" and etag_of(body) not in _tags(wanted):
            raise PreconditionFailed(_("This changed since you read it. Read it again, then repeat your change."))


def operation(
    summary: str,
    *,
    scope: str = "",
    query: type[Strict] = Nothing,
    body: type[Strict] | None = None,
    answer: type[serializers.Serializer[Any]] | None = None,
    many: bool = False,
    status: int = 200,
    has_etag: bool = False,
    is_public: bool = False,
    is_session_only: bool = False,
    creates: bool = False,
    media_type: str = "",
) -> Callable[[Callable[..., Response]], Callable[..., Response]]:
    """Describe a method of an endpoint. ``many``: a page of ``answer``; ``creates``: takes an Idempotency-Key;
    ``has_etag``: GET sends one, PATCH, PUT and DELETE want it back."""
    described = Operation(scope, query, body, status, is_public, is_session_only)

    def decorate(method: Callable[..., Response]) -> Callable[..., Response]:
        is_change = method.__name__ in ("patch", "put", "delete")
        headers = [IDEMPOTENCY_KEY] if creates else []
        if has_etag:
            headers.append(IF_MATCH if is_change else IF_NONE_MATCH)

        @wraps(method)
        def run(view: Endpoint, request: Request, **parts: str) -> Response:
            if creates and "Idempotency-Key" in request.headers:
                return _answer_once(view, request, lambda: method(view, request, **parts))
            if request.method == "GET":
                return method(view, request, **parts)
            with transaction.atomic():
                return method(view, request, **parts)

        run.described = described  # type: ignore[attr-defined]
        parameters: list[Any] = [*headers, *([query] if query is not Nothing else [])]
        media: Any = (200, media_type) if media_type else status
        return extend_schema(
            summary=summary,
            description=f"Scope: `{scope}`." if scope else "",
            parameters=parameters,
            request=body,
            responses={media: _shape(answer, many)},
            auth=[] if is_public else None,
        )(run)

    return decorate


def etag_of(body: Any) -> str:
    """Return the strong ETag of a representation."""
    text = json.dumps(body, sort_keys=True, cls=JSONEncoder)
    return f'"{hashlib.sha256(text.encode()).hexdigest()[:32]}"'


def _shape(answer: type[serializers.Serializer[Any]] | None, many: bool) -> Any:
    if answer is None:
        return OpenApiResponse(description="Done.")
    if not many:
        return answer
    return inline_serializer(
        f"{answer.__name__.removesuffix('Out')}Page",
        {
            "data": answer(many=True),
            "has_more": serializers.BooleanField(),
            "next_cursor": serializers.CharField(allow_null=True),
        },
    )


def _answer_once(view: Endpoint, request: Request, run: Callable[[], Response]) -> Response:
    """Run a request once per Idempotency-Key: later ones with the same body get the first answer again.

    The work and its answer are committed together, so that no crash can keep the one and lose the other.
    """
    key = request.headers["Idempotency-Key"]
    if not 0 < len(key) <= IDEMPOTENCY_KEY_LENGTH_MAX or not key.isascii() or not key.isprintable():
        detail = _("An Idempotency-Key has 1 to %(max)d printable ASCII characters.") % {
            "max": IDEMPOTENCY_KEY_LENGTH_MAX
        }
        raise InvalidInput(detail, faults=[Fault("/Idempotency-Key", detail)])
    token = request.auth if isinstance(request.auth, AccessToken) else None
    owner = f"{view.person.id}" + (f":{token.organization_id.hex[-12:]}" if token and token.organization_id else "")
    parts = (request.method or "", request.get_full_path(), request._request.body)
    fingerprint = hashlib.sha256(b"\0".join(part if isinstance(part, bytes) else part.encode() for part in parts))
    claim = idempotency.answer_begin(owner=owner, key=key, fingerprint=fingerprint.hexdigest())
    if isinstance(claim, idempotency.StoredAnswer):
        return Response(claim.body, status=claim.status, headers={"Idempotent-Replayed": "true", **NEVER_STORED})
    try:
        with transaction.atomic():
            response = run()
            text = json.dumps(response.data, cls=JSONEncoder)
            idempotency.answer_keep(answer=claim, status=response.status_code, body=text)
    except BaseException:
        idempotency.answer_release(answer=claim)
        raise
    return response


def _tags(header: str) -> set[str]:
    return {part.strip().removeprefix("W/") for part in header.split(",")}


def _once() -> str:
    return _("Give this parameter once.")
