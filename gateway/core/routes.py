"""Routes: from a request path to the path template that serves it. Pure; snapshot.py keeps what the templates lead to.

A path is split at raw slashes first and each segment is percent-decoded once, so ``%2F`` never separates. A literal segment
beats a pattern (``{name}.json``), a pattern beats a parameter (``{id}``), a parameter beats a tail (``{rest+}`` or ``*``).
"""

from __future__ import annotations

import re
from typing import Generic, TypeVar

T = TypeVar("T")

PATH_SEGMENTS_MAX = 128
ANY_METHOD = "ANY"

_ESCAPE = re.compile(rb"%([0-9A-Fa-f]{2})")
_BAD_ESCAPE = re.compile(rb"%(?![0-9A-Fa-f]{2})")
_CONTROL = re.compile(rb"[\x00-\x1f\x7f]")
_PIECES = re.compile(rb"[/\\]")
_PARAMETER = re.compile(r"\{([^{}]*)\}")


class PathInvalid(ValueError):
    """The path of a request cannot be matched safely; the text says why and is fit for the caller."""


class TemplateInvalid(ValueError):
    """A path template cannot be compiled."""


def percent_decode(raw: bytes) -> bytes:
    """Decode every well-formed ``%XX`` once. Raises PathInvalid on a malformed one."""
    if b"%" not in raw:
        return raw
    if _BAD_ESCAPE.search(raw):
        raise PathInvalid("has a malformed percent escape")
    return _ESCAPE.sub(lambda match: bytes((int(match[1], 16),)), raw)


def path_segments(path: bytes) -> list[bytes]:
    """Split a raw request path (beginning with ``/``) into decoded segments.

    Raises PathInvalid for what an upstream could read as another path than we do: dot segments in any spelling (also before
    a ``;`` parameter, or between encoded slashes), control characters, backslashes, malformed escapes, too many segments.
    """
    raw = path.split(b"/")
    if len(raw) > PATH_SEGMENTS_MAX + 1:
        raise PathInvalid(f"has more than {PATH_SEGMENTS_MAX} segments")
    if b"\\" in path:
        raise PathInvalid("has a backslash")
    segments = []
    for part in raw[1:]:
        segment = percent_decode(part)
        if _CONTROL.search(segment):
            raise PathInvalid("has a control character")
        for piece in _PIECES.split(segment):
            if piece.split(b";", 1)[0] in (b".", b".."):
                raise PathInvalid("has a dot segment")
        segments.append(segment)
    return segments


def template_segments(template: str) -> list[str]:
    """Split a path template into its segments; ``""`` and ``"/"`` are the root, which has none."""
    if template in ("", "/"):
        return []
    if not template.startswith("/"):
        raise TemplateInvalid(f"path template {template!r} must begin with a slash")
    return template[1:].split("/")


def path_drop(path: bytes, count: int) -> bytes:
    """The raw path without its first ``count`` segments, beginning with ``/`` unless nothing is left."""
    position = 0
    for _ in range(count):
        position = path.find(b"/", position + 1)
        if position < 0:
            return b""
    return path[position:]


class Pattern:
    """A template's segment with text beside its parameters, each of which takes one octet at least and no slash.

    ``texts``, decoded, stand before, between and after the parameters; ``weight``: the length of all of them. Raises
    PathInvalid when a text has a malformed escape.
    """

    __slots__ = ("_slashes", "texts", "weight")

    def __init__(self, segment: str) -> None:
        self.texts = [percent_decode(text.encode()) for text in _PARAMETER.split(segment)[::2]]
        whole = b"".join(self.texts)
        self.weight = len(whole)
        self._slashes = whole.count(b"/")

    def matches(self, segment: bytes) -> bool:
        """Whether a decoded segment has this form. One pass: strangers choose the segment, and what a regular expression
        tries for three parameters grows with the cube of its length."""
        first, *middle, last = self.texts
        if segment.count(b"/") != self._slashes or not segment.startswith(first):
            return False
        position = len(first)
        for text in middle:
            found = segment.find(text, position + 1)  # the earliest place leaves most to the rest
            if found < 0:
                return False
            position = found + len(text)
        return position + 1 + len(last) <= len(segment) and segment.endswith(last)


class _Node(Generic[T]):
    """One segment of the trie. ``ends`` and ``tails`` map a method to its target."""

    __slots__ = ("ends", "literals", "parameter", "patterns", "tails")

    def __init__(self) -> None:
        self.literals: dict[bytes, _Node[T]] = {}
        self.patterns: list[tuple[Pattern, _Node[T]]] = []
        self.parameter: _Node[T] | None = None
        self.ends: dict[str, T] = {}
        self.tails: dict[str, T] = {}


class RouteTrie(Generic[T]):
    """Path templates of one stage. Built once, then only read."""

    __slots__ = ("_root",)

    def __init__(self) -> None:
        self._root: _Node[T] = _Node()

    def add(self, method: str, template: str, target: T) -> bool:
        """Add a template. Returns False, changing nothing, when method and shape are taken. Raises TemplateInvalid."""
        node = self._root
        segments = template_segments(template)
        for position, segment in enumerate(segments):
            if segment == "*" or (segment.startswith("{") and segment.endswith("+}")):
                if position != len(segments) - 1:
                    raise TemplateInvalid(f"only the last segment of {template!r} may take the rest of the path")
                return node.tails.setdefault(method, target) is target
            node = self._child(node, segment)
        return node.ends.setdefault(method, target) is target

    def _child(self, node: _Node[T], segment: str) -> _Node[T]:
        if _PARAMETER.fullmatch(segment):
            node.parameter = node.parameter or _Node()
            return node.parameter
        if "{" not in segment and "}" not in segment:
            literal = percent_decode(segment.encode())
            return node.literals.setdefault(literal, _Node())
        pattern = Pattern(segment)
        for known, child in node.patterns:
            if known.texts == pattern.texts:
                return child
        child = _Node()
        node.patterns.append((pattern, child))
        node.patterns.sort(key=lambda row: -row[0].weight)
        return child

    def find(self, segments: list[bytes]) -> dict[str, T]:
        """The targets, by method, of the best template for decoded ``segments``; empty when there is none."""
        if segments == [b""]:
            segments = []
        return self._find(self._root, segments, 0)

    def _find(self, node: _Node[T], segments: list[bytes], position: int) -> dict[str, T]:
        if position == len(segments):
            return node.ends
        segment = segments[position]
        child = node.literals.get(segment)
        if child is not None and (found := self._find(child, segments, position + 1)):
            return found
        if segment:
            for pattern, child in node.patterns:
                if pattern.matches(segment) and (found := self._find(child, segments, position + 1)):
                    return found
            if node.parameter is not None and (found := self._find(node.parameter, segments, position + 1)):
                return found
        return node.tails
