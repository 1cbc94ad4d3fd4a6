"""ApiDefinition: all that a gateway needs to serve one deployed Api on one stage. Frozen into Deployment.definition.

Shape only. ``dataclasses.asdict`` makes the stored dict; ``ApiDefinition.from_dict`` loads it again.
"""

from dataclasses import dataclass, field
from typing import Any, Literal, Self

from marketplace.contracts.limits import RateLimit

AuthMode = Literal["app", "anonymous"]
AppCodePlaces = Literal["disable", "header", "header_query"]


@dataclass(frozen=True, slots=True)
class ApiPolicies:
    """The provider's choices for an Api on all its stages (docs/authentication.md, docs/quotas.md)."""

    auth: AuthMode = "app"
    app_code: AppCodePlaces = "header_query"
    signature_methods: tuple[str, ...] = ("HmacSHA256", "HmacSHA1")
    nonce_required: bool = False
    rate_api: RateLimit | None = None
    rate_organization: RateLimit | None = None
    rate_app: RateLimit | None = None
    rate_app_exceptions: dict[str, RateLimit] = field(default_factory=dict)
    body_bytes_max: int = 0

    @classmethod
    def from_dict(cls, value: dict[str, Any]) -> Self:
        """Load what ``asdict`` made; unknown fields raise TypeError."""
        rates = {
            name: RateLimit.from_dict(value[name]) if value.get(name) else None
            for name in ("rate_api", "rate_organization", "rate_app")
        }
        exceptions = {app: RateLimit.from_dict(rate) for app, rate in value.get("rate_app_exceptions", {}).items()}
        methods = tuple(value.get("signature_methods", ("HmacSHA256", "HmacSHA1")))
        return cls(**{**value, **rates, "rate_app_exceptions": exceptions, "signature_methods": methods})


@dataclass(frozen=True, slots=True)
class OperationDefinition:
    """One callable operation; ids are UUID text. ``path_template`` is relative to the Api's base path."""

    id: str
    method: str
    path_template: str
    name: str


@dataclass(frozen=True, slots=True)
class UpstreamDefinition:
    """The provider's server: scheme://host:port and a path prefix; ``host`` is the Host header (empty: the url's own)."""

    url: str
    host: str = ""
    timeout_ms: int = 10_000


@dataclass(frozen=True, slots=True)
class ApiDefinition:
    """One Api on one stage as deployed. The gateway serves base_path + path_template and forwards path_template."""

    api_id: str
    api_name: str
    provider_id: str
    deployment_id: str
    stage: str
    base_path: str
    upstream: UpstreamDefinition
    operations: tuple[OperationDefinition, ...]
    policies: ApiPolicies = field(default_factory=ApiPolicies)
    document_version: str = ""

    @classmethod
    def from_dict(cls, value: dict[str, Any]) -> Self:
        """Load what ``asdict`` made; unknown fields raise TypeError."""
        return cls(
            **{
                **value,
                "upstream": UpstreamDefinition(**value["upstream"]),
                "operations": tuple(OperationDefinition(**operation) for operation in value["operations"]),
                "policies": ApiPolicies.from_dict(value.get("policies", {})),
            }
        )
