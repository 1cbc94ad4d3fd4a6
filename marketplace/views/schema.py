"""Reads JSON Schema for the reference pages: a tree to show, and an example to send. References are followed within limits.

Schemas come from strangers' documents: depth, width and text are bounded, and a reference that leads in a circle ends.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from marketplace.core.documents import pointer_split

DEPTH_MAX = 7
"""Levels of a schema tree that a page shows."""
NODES_MAX = 400
"""Rows of a schema tree that a page shows."""
EXAMPLE_DEPTH_MAX = 5
EXAMPLE_NODES_MAX = 500
"""Values that one example holds; what comes after is left out."""
TEXT_MAX = 2_000

SAMPLES: dict[str, Any] = {
    "string": "string",
    "integer": 1,
    "number": 1.5,
    "boolean": True,
    "null": None,
}
FORMAT_SAMPLES = {
    "date": "2026-01-31",
    "date-time": "2026-01-31T12:00:00Z",
    "uuid": "0190b5a2-7c1e-7000-8000-000000000000",
    "email": "person@example.com",
    "uri": "https://example.com",
    "ipv4": "192.0.2.1",
}


_WORDS = (
    ("oneOf", "one of"),
    ("anyOf", "any of"),
    ("properties", "object"),
    ("allOf", "object"),
    ("enum", "enum"),
)
"""How a schema without a type is called, by the first key that it has."""


@dataclass(slots=True)
class Node:
    """One row of the tree: a property, an array's item, or an alternative."""

    name: str
    type: str
    description: str = ""
    is_required: bool = False
    is_deprecated: bool = False
    rules: list[str] = field(default_factory=list)
    children: list["Node"] = field(default_factory=list)


class SchemaReader:
    """Reads schemas of one document; counts nodes, so that a huge document makes a page of bounded size."""

    def __init__(self, document: Mapping[str, Any] | None = None) -> None:
        self.document = document or {}
        self.nodes = 0
        self.values = 0

    def resolve(self, schema: Any) -> dict[str, Any]:
        """Follow a local ``$ref`` (``#/a/b``), at most DEPTH_MAX of them; anything else is an empty schema."""
        for _hop in range(DEPTH_MAX):
            if not isinstance(schema, dict):
                return {}
            target = schema.get("$ref")
            if not isinstance(target, str):
                return schema
            if not target.startswith("#/"):
                return {}
            found: Any = self.document
            for key in pointer_split(target[1:]):
                found = found.get(key) if isinstance(found, dict) else None
            schema = found
        return {}

    def tree(self, schema: Any, *, name: str = "", is_required: bool = False, depth: int = 0) -> Node:
        """The tree of a schema."""
        self.nodes += 1
        schema = self.resolve(schema)
        node = Node(
            name=name,
            type=self.type_text(schema),
            description=str(schema.get("description") or "")[:TEXT_MAX],
            is_required=is_required,
            is_deprecated=bool(schema.get("deprecated")),
            rules=rules_of(schema),
        )
        if depth < DEPTH_MAX and self.nodes < NODES_MAX:
            node.children = self._children(schema, depth)
        return node

    def type_text(self, schema: Mapping[str, Any]) -> str:
        """``array of string``, ``integer (int64)``, ``one of``, …"""
        kind = schema.get("type")
        if isinstance(kind, list):
            text = " | ".join(str(one) for one in kind[:5])
        elif kind == "array":
            text = f"array of {self.type_text(self.resolve(schema.get('items')))}"
        elif kind:
            text = str(kind)
        else:
            text = next((word for key, word in _WORDS if key in schema), "any")
        shape = schema.get("format")
        return f"{text} ({shape})" if isinstance(shape, str) else text

    def _children(self, schema: Mapping[str, Any], depth: int) -> list[Node]:
        children: list[Node] = []
        if depth >= DEPTH_MAX:
            return children
        for part in _listed(schema.get("allOf")):
            children += self._children(self.resolve(part), depth + 1)
        required = set(map(str, _listed(schema.get("required"))))
        properties = schema.get("properties")
        if isinstance(properties, dict):
            for key, value in properties.items():
                if self.nodes >= NODES_MAX:
                    break
                children.append(self.tree(value, name=str(key), is_required=str(key) in required, depth=depth + 1))
        items = self.resolve(schema.get("items")) if "items" in schema else {}
        if items:
            children += self._children(items, depth + 1)
        for word in ("oneOf", "anyOf"):
            for at, part in enumerate(_listed(schema.get(word))[:20]):
                if self.nodes >= NODES_MAX:
                    break
                resolved = self.resolve(part)
                children.append(self.tree(resolved, name=str(resolved.get("title") or f"{at + 1}"), depth=depth + 1))
        extra = schema.get("additionalProperties")
        if isinstance(extra, dict) and extra:
            children.append(self.tree(extra, name="*", depth=depth + 1))
        return children

    def example(self, schema: Any) -> Any:
        """A value that fits: the schema's own example, default or first choice, else one made from its type."""
        self.values = 0
        return self._example(schema, 0)

    def _example(self, schema: Any, depth: int) -> Any:
        self.values += 1
        schema = self.resolve(schema)
        for key in ("example", "default", "const"):
            if key in schema:
                return schema[key]
        for key in ("examples", "enum"):
            if _listed(schema.get(key)):
                return schema[key][0]
        kind = schema.get("type")
        kind = kind[0] if isinstance(kind, list) and kind else kind
        if depth >= EXAMPLE_DEPTH_MAX or self.values >= EXAMPLE_NODES_MAX:
            return {} if kind == "object" else [] if kind == "array" else SAMPLES.get(str(kind))
        for word in ("oneOf", "anyOf"):
            if _listed(schema.get(word)):
                return self._example(schema[word][0], depth + 1)
        if kind == "array":
            return [self._example(schema.get("items"), depth + 1)]
        if kind == "object" or "properties" in schema or "allOf" in schema:
            return self._example_object(schema, depth)
        if kind == "string" and str(schema.get("format")) in FORMAT_SAMPLES:
            return FORMAT_SAMPLES[str(schema["format"])]
        return SAMPLES.get(str(kind), "string")

    def _example_object(self, schema: Mapping[str, Any], depth: int) -> dict[str, Any]:
        value: dict[str, Any] = {}
        for part in _listed(schema.get("allOf")):
            inner = self._example(part, depth + 1)
            value |= inner if isinstance(inner, dict) else {}
        properties = schema.get("properties")
        if isinstance(properties, dict):
            value |= {str(key): self._example(inner, depth + 1) for key, inner in list(properties.items())[:50]}
        return value


