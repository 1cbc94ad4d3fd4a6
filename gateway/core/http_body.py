"""Bodies of HTTP/1.1 messages: an incremental, strict reader of both framings. Pure.

Flow control is client_bodies.py's and exchange.py's.
"""

from __future__ import annotations

import re

CHUNK_LINE_BYTES_MAX = 256
"""Longest chunk-size line, extensions included, in octets."""
EXTENSION_BYTES_MAX = 16_384
"""Most octets of chunk extensions in one message: they carry nothing for us and cost time."""
TRAILER_BYTES_MAX = 8_192

_CHUNK_LINE = re.compile(rb"([0-9A-Fa-f]{1,15})([ \t]*;[\t\x20-\x7e\x80-\xff]*)?")
_TRAILER_LINE = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+:[\t\x20-\x7e\x80-\xff]*")

_SIZE, _DATA, _DATA_END, _TRAILER, _DONE = range(5)


class BodyInvalid(ValueError):
    """The body has no single reading; the text says why."""


class LengthReader:
    """Reads a body of known length. ``done`` once all of it was fed; what follows it is in ``rest``."""

    __slots__ = ("done", "left", "rest")

    def __init__(self, length: int) -> None:
        self.left = length
        self.done = length == 0
        self.rest = b""

    def feed(self, data: bytes) -> bytes:
        """Take in octets and return those that belong to the body."""
        size = len(data)
        if size < self.left:
            self.left -= size
            return data
        self.rest = data[self.left :]
        if self.rest:
            data = data[: self.left]
        self.left = 0
        self.done = True
        return data


class ChunkedReader:
    """Reads a chunked body and gives its content without the framing. Trailers are checked and dropped."""

    __slots__ = ("_buffer", "_extension", "_left", "_state", "_trailer", "done", "rest")

    def __init__(self) -> None:
        self._buffer = b""
        self._extension = 0
        self._left = 0
        self._state = _SIZE
        self._trailer = 0
        self.done = False
        self.rest = b""

    def feed(self, data: bytes) -> bytes:
        """Take in octets and return the content among them. Raises BodyInvalid."""
        if self._buffer:
            data = self._buffer + data
            self._buffer = b""
        content: list[bytes] = []
        position = 0
        size = len(data)
        while position < size and not self.done:
            if self._state == _DATA:
                piece = data[position : position + self._left]
                content.append(piece)
                position += len(piece)
                self._left -= len(piece)
                if not self._left:
                    self._state = _DATA_END
                continue
            following = self._line(data, position)
            if following < 0:
                self._buffer = data[position:]
                break
            position = following
        if self.done:
            self.rest = data[position:]
        return content[0] if len(content) == 1 else b"".join(content)

    def _line(self, data: bytes, position: int) -> int:
        """Read one framing line at ``position``. Returns where the next begins, or -1 when it is incomplete."""
        limit = CHUNK_LINE_BYTES_MAX if self._state != _TRAILER else TRAILER_BYTES_MAX
        if self._state == _DATA_END:
            if data[position : position + 2] == b"\r\n":
                self._state = _SIZE
                return position + 2
            if data[position : position + 2] != b"\r":
                raise BodyInvalid("a chunk is longer than its size says")
            return -1
        end = data.find(b"\r\n", position, position + limit + 2)
        if end < 0:
            self._incomplete_check(data[position:], limit)
            return -1
        line = data[position:end]
        if self._state == _SIZE:
            self._size_take(line)
        else:
            self._trailer_take(line)
        return end + 2

    @staticmethod
    def _incomplete_check(rest: bytes, limit: int) -> None:
        if len(rest) > limit:
            raise BodyInvalid(f"a chunk line is longer than {limit} octets")
        if b"\n" in rest or b"\r" in rest[:-1]:
            raise BodyInvalid("a chunk line ends with a bare CR or LF")

    def _size_take(self, line: bytes) -> None:
        match = _CHUNK_LINE.fullmatch(line)
        if match is None:
            raise BodyInvalid("a chunk size is not a hexadecimal number")
        self._extension += len(match[2] or b"")
        if self._extension > EXTENSION_BYTES_MAX:
            raise BodyInvalid(f"chunk extensions are longer than {EXTENSION_BYTES_MAX} octets")
        self._left = int(match[1], 16)
        self._state = _DATA if self._left else _TRAILER

    def _trailer_take(self, line: bytes) -> None:
        if not line:
            self._state = _DONE
            self.done = True
            return
        self._trailer += len(line) + 2
        if self._trailer > TRAILER_BYTES_MAX:
            raise BodyInvalid(f"trailers are longer than {TRAILER_BYTES_MAX} octets")
        if not _TRAILER_LINE.fullmatch(line):
            raise BodyInvalid("a trailer is malformed")


class CloseReader:
    """Reads an answer that ends where its connection does. Its owner sets ``done`` at the end."""

    __slots__ = ("done", "rest")

    def __init__(self) -> None:
        self.done = False
        self.rest = b""

    def feed(self, data: bytes) -> bytes:
        """Every octet belongs to the body."""
        return data


BodyReader = LengthReader | ChunkedReader | CloseReader


def chunk_frame(content: bytes) -> bytes:
    """One chunk of a chunked body; ``content`` is not empty (an empty chunk would end the body)."""
    return b"%x\r\n%b\r\n" % (len(content), content)


CHUNKED_END = b"0\r\n\r\n"
