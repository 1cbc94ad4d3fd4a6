"""What in a document's JSON Schemas readers will stumble over: types that do not exist. Schemas are never run here.

The official schema of OpenAPI 3.0 says of such a place only that nothing fits, and that of 3.1 does not look inside schemas.
"""

from collections.abc import Iterator
from typing import Any

from marketplace.core.documents import Fault, pointer_join

TYPES = ("string", "integer", "number", "boolean", "array", "object", "null")
_VALUES = frozenset({"example", "examples", "default", "enum", "const"})
"""Below these keys lie values of strangers, which may have a ``type`` of their own."""


def types_unknown(document: dict[str, Any]) -> Iterator[Fault]:
    """Yield a place and a text for each ``type`` in a schema that JSON Schema does not have."""
    stack: list[tuple[str, Any, bool]] = [("", document, False)]
    while stack:
        pointer, value, is_schema = stack.pop()
        if isinstance(value, list):
            stack.extend((pointer_join(pointer, index), child, is_schema) for index, child in enumerate(value))
        if not isinstance(value, dict):
            continue
        if is_schema:
            yield from _type_read(value.get("type"), pointer_join(pointer, "type"))
        for name, child in value.items():
            if name not in _VALUES and isinstance(child, dict | list):
                is_inside = is_schema or name == "schema" or (name == "schemas" and pointer == "/components")
                stack.append((pointer_join(pointer, name), child, is_inside))


def _type_read(kind: Any, pointer: str) -> Iterator[Fault]:
    for one in kind if isinstance(kind, list) else [kind]:
        if isinstance(one, str) and one not in TYPES:
            yield pointer, f"{one[:40]!r} is no type; write one of: {', '.join(TYPES)}"
