"""Heads of upstream answers: strict parsing, as http_head.py does for requests. Pure; sockets are exchange.py's.

An upstream is not trusted with framing: whatever has two readings is ResponseInvalid, and becomes N502RE.
"""

from __future__ import annotations

import re

from gateway.core import headers as roles
from gateway.core.http_head import (
    BLOCK_CACHED_BYTES_MAX,
    BLOCKS_CACHED_MAX,
    HEADER_BYTES_MAX,
    HEADERS_MAX,
    LENGTH_DIGITS_MAX,
    LINE_CACHED_BYTES_MAX,
    LINES_CACHED_MAX,
    line_parse,
)

_STATUS_LINE = re.compile(rb"HTTP/1\.([01]) ([1-9][0-9]{2})(?: [\t\x20-\x7e\x80-\xff]*)?")


class ResponseHead:
    """The head of an upstream's final or interim answer, checked and shared like RequestBlock.

    ``forward``: status line and kept header lines, each with CRLF, without framing; ``framed``: the same with
    Content-Length when there was one; ``length``: None when absent; ``is_plain``: a final answer whose body has a length, on a
    connection that stays.
    """

    __slots__ = ("chunked", "close", "forward", "framed", "is_plain", "length", "status")

    def __init__(self, status: int) -> None:
        self.status = status
        self.forward = b""
        self.framed = b""
        self.is_plain = False
        self.length: int | None = None
        self.chunked = False
        self.close = False


class ResponseInvalid(ValueError):
    """An upstream's head has no single reading; the text says why."""


class ResponseParser:
    """Parses heads of upstream answers. One per worker, for its memory of heads and lines."""

    __slots__ = ("_lines", "heads")

    def __init__(self) -> None:
        self.heads: dict[bytes, ResponseHead] = {}
        self._lines: dict[bytes, tuple[int, bytes, bytes]] = {}

    def parse(self, raw: bytes) -> ResponseHead:
        """Parse a head: status line and header lines, each ended by CRLF (the empty line left out). Raises ResponseInvalid."""
        head = self.heads.get(raw)
        if head is not None:
            return head
        head = self._build(raw)
        if len(raw) <= BLOCK_CACHED_BYTES_MAX:
            if len(self.heads) >= BLOCKS_CACHED_MAX:
                self.heads.clear()
            self.heads[raw] = head
        return head

    def _line(self, raw: bytes) -> tuple[int, bytes, bytes]:
        try:
            name, value = line_parse(raw)
        except ValueError as fault:
            raise ResponseInvalid(f"a header {fault}") from None
        line = (roles.response_role(name.lower()), name.lower(), value)
        if len(raw) <= LINE_CACHED_BYTES_MAX:
            if len(self._lines) >= LINES_CACHED_MAX:
                self._lines.clear()
            self._lines[raw] = line
        return line

    def _build(self, raw: bytes) -> ResponseHead:
        if len(raw) > HEADER_BYTES_MAX:
            raise ResponseInvalid(f"the head is longer than {HEADER_BYTES_MAX} octets")
        texts = raw.split(b"\r\n")[:-1]
        match = _STATUS_LINE.fullmatch(texts[0])
        if match is None or len(texts) > HEADERS_MAX + 1:
            raise ResponseInvalid("the status line is malformed" if match is None else "too many header lines")
        head = ResponseHead(int(match[2]))
        kept: list[tuple[bytes, bytes]] = []
        named: set[bytes] = set()
        old = match[1] == b"0"
        for text in texts[1:]:
            role, name, value = self._lines.get(text) or self._line(text)
            if role == roles.FORWARD:
                kept.append((name, text))
            elif role == roles.CONNECTION:
                named.update(roles.tokens(value))
            elif role != roles.DROP:
                _response_framing(head, role, value)
        if head.chunked and (head.length is not None or old):
            raise ResponseInvalid("the framing is ambiguous")
        head.close = b"close" in named or (old and b"keep-alive" not in named)
        lines = [text for name, text in kept if name not in named]
        head.forward = b"\r\n".join([b"HTTP/1.1" + texts[0][8:], *lines, b""])
        head.is_plain = (
            head.length is not None and not head.close and match[2] >= b"200" and match[2] not in (b"204", b"304")
        )
        head.framed = head.forward if head.length is None else head.forward + b"Content-Length: %d\r\n" % head.length
        return head


def _response_framing(head: ResponseHead, role: int, value: bytes) -> None:
    if role == roles.LENGTH:
        if head.length is not None or not value.isdigit() or len(value) > LENGTH_DIGITS_MAX:
            raise ResponseInvalid("Content-Length is malformed or repeated")
        head.length = int(value)
    else:
        if head.chunked or value.lower() != b"chunked":
            raise ResponseInvalid("Transfer-Encoding is not chunked alone")
        head.chunked = True
