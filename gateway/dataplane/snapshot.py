"""Snapshot: the frozen routes of a gateway, compiled from ApiDefinitions and swapped whole. Loading is snapshot_source.py's."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Callable, Iterable, Iterator
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

STAGES_BUILT_IN = ("release", "pre", "test")
MATCHES_CACHED_MAX = 8_192
MATCH_CACHED_BYTES_MAX = 512
"""Most (stage, method, path) triples remembered before the memory is emptied, and the longest path among them."""
ROUTES_PER_TURN = 50
"""Routes that are compiled before calls get their turn again: some milliseconds' work."""


class Route:
    """One operation of one deployed Api on one stage. Everything that steps can precompute hangs on it.

    ``id``s are UUID text with their 16 bytes beside them. ``auth`` is ``app`` or ``anonymous``; ``holds_form`` says that
    a signed form body is read before the steps run, ``form_guard`` is asked before much of it is kept. ``counts`` belongs to
    metrics. ``guard`` is asked first when a call is not ordinary; ``steps`` are the compiled steps up to and with forward.
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
        "form_guard",
        "guard",
        "holds_form",
        "journal_prefix",
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
        self.guard: Step = _unguarded
        self.form_guard: Step = _unguarded
        self.steps: tuple[Step, ...] = ()


def _unguarded(call: object) -> None:
    """The guard of a route that was not compiled."""


Match = tuple[Route, bytes]
"""A route, and the raw path to send upstream (without the Api's base path)."""


class Snapshot:
    """All routes of one version. Immutable, once compiled, but for the bounded memory of matched paths."""

    def __init__(self, *, version: int, checksum: str) -> None:
        self.version = version
        self.checksum = checksum
        self.routes: list[Route] = []
        self.conflicts: list[str] = []
        self.seen: dict[tuple[str, str, bytes], Match] = {}
        self._stages: dict[str, RouteTrie[Route]] = {name: RouteTrie() for name in STAGES_BUILT_IN}

    def add(self, route: Route) -> None:
        """Serve one more route; one whose place is taken is named in ``conflicts`` instead."""
        self.routes.append(route)
        trie = self._stages.setdefault(route.stage.lower(), RouteTrie())
        template = route.base_path.rstrip("/") + route.template
        try:
            added = trie.add(route.method, template, route)
        except (TemplateInvalid, PathInvalid) as fault:
            self.conflicts.append(f"{route.method} {template} on {route.stage}: {fault}")
            return
        if not added:
            self.conflicts.append(f"{route.method} {template} on {route.stage}: another Api serves it")

    def routes_of(self, item: object) -> list[Route]:
        """The routes of the Api and stage that an item of the published form names; none when it names none."""
        if not isinstance(item, dict):
            return []
        named = (item.get("api_id"), item.get("stage"))
        return [route for route in self.routes if (route.api_id, route.stage) == named]

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


async def snapshot_compile(
    value: dict[str, Any], compile_steps: Callable[[Route], tuple[Step, ...]], *, before: Snapshot
) -> Snapshot:
    """Compile the published form ``{"version", "checksum", "apis"}``, in turns: calls go on meanwhile.

    An Api that cannot be compiled is named in ``conflicts``: one provider's mistake is not everybody's. The definition
    that ``before`` has of it stays in force. Raises ValueError, KeyError or TypeError when the form itself is malformed.
    """
    snapshot = Snapshot(version=int(value["version"]), checksum=str(value["checksum"]))
    compiled = 0
    for item in value["apis"]:
        own = []
        try:
            for route in _routes(item):
                route.steps = compile_steps(route)
                own.append(route)
                compiled += 1
                if compiled % ROUTES_PER_TURN == 0:
                    await asyncio.sleep(0)
        except Exception as fault:  # noqa: BLE001  # whatever is wrong with it, the others are served
            own = before.routes_of(item)
            state = "its definition before stays in force" if own else "it is not served"
            snapshot.conflicts.append(f"Api {_name(item)}: {state}: {fault!r}")
        for route in own:
            snapshot.add(route)
    return snapshot


def _routes(item: dict[str, Any]) -> Iterator[Route]:
    api = ApiDefinition.from_dict(item)
    for operation in api.operations:
        yield Route(api, operation)


def _name(item: object) -> str:
    return f"{item.get('api_name')!r} on {item.get('stage')!r}" if isinstance(item, dict) else "without a name"


def snapshot_empty() -> Snapshot:
    """The snapshot of a gateway that has never seen one: every call is answered I404NF."""
    return Snapshot(version=0, checksum="")


def snapshot_checksum(apis: Iterable[dict[str, Any]]) -> str:
    """The SHA-256, in hex, of the canonical JSON of a list of ``apis``. Item by item: snapshot_text.py pauses between two."""
    digest = hashlib.sha256(b"[")
    for position, item in enumerate(apis):
        text = json.dumps(item, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        digest.update((b"," if position else b"") + text.encode())
    digest.update(b"]")
    return digest.hexdigest()
