"""The grammar of path templates and base paths: parse, check, and tell when two templates would match the same calls.

A template is ``/`` and segments. A segment is literal text, one ``{parameter}``, a pattern of both such as ``{name}.json``, or
(only as the last) a tail ``{rest+}`` that takes the rest of the path. Matching a call's path to a template is the gateway's
work (gateway.core.routes).
"""

import re
from dataclasses import dataclass

TEMPLATE_LENGTH_MAX = 300
BASE_PATH_LENGTH_MAX = 120
SEGMENTS_MAX = 32
RESERVED_FIRST_SEGMENTS = frozenset({"livez", "readyz", "metrics", "_tollgate", ".well-known"})
"""First segments that the gateway keeps for itself."""

_LITERAL = re.compile(r"(?:[A-Za-z0-9\-._~!$&'()*+,;=:@]|%[0-9A-Fa-f]{2})*\Z")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.\-]{0,63}\Z")
_BRACES = re.compile(r"\{([^{}]*)\}")


class MalformedPath(ValueError):
    """The text is not a path of our grammar; the message says what to change."""


@dataclass(frozen=True, slots=True)
class PathTemplate:
    """A parsed template: its segments, parameters written as ``{name}``."""

    segments: tuple[str, ...]

    @property
    def parameters(self) -> tuple[str, ...]:
        """Names of the parameters, in their order."""
        return tuple(name.removesuffix("+") for segment in self.segments for name in _BRACES.findall(segment))

    @property
    def shape(self) -> tuple[str, ...]:
        """The segments with every parameter nameless: templates of one shape match the same paths."""
        return tuple(
            "{+}" if segment.endswith("+}") and segment.startswith("{") else _BRACES.sub("{}", segment)
            for segment in self.segments
        )

    def __str__(self) -> str:
        return "/" + "/".join(self.segments)


def template_parse(text: str) -> PathTemplate:
    """Parse a path template such as ``/pets/{petId}``. Raises MalformedPath. ``/pets/`` keeps its empty last segment."""
    if not text.startswith("/"):
        raise MalformedPath("A path starts with /")
    if len(text) > TEMPLATE_LENGTH_MAX:
        raise MalformedPath(f"A path has at most {TEMPLATE_LENGTH_MAX} characters")
    segments = tuple(text[1:].split("/"))
    if len(segments) > SEGMENTS_MAX:
        raise MalformedPath(f"A path has at most {SEGMENTS_MAX} segments")
    for position, segment in enumerate(segments):
        _segment_check(segment, is_last=position == len(segments) - 1)
    template = PathTemplate(segments)
    if len(set(template.parameters)) != len(template.parameters):
        raise MalformedPath("A parameter name occurs twice in the path")
    return template


def base_path_parse(text: str) -> str:
    """Return the base path ``/a/b`` in its one form (no slash at the end). Raises MalformedPath."""
    path = text.strip()
    if not path.startswith("/"):
        raise MalformedPath("A base path starts with /, such as /weather")
    path = path.rstrip("/")
    if not path:
        raise MalformedPath("A base path has at least one segment, such as /weather")
    if len(path) > BASE_PATH_LENGTH_MAX:
        raise MalformedPath(f"A base path has at most {BASE_PATH_LENGTH_MAX} characters")
    for segment in path[1:].split("/"):
        if not re.fullmatch(r"[A-Za-z0-9\-._~]+", segment) or segment in (".", ".."):
            raise MalformedPath("A base path has segments of letters, digits, and - . _ ~ only")
    if path[1:].split("/")[0].lower() in RESERVED_FIRST_SEGMENTS:
        raise MalformedPath(f"/{path[1:].split('/')[0]} is kept for the gateway itself; choose another base path")
    return path


def base_paths_overlap(first: str, second: str) -> bool:
    """Return whether one base path equals or lies below the other: both could then claim the same call."""
    return first == second or first.startswith(second + "/") or second.startswith(first + "/")


def _segment_check(segment: str, *, is_last: bool) -> None:
    if not segment:
        if not is_last:
            raise MalformedPath("A path has no empty segment (//)")
        return
    if segment in (".", ".."):
        raise MalformedPath("A path has no . or .. segment")
    if segment == "*":
        raise MalformedPath("Write a tail as {rest+}, or a literal star as %2A")
    names = _BRACES.findall(segment)
    if names == [segment[1:-1]] and is_last:
        names = [segment[1:-1].removesuffix("+")]
    for name in names:
        if not _NAME.match(name):
            raise MalformedPath(
                f"{segment!r}: a parameter has a name of letters, digits, _ . and -, such as {{petId}}; "
                "only the last segment can be a tail such as {rest+}"
            )
    literal = _BRACES.sub("", segment)
    if "{" in literal or "}" in literal or "}{" in segment:
        raise MalformedPath(f"{segment!r} has braces that do not pair, or two parameters with nothing between them")
    if not _LITERAL.match(literal):
        raise MalformedPath(f"{segment!r} has a character that a path cannot have; percent-encode it")
