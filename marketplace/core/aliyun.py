"""The ``x-aliyun-apigateway-*`` extensions that map to our policies and upstream (names as in Alibaba Cloud's Swagger import).

Ours hold for a whole Api, theirs for one operation: where operations differ, the stricter choice is taken, with a warning.
"""

from dataclasses import dataclass, field
from typing import Any

from marketplace.core.documents import Fault, pointer_join, pointer_split
from marketplace.core.references import ReferenceBroken, reference_resolve

PREFIX = "x-aliyun-apigateway-"
TIMEOUT_MS_MAX = 300_000
_HANDLING = (f"{PREFIX}parameter-handling", f"{PREFIX}paramater-handling")
_MAPPING_ONLY = (
    f"{PREFIX}system-parameters",
    f"{PREFIX}constant-parameters",
    f"{PREFIX}request-config",
)


@dataclass(frozen=True, slots=True)
class PolicyHints:
    """What the extensions ask for. ``policies`` holds only fields of ApiPolicies that they mention."""

    policies: dict[str, Any] = field(default_factory=dict)
    upstream_url: str = ""
    timeout_ms: int = 0


def hints_read(document: dict[str, Any], pointers: list[str]) -> tuple[PolicyHints, list[Fault]]:
    """Read the extensions of the operations at ``pointers``. Returns the hints and warnings."""
    operations = [(pointer, _operation_at(document, pointer)) for pointer in pointers]
    warnings: list[Fault] = []
    policies: dict[str, Any] = {}
    _auth_read(operations, policies, warnings)
    _nonce_read(operations, policies, warnings)
    upstream_url, timeout_ms = _backend_read(operations, warnings)
    warnings += [
        (pointer_join(pointer, name), "Calls are forwarded as they come; parameter mapping is not applied")
        for pointer, operation in operations
        for name in _HANDLING
        if str(operation.get(name, "PASSTHROUGH")).upper() == "MAPPING"
    ]
    warnings += [
        (pointer_join(pointer, name), "Not applied")
        for pointer, operation in operations
        for name in _MAPPING_ONLY
        if name in operation
    ]
    return PolicyHints(policies, upstream_url, timeout_ms), warnings


def _auth_read(operations: list[tuple[str, dict[str, Any]]], policies: dict[str, Any], warnings: list[Fault]) -> None:
    name = f"{PREFIX}auth-type"
    said = [(pointer, str(operation.get(name, "APP")).upper()) for pointer, operation in operations]
    if not any(name in operation for _, operation in operations):
        return
    policies["auth"] = "anonymous" if all(kind == "ANONYMOUS" for _, kind in said) else "app"
    for pointer, kind in said:
        if kind not in ("APP", "ANONYMOUS"):
            warnings.append((pointer_join(pointer, name), f"{kind[:40]} is not offered; calls need an app"))
        elif kind == "ANONYMOUS" and policies["auth"] == "app":
            warnings.append(
                (pointer_join(pointer, name), "Authentication holds for the whole API; calls need an app here too")
            )


def _nonce_read(operations: list[tuple[str, dict[str, Any]]], policies: dict[str, Any], warnings: list[Fault]) -> None:
    name = f"{PREFIX}api-force-nonce-check"
    said = [_is_true(operation.get(name)) for _, operation in operations if name in operation]
    if not said:
        return
    policies["nonce_required"] = any(said)
    if any(said) and sum(said) < len(operations):
        warnings.append(("/paths", "A nonce is asked for by some operations; it will be needed for the whole API"))


def _backend_read(operations: list[tuple[str, dict[str, Any]]], warnings: list[Fault]) -> tuple[str, int]:
    name = f"{PREFIX}backend"
    addresses: dict[str, None] = {}
    timeout_ms = 0
    for pointer, operation in operations:
        backend = operation.get(name)
        if not isinstance(backend, dict):
            continue
        here = pointer_join(pointer, name)
        if str(backend.get("type", "HTTP")).upper() != "HTTP" or not isinstance(backend.get("address"), str):
            warnings.append((here, "Only backends of type HTTP with an address are taken; set the upstream yourself"))
            continue
        addresses.setdefault(backend["address"])
        timeout_ms = max(timeout_ms, _milliseconds(backend.get("timeout")))
    if len(addresses) > 1:
        warnings.append(
            ("/paths", "Operations name several backends; one API has one upstream a stage: the first is suggested")
        )
    return next(iter(addresses), ""), min(timeout_ms, TIMEOUT_MS_MAX)


def _operation_at(document: dict[str, Any], pointer: str) -> dict[str, Any]:
    _, path, method = pointer_split(pointer)
    item = document["paths"][path]
    try:
        operation = reference_resolve(document, item)[method]
    except ReferenceBroken:
        return {}
    return operation if isinstance(operation, dict) else {}


def _is_true(value: Any) -> bool:
    return value is True or (isinstance(value, str) and value.lower() == "true")


def _milliseconds(value: Any) -> int:
    text = str(value)
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 9 else 0
