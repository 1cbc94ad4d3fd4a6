"""How an endpoint shows in our own OpenAPI document: problems on every operation, headers, the error shape."""

from typing import Any

from drf_spectacular.openapi import AutoSchema
from drf_spectacular.utils import OpenApiParameter
from rest_framework import serializers


class FaultOut(serializers.Serializer[Any]):
    """One thing wrong with a request."""

    pointer = serializers.CharField(help_text="RFC 6901 JSON pointer to the value, empty for the whole request.")
    detail = serializers.CharField()


class ProblemOut(serializers.Serializer[Any]):
    """RFC 9457 problem details."""

    type = serializers.URLField(help_text="A page that explains the code.")
    title = serializers.CharField()
    status = serializers.IntegerField()
    detail = serializers.CharField()
    instance = serializers.CharField()
    code = serializers.CharField(help_text="Stable; decide on this.")
    request_id = serializers.CharField()
    errors = FaultOut(many=True, required=False)


IDEMPOTENCY_KEY = OpenApiParameter(
    "Idempotency-Key",
    str,
    OpenApiParameter.HEADER,
    description="Makes the request safe to repeat for 24 hours: the first answer is given again.",
)
IF_MATCH = OpenApiParameter(
    "If-Match",
    str,
    OpenApiParameter.HEADER,
    required=True,
    description="The ETag that was read: the change is refused (412) when somebody else changed it meanwhile.",
)
IF_NONE_MATCH = OpenApiParameter(
    "If-None-Match", str, OpenApiParameter.HEADER, description="Answers 304 when nothing changed."
)


class EndpointSchema(AutoSchema):
    """Adds the problem answer that every operation can give."""

    def _get_response_bodies(self, direction: str = "response") -> dict[str, Any]:
        bodies: dict[str, Any] = super()._get_response_bodies(direction)  # type: ignore[no-untyped-call]
        component = self.resolve_serializer(ProblemOut(), direction)  # type: ignore[no-untyped-call]
        bodies["default"] = {
            "description": "A problem: why the request was refused.",
            "content": {"application/problem+json": {"schema": component.ref}},
        }
        return bodies
