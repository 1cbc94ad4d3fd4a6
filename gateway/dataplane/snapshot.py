"""Snapshot: the frozen routes of a gateway, compiled from ApiDefinitions and swapped whole. Loading is snapshot_source.py's."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from typing import Any
from uuid import UUID

from gateway.core.rejections import Rejection
from gateway.core.routes import (
    ANY_METHOD,
    PathInvalid,
    RouteTrie,
    TemplateInvalid,
    path_drop,
    path_segments,
    template_segments,
)
from gateway.dataplane.pipeline import Step
from marketplace.contracts.definition import ApiDefinition, ApiPolicies, OperationDefinition, UpstreamDefinition

STAGE_DEFAULT = "release"
STAGES_BUILT_IN = ("release", "pre", "test")
MATCHES_CACHED_MAX = 8_192
MATCH_CACHED_BYTES_MAX = 512
"""Most (stage, method, path) triples remembered before the memory is emptied, and the longest path among them."""


class Route:
    """One operation of one deployed Api on one stage. Everything that steps can precompute hangs on it.

    ``id``s are UUID text with their 16 bytes beside them. ``auth`` is ``app`` or ``anonymous``; ``holds_form`` says that
    a signed form body is read before the steps run. ``marks`` belongs to steps: each uses its own file name as key;
    ``counts`` to metrics.
    ``guard`` is asked first when a call is not ordinary; ``steps`` are the compiled steps up to and with forward.
    """

    __slots__ = (
        "api_id",
        "api_id_bytes",
        "api_name",
        "auth",
        "base_path",
        "base_segments",
        "body_bytes_max",
        "counts",
        "deployment_id",
        "guard",
        "holds_form",
        "journal_prefix",
        "marks",
        "method",
        "operation_id",
        "operation_id_bytes",
        "operation_name",
        "policies",
        "provider_id",
        "stage",
        "steps",
        "template",
        "upstream",
    )

    def __init__(self, api: ApiDefinition, operation: OperationDefinition) -> None:
        self.api_id = api.api_id
        self.api_id_bytes = UUID(api.api_id).bytes
        self.api_name = api.api_name
        self.provider_id = api.provider_id
        self.deployment_id = api.deployment_id
        self.stage = api.stage
        self.operation_id = operation.id
        self.operation_id_bytes = UUID(operation.id).bytes
        self.operation_name = operation.name
        self.method = operation.method.upper()
        self.base_path = api.base_path
        self.base_segments = len(template_segments(api.base_path.rstrip("/")))
        self.template = operation.path_template
        self.policies: ApiPolicies = api.policies
        self.auth: str = api.policies.auth
        self.holds_form = api.policies.auth == "app"
        self.body_bytes_max = api.policies.body_bytes_max
        self.upstream: UpstreamDefinition = api.upstream
        self.journal_prefix = b""
        self.counts: dict[str, int] = {}
        self.marks: dict[str, Any] = {}
        self.guard: Step = _unguarded
        self.steps: tuple[Step, ...] = ()


def _unguarded(call: object) -> None:
    """The guard of a route that was not compiled."""


Match = tuple[Route, bytes]
"""A route, and the raw path to send upstream (without the Api's base path)."""


class Snapshot:
    """All routes of one version. Immutable but for the bounded memory of matched paths."""

    def __init__(self, *, version: int, checksum: str, routes: Sequence[Route]) -> None:
        self.version = version
        self.checksum = checksum
        self.routes = tuple(routes)
        self.conflicts: list[str] = []
        self.seen: dict[tuple[str, str, bytes], Match] = {}
        self._stages: dict[str, RouteTrie[Route]] = {name: RouteTrie() for name in STAGES_BUILT_IN}
        for route in routes:
            trie = self._stages.setdefault(route.stage.lower(), RouteTrie())
            template = route.base_path.rstrip("/") + route.template
            try:
                added = trie.add(route.method, template, route)
            except (TemplateInvalid, PathInvalid) as fault:
                self.conflicts.append(f"{route.method} {template} on {route.stage}: {fault}")
                continue
            if not added:
                self.conflicts.append(f"{route.method} {template} on {route.stage}: another Api serves it")

    def match(self, stage: str, method: str, path: bytes) -> Match:
        """Find the route of a raw path. Raises Rejection I400SG, I400PA, I404NF or I405UM."""
        found = self.seen.get((stage, method, path))
        if found is None:
            trie = self._stages.get(stage)
            if trie is None:
                raise Rejection("I400SG", f"`{stage[:32]}`")
            found = self._search(trie, method, path)
            if len(path) <= MATCH_CACHED_BYTES_MAX:
                if len(self.seen) >= MATCHES_CACHED_MAX:
                    self.seen.clear()
                self.seen[stage, method, path] = found
        return found

    def _search(self, trie: RouteTrie[Route], method: str, path: bytes) -> Match:
        try:
            methods = trie.find(path_segments(path))
        except PathInvalid as fault:
            raise Rejection("I400PA", f"`{fault}`") from None
        route = methods.get(method) or methods.get(ANY_METHOD) or (methods.get("GET") if method == "HEAD" else None)
        if route is not None:
            return route, path_drop(path, route.base_segments)
        if methods:
            allowed = ", ".join(sorted(methods))
            raise Rejection("I405UM", f"`{method}`, this path takes {allowed}", headers=(("Allow", allowed),))
        raise Rejection("I404NF", f"with `{method} {path[:200].decode('latin-1')}`")


def snapshot_compile(value: dict[str, Any], compile_steps: Callable[[Route], tuple[Step, ...]]) -> Snapshot:
    """Compile the published form ``{"version", "checksum", "apis"}``. Raises ValueError, KeyError or TypeError when it is malformed.

    An Api that cannot be served is left out and named in ``conflicts``: one provider's mistake is not everybody's.
    """
    routes: list[Route] = []
    faults: list[str] = []
    for item in value["apis"]:
        try:
            api = ApiDefinition.from_dict(item)
            own = [Route(api, operation) for operation in api.operations]
            for route in own:
                route.steps = compile_steps(route)
        except (ValueError, KeyError, TypeError) as fault:
            faults.append(f"Api {item.get('api_name')!r} on {item.get('stage')}: {fault}")
        else:
            routes += own
    snapshot = Snapshot(version=int(value["version"]), checksum=str(value["checksum"]), routes=routes)
    snapshot.conflicts += faults
    return snapshot


def snapshot_empty() -> Snapshot:
    """The snapshot of a gateway that has never seen one: every call is answered I404NF."""
    return Snapshot(version=0, checksum="", routes=())


def snapshot_checksum(apis: Sequence[dict[str, Any]]) -> str:
    """The SHA-256, in hex, of the canonical JSON of ``apis``."""
    text = json.dumps(apis, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()
