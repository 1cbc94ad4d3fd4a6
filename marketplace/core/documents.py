"""Reads the text of an OpenAPI document, YAML or JSON, into plain JSON values, within limits that hostile documents meet.

Only shape and size are judged here; whether it is an OpenAPI document is asked in ``core.openapi``.
"""

import json
import math
import re
from typing import Any

import yaml

TEXT_BYTES_MAX = 3 * 1024 * 1024
DEPTH_MAX = 64
"""Nested objects and arrays."""
NODES_MAX = 200_000
"""Values in the whole document, every alias counted as often as it is used."""
INTEGER_BITS_MAX = 64
_JSON_HEAD = re.compile(r"\ufeff?\s*(?:\{\s*\"|\[)")
"""Text that begins so is meant as JSON, and its faults are told in JSON's terms."""

Fault = tuple[str, str]
"""A JSON pointer into the document, and what is wrong there."""


class DocumentUnreadable(ValueError):
    """The text is no document that we read; ``faults`` says where and why."""

    def __init__(self, *faults: Fault) -> None:
        super().__init__("; ".join(text for _, text in faults))
        self.faults = list(faults)


def document_load(text: str) -> dict[str, Any]:
    """Return the document as plain JSON values (text keys, finite numbers, valid Unicode). Raises DocumentUnreadable."""
    if len(text) > TEXT_BYTES_MAX or len(text.encode("utf-8", "surrogatepass")) > TEXT_BYTES_MAX:
        raise DocumentUnreadable(("", f"The document is larger than {TEXT_BYTES_MAX // 1024 // 1024} MiB"))
    if not text.strip():
        raise DocumentUnreadable(("", "The document is empty"))
    loaded = _json_load(text) if text.lstrip("\ufeff \t\r\n")[:1] in ("{", "[") else _Unread
    value = _yaml_load(text.lstrip("\ufeff")) if loaded is _Unread else loaded
    if not isinstance(value, dict):
        raise DocumentUnreadable(("", "The document must be an object with openapi, info and paths"))
    plain = _plain(value, "", 0, _Budget())
    assert isinstance(plain, dict)
    return plain


def pointer_join(pointer: str, *names: str | int) -> str:
    """Return ``pointer`` with ``names`` appended, each escaped as RFC 6901 asks."""
    return pointer + "".join("/" + str(name).replace("~", "~0").replace("/", "~1") for name in names)


def pointer_split(pointer: str) -> list[str]:
    """Return the names that ``pointer`` was joined of; none for the whole document."""
    return [part.replace("~1", "/").replace("~0", "~") for part in pointer.split("/")[1:]]


class _Unread:
    """Marks text that starts like JSON and is not: flow-style YAML, perhaps."""


class _Budget:
    """Counts the values that are still allowed."""

    def __init__(self) -> None:
        self.left = NODES_MAX

    def spend(self, count: int) -> None:
        self.left -= count
        if self.left < 0:
            raise DocumentUnreadable(("", f"The document has more than {NODES_MAX} values"))


def _json_load(text: str) -> Any:
    try:
        return json.loads(text.lstrip("\ufeff"), object_pairs_hook=_pairs_once, parse_constant=_constant_refuse)
    except RecursionError:
        raise DocumentUnreadable(("", f"The document is nested deeper than {DEPTH_MAX} levels")) from None
    except json.JSONDecodeError as error:
        if _JSON_HEAD.match(text):
            where = f"line {error.lineno}, column {error.colno}"
            raise DocumentUnreadable(("", f"Not valid JSON: {error.msg} ({where})")) from None
        return _Unread
    except DocumentUnreadable:
        raise
    except ValueError as error:
        raise DocumentUnreadable(("", f"Not valid JSON: {error}")) from None


def _pairs_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise DocumentUnreadable(("", f"The key {twice!r} occurs twice in one object"))
    return found


def _constant_refuse(name: str) -> Any:
    raise DocumentUnreadable(("", f"{name} is not a JSON number"))


