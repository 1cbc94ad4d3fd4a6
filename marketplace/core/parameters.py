"""ParameterSpec: name, place, type, required and default of one declared parameter, read from OpenAPI. Is this spec sane?

Checking a call's values against specs is the gateway's work.
"""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from marketplace.core.documents import Fault, pointer_join
from marketplace.core.references import ReferenceBroken, reference_resolve
from marketplace.core.schemas import TYPES

PLACES = ("path", "query", "header", "cookie")
NAME_LENGTH_MAX = 128
PARAMETERS_MAX = 100
"""Parameters of one operation."""
IGNORED_HEADERS = frozenset({"accept", "content-type", "authorization"})
"""Header parameters that OpenAPI tells readers to ignore; they are declared elsewhere."""


@dataclass(frozen=True, slots=True)
class ParameterSpec:
    """One parameter of an operation. ``type`` is empty when the document leaves it open; ``schema`` is as declared."""

    name: str
    place: str
    type: str = ""
    is_required: bool = False
    default: Any = None
    description: str = ""
    example: Any = None
    schema: dict[str, Any] | None = None

    def to_dict(self) -> dict[str, Any]:
        """The form in which an Operation keeps it."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class ParameterRead:
    """One Parameter Object as read: the spec, or None and the ``faults``. ``warnings``: what it says and we do not take."""

    spec: ParameterSpec | None
    faults: tuple[Fault, ...] = ()
    warnings: tuple[Fault, ...] = ()


def parameter_read(document: dict[str, Any], value: Any, pointer: str) -> ParameterRead:
    """Read one Parameter Object (or a reference to one). A type that we do not know leaves the spec's type open."""
    try:
        value = reference_resolve(document, value)
    except ReferenceBroken as error:
        return ParameterRead(None, faults=((pointer, str(error)),))
    if not isinstance(value, dict):
        return ParameterRead(None, faults=((pointer, "A parameter must be an object"),))
    faults = tuple(_faults(value, pointer))
    if faults:
        return ParameterRead(None, faults)
    schema = _schema_of(document, value)
    kind = schema.get("type", "")
    if isinstance(kind, list):
        kind = next((name for name in kind if name != "null"), "")
    spec = ParameterSpec(
        name=value["name"],
        place=value["in"],
        type=kind if kind in TYPES else "",
        is_required=value.get("required") is True or value["in"] == "path",
        default=schema.get("default"),
        description=str(value.get("description") or "")[:2_000],
        example=value.get("example", schema.get("example")),
        schema=schema or None,
    )
    return ParameterRead(spec, warnings=tuple(_warnings(value, pointer)))


def parameters_merge(common: list[ParameterSpec], own: list[ParameterSpec]) -> list[ParameterSpec]:
    """Return an operation's parameters: its own, and those of its path that it does not override (by place and name)."""
    merged = {(spec.place, _key(spec)): spec for spec in common}
    merged.update({(spec.place, _key(spec)): spec for spec in own})
    return [spec for spec in merged.values() if not (spec.place == "header" and spec.name.lower() in IGNORED_HEADERS)]


def _key(spec: ParameterSpec) -> str:
    return spec.name.lower() if spec.place == "header" else spec.name


def _schema_of(document: dict[str, Any], value: dict[str, Any]) -> dict[str, Any]:
    schema = value.get("schema")
    if schema is None and isinstance(value.get("content"), dict):
        media = next(iter(value["content"].values()), None)
        schema = media.get("schema") if isinstance(media, dict) else None
    try:
        schema = reference_resolve(document, schema)
    except ReferenceBroken:
        return {}
    return schema if isinstance(schema, dict) else {}


def _faults(value: dict[str, Any], pointer: str) -> Iterator[Fault]:
    name, place = value.get("name"), value.get("in")
    if not isinstance(name, str) or not 1 <= len(name) <= NAME_LENGTH_MAX:
        yield pointer_join(pointer, "name"), f"A parameter has a name of 1 to {NAME_LENGTH_MAX} characters"
    if place not in PLACES:
        hint = " (a body is declared by requestBody in OpenAPI 3)" if place in ("body", "formData") else ""
        yield pointer_join(pointer, "in"), f"Must be one of: {', '.join(PLACES)}{hint}"


def _warnings(value: dict[str, Any], pointer: str) -> Iterator[Fault]:
    if value["in"] == "path" and value.get("required") is not True:
        yield pointer_join(pointer, "required"), "A path parameter must say required: true; it is taken as required"
