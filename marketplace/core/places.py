"""Says where in a document's text a JSON pointer lies, as a person looks for it: the line, and the place in words.

What is wrong there is found in ``core.openapi``; the text was read within limits in ``core.documents`` before.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

import yaml

from marketplace.core.documents import pointer_join, pointer_split
from marketplace.core.openapi import METHODS

_OPERATIONS = frozenset({*METHODS, "trace"})
_LISTS = frozenset(
    {"parameters", "servers", "tags", "security", "enum", "required", "allOf", "anyOf", "oneOf", "prefixItems"}
)
"""Names whose values are lists: a number below them is an index, elsewhere it is a name such as a status."""


@dataclass(slots=True)
class _Level:
    """A mapping or sequence that is being walked: where it lies, and what its next value is."""

    pointer: str
    is_mapping: bool
    index: int = 0
    key: str | None = None
    key_line: int = 0


@dataclass(slots=True)
class _Walk:
    """The walk through a text's events; ``lines`` gets the line of each wanted pointer."""

    wanted: frozenset[str]
    levels: list[_Level] = field(default_factory=list)
    lines: dict[str, int] = field(default_factory=dict)

    def value(self, line: int) -> str:
        """A value begins at ``line``: note it and return its pointer. A mapping's value counts from its key's line."""
        if not self.levels:
            return ""
        level = self.levels[-1]
        name: str | int = level.index if level.key is None else level.key
        pointer = pointer_join(level.pointer, name)
        if pointer in self.wanted:
            self.lines.setdefault(pointer, level.key_line if level.is_mapping else line)
        level.index += 1
        level.key = None
        return pointer

    def event(self, event: yaml.Event) -> None:
        """Take one event of the parser."""
        if isinstance(event, yaml.CollectionEndEvent):
            self.levels.pop()
        elif isinstance(event, yaml.NodeEvent):
            line = event.start_mark.line + 1 if event.start_mark else 0
            level = self.levels[-1] if self.levels else None
            if level is not None and level.is_mapping and level.key is None:
                level.key, level.key_line = str(getattr(event, "value", "")), line
                return
            pointer = self.value(line)
            if isinstance(event, yaml.CollectionStartEvent):
                self.levels.append(_Level(pointer, isinstance(event, yaml.MappingStartEvent)))


def lines_find(text: str, pointers: Iterable[str]) -> dict[str, int]:
    """The line (from 1) of each pointer into a YAML or JSON text.

    What is missing from the text, or behind an alias, gets the line of the nearest place above it that is there; a pointer to
    the whole document, and a text that is neither, get none.
    """
    asked = list(pointers)
    walk = _Walk(frozenset(above for pointer in asked for above in _chain(pointer)))
    try:
        for event in yaml.parse(text.lstrip("\ufeff"), Loader=yaml.CSafeLoader):
            walk.event(event)
    except (yaml.YAMLError, UnicodeError):
        pass  # the lines before the fault are right
    found = {
        pointer: next((walk.lines[above] for above in _chain(pointer) if above in walk.lines), 0) for pointer in asked
    }
    return {pointer: line for pointer, line in found.items() if line}


def place_in_words(pointer: str) -> str:
    """``/paths/~1pets/get/parameters/0/name`` as ``GET /pets › parameters[0] › name``; empty for the whole document."""
    parts = pointer_split(pointer)
    words: list[str] = []
    if parts[:1] == ["paths"] and len(parts) > 1:
        is_operation = len(parts) > 2 and parts[2] in _OPERATIONS
        words.append(f"{parts[2].upper()} {parts[1]}" if is_operation else parts[1])
        parts = parts[3:] if is_operation else parts[2:]
    for part in parts:
        if words and part.isdecimal() and words[-1] in _LISTS:
            words[-1] += f"[{part}]"
        else:
            words.append(part)
    return " › ".join(words)


def _chain(pointer: str) -> list[str]:
    """The pointer and the places above it, the nearest first, without the whole document."""
    parts = pointer.split("/")[1:]
    return ["/" + "/".join(parts[:count]) for count in range(len(parts), 0, -1)]