class _Loader(yaml.CSafeLoader):
    """YAML as OpenAPI asks for it: the JSON schema of YAML 1.2 (no dates, no yes/no, no octal), unique keys."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, Any]]] = {}


def _resolvers_add() -> None:
    for tag, pattern, firsts in (
        ("bool", r"^(?:true|True|TRUE|false|False|FALSE)$", list("tTfF")),
        ("int", r"^[-+]?[0-9]{1,40}$", list("-+0123456789")),
        ("float", r"^[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]{1,4})?$", list("-+.0123456789")),
        ("null", r"^(?:~|null|Null|NULL|)$", ["~", "n", "N", ""]),
    ):
        _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{tag}", re.compile(pattern), firsts)
    _Loader.add_constructor("tag:yaml.org,2002:int", _integer_construct)
    _Loader.add_constructor("tag:yaml.org,2002:map", _mapping_construct)


def _integer_construct(loader: Any, node: Any) -> int:
    return int(loader.construct_scalar(node))


def _mapping_construct(loader: Any, node: yaml.MappingNode) -> Any:
    found: dict[Any, Any] = {}
    yield found
    for key_node, value_node in node.value:
        if not isinstance(key_node, yaml.ScalarNode):
            raise yaml.MarkedYAMLError(problem="a key must be text", problem_mark=key_node.start_mark)
        key = key_node.value
        if key in found:
            raise yaml.MarkedYAMLError(problem=f"the key {key!r} occurs twice", problem_mark=key_node.start_mark)
        found[key] = loader.construct_object(value_node, deep=True)


_resolvers_add()


def _yaml_load(text: str) -> Any:
    try:
        _yaml_bound(text)
        loader = _Loader(text)
        try:
            return loader.get_single_data()
        finally:
            loader.dispose()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f" (line {mark.line + 1}, column {mark.column + 1})" if mark else ""
        raise DocumentUnreadable(("", f"Not valid YAML: {error.problem or error.context}{where}")) from None
    except (yaml.YAMLError, UnicodeError, ValueError) as error:
        if isinstance(error, DocumentUnreadable):
            raise
        raise DocumentUnreadable(("", f"Not valid YAML: {' '.join(str(error).split())[:200]}")) from None
    except RecursionError:
        raise DocumentUnreadable(("", f"The document is nested deeper than {DEPTH_MAX} levels")) from None


def _yaml_bound(text: str) -> None:
    """Walk the parser's events, which build nothing, and refuse depth and size before anything is built."""
    depth = 0
    for count, event in enumerate(yaml.parse(text, Loader=_Loader)):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if depth > DEPTH_MAX:
            raise DocumentUnreadable(("", f"The document is nested deeper than {DEPTH_MAX} levels"))
        if count > 2 * NODES_MAX:
            raise DocumentUnreadable(("", f"The document has more than {NODES_MAX} values"))


def _plain(value: Any, pointer: str, depth: int, budget: _Budget) -> Any:
    """Copy ``value`` as a tree, so that aliases are counted as often as they are used, and check every scalar."""
    if not isinstance(value, dict | list):
        _scalar_check(value, pointer)
        return value
    if depth >= DEPTH_MAX:
        raise DocumentUnreadable(
            (pointer, f"The document is nested deeper than {DEPTH_MAX} levels (or refers to itself)")
        )
    budget.spend(len(value))
    if isinstance(value, list):
        return [_plain(child, pointer_join(pointer, index), depth + 1, budget) for index, child in enumerate(value)]
    plain = {}
    for name, child in value.items():
        _scalar_check(name, pointer)
        plain[name] = _plain(child, pointer_join(pointer, name), depth + 1, budget)
    return plain


def _scalar_check(value: Any, pointer: str) -> None:
    if isinstance(value, str):
        if "\x00" in value:
            raise DocumentUnreadable((pointer, "Text with a NUL character"))
        if not value.isascii() and any("\ud800" <= character <= "\udfff" for character in value):
            raise DocumentUnreadable((pointer, "Text that is not valid Unicode"))
    elif isinstance(value, float) and not math.isfinite(value):
        raise DocumentUnreadable((pointer, "A number that is not finite"))
    elif isinstance(value, int) and value.bit_length() > INTEGER_BITS_MAX:
        raise DocumentUnreadable((pointer, "A number larger than 64 bits"))
    elif value is not None and not isinstance(value, bool | int | float):
        raise DocumentUnreadable(
            (pointer, f"A value of the YAML type {type(value).__name__}, which JSON does not have")
        )
