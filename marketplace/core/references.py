"""``$ref`` inside one document: refuse those that leave it, follow those that stay."""

from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote

from marketplace.core.documents import Fault, pointer_join

HOPS_MAX = 16
"""References to references that are followed."""
_POINTING = ("$ref", "$dynamicRef", "$recursiveRef", "operationRef")


class ReferenceBroken(ValueError):
    """The reference leads nowhere, or round in a circle."""


def references_faults(document: dict[str, Any]) -> Iterator[Fault]:
    """Yield a fault for each reference that leaves the document (never fetched: that would call a stranger's server) or is broken."""
    stack: list[tuple[str, Any]] = [("", document)]
    while stack:
        pointer, value = stack.pop()
        if isinstance(value, list):
            stack.extend((pointer_join(pointer, index), child) for index, child in enumerate(value))
            continue
        if not isinstance(value, dict):
            continue
        for name, child in value.items():
            here = pointer_join(pointer, name)
            if name in _POINTING and isinstance(child, str):
                yield from _target_faults(document, child, here)
            elif name == "$id" and isinstance(child, str):
                yield here, "$id gives a schema another base address; remove it"
            elif isinstance(child, dict | list):
                stack.append((here, child))


def reference_resolve(document: dict[str, Any], value: Any) -> Any:
    """Return ``value``, or what its ``$ref`` leads to (through at most HOPS_MAX more). Raises ReferenceBroken."""
    for _ in range(HOPS_MAX):
        if not isinstance(value, dict) or not isinstance(value.get("$ref"), str):
            return value
        value = _target(document, value["$ref"])
    raise ReferenceBroken("The references go round in a circle")


def _target_faults(document: dict[str, Any], reference: str, pointer: str) -> Iterator[Fault]:
    if not reference.startswith("#"):
        yield pointer, f"{reference[:100]!r} leaves the document; put what it refers to under components"
        return
    if reference == "#" or reference.startswith("#/"):
        try:
            _target(document, reference)
        except ReferenceBroken as error:
            yield pointer, str(error)


def _target(document: dict[str, Any], reference: str) -> Any:
    if reference == "#":
        return document
    if not reference.startswith("#/"):
        raise ReferenceBroken(
            f"{reference[:100]!r} is not a reference into this document such as #/components/schemas/Pet"
        )
    value: Any = document
    for part in reference[2:].split("/"):
        name = _unescape(part)
        if isinstance(value, dict) and name in value:
            value = value[name]
        elif isinstance(value, list) and name.isascii() and name.isdigit() and int(name[:6]) < len(value):
            value = value[int(name[:6])]
        else:
            raise ReferenceBroken(f"{reference[:100]!r} leads to nothing in this document")
    return value


def _unescape(part: str) -> str:
    if "%" in part:
        part = unquote(part)
    return part.replace("~1", "/").replace("~0", "~")