def rules_of(schema: Mapping[str, Any]) -> list[str]:
    """The limits of a schema as short texts: ``>= 1``, ``max 80 characters``, choices."""
    words = (
        ("minimum", "≥ {}"), ("exclusiveMinimum", "> {}"), ("maximum", "≤ {}"), ("exclusiveMaximum", "< {}"),
        ("minLength", "length ≥ {}"), ("maxLength", "length ≤ {}"), ("minItems", "items ≥ {}"), ("maxItems", "items ≤ {}"),
        ("pattern", "pattern {}"), ("default", "default {}"),
    )  # fmt: skip
    rules = [
        text.format(str(schema[key])[:120])
        for key, text in words
        if key in schema and not isinstance(schema[key], bool)
    ]
    choices = [str(one) for one in _listed(schema.get("enum"))]
    if choices:
        rules.append(" | ".join(choices[:20]) + (" | …" if len(choices) > 20 else ""))
    return rules


def example_of(holder: Mapping[str, Any], document: Mapping[str, Any] | None = None) -> Any:
    """The example of a parameter or media type: its own, else one made from its schema."""
    if "example" in holder:
        return holder["example"]
    examples = holder.get("examples")
    if isinstance(examples, dict) and examples:
        first = next(iter(examples.values()))
        if isinstance(first, dict) and "value" in first:
            return first["value"]
    return SchemaReader(document).example(holder.get("schema"))


def parameter_example(parameter: Mapping[str, Any], document: Mapping[str, Any] | None = None) -> Any:
    """The example of a stored ParameterSpec: its own, its default, or one made from its schema."""
    for key in ("example", "default"):
        if parameter.get(key) is not None:
            return parameter[key]
    return SchemaReader(document).example(parameter.get("schema") or {"type": parameter.get("type") or "string"})


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
