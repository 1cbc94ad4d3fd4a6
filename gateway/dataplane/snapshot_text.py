"""The text of a snapshot, read in pieces in a thread, so that calls go on meanwhile. Compiling what it says is snapshot.py's.

One ``json.loads`` of it all would hold the interpreter from its first octet to its last, in a thread as well: 30 ms a megabyte.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator
from time import monotonic, sleep
from typing import Any, TypeVar

from gateway.dataplane.snapshot import snapshot_checksum

T = TypeVar("T")

WORK_S, PAUSE_S = 0.001, 0.0001
"""How long the interpreter is held at a time, but for what one Api takes, and how long others have it then."""
_SPACE = re.compile(r"[ \t\r\n]*")


def snapshot_read(raw: bytes) -> dict[str, Any]:
    """The published form, if it is whole. Raises ValueError, KeyError or TypeError."""
    value = _Text(raw.decode(), _Pace()).document()
    if snapshot_checksum(_paced(value["apis"])) != value["checksum"]:
        raise ValueError("the checksum does not match its content")
    return value


class _Pace:
    """Lets other threads work now and then. Sleeping for no time at all would not do: the sleeper is back before they wake."""

    def __init__(self) -> None:
        self._until = monotonic() + WORK_S

    def breathe(self) -> None:
        """Pause, if it is time."""
        if monotonic() > self._until:
            sleep(PAUSE_S)
            self._until = monotonic() + WORK_S


def _paced(items: Iterable[T]) -> Iterator[T]:
    pace = _Pace()
    for item in items:
        pace.breathe()
        yield item


class _Text:
    """A JSON object whose lists are read element by element. Raises ValueError where it is none."""

    def __init__(self, text: str, pace: _Pace) -> None:
        self._text = text
        self._pace = pace
        self._position = 0
        self._decode = json.JSONDecoder().raw_decode

    def document(self) -> dict[str, Any]:
        """All of it."""
        self._take("{")
        value = dict(self._until("}", self._member))
        if self._next():
            raise ValueError("the document goes on after its end")
        return value

    def _member(self) -> tuple[str, Any]:
        key = self._value()
        if not isinstance(key, str):
            raise ValueError("a key is not a text")
        self._take(":")
        if self._next() != "[":
            return key, self._value()
        self._take("[")
        return key, list(self._until("]", self._value))

    def _until(self, end: str, read: Callable[[], T]) -> Iterator[T]:
        if self._next() != end:
            yield read()
            while self._next() != end:
                self._take(",")
                yield read()
        self._take(end)

    def _value(self) -> Any:
        self._pace.breathe()
        self._next()
        value, self._position = self._decode(self._text, self._position)
        return value

    def _next(self) -> str:
        """The next character that is no space; empty at the end."""
        match = _SPACE.match(self._text, self._position)
        self._position = match.end() if match is not None else self._position
        return self._text[self._position : self._position + 1]

    def _take(self, character: str) -> None:
        if self._next() != character:
            raise ValueError(f"expected {character!r} at {self._position}")
        self._position += 1
