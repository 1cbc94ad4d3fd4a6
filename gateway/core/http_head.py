"""Heads of HTTP/1.1 requests: strict parsing of bytes into values. Pure; sockets are http1.py's.

Only one reading is accepted (RFC 9112): what another parser could read differently is refused. Most header blocks repeat
from call to call, and most lines between blocks do, so both are remembered (bounded) with their checks done once. What a
signature makes new on every call is set aside first, so that the rest repeats.
Answers of upstreams are http_response_head.py's, bodies http_body.py's.
"""

from __future__ import annotations

import re
from typing import Any

from gateway.core import headers as roles
from gateway.core.rejections import Rejection

REQUEST_LINE_BYTES_MAX = 8_192
HEADER_BYTES_MAX = 32_768
"""Longest header section, in octets, of a request or a response."""
HEADERS_MAX = 128
LENGTH_DIGITS_MAX = 18
BLOCKS_CACHED_MAX = 4_096
BLOCK_CACHED_BYTES_MAX = 2_048
LINES_CACHED_MAX = 8_192
LINE_CACHED_BYTES_MAX = 512

TARGET = rb"[\x21\x22\x24-\x7e]"
REQUEST_LINE = re.compile(
    rb"(GET|HEAD|POST|PUT|DELETE|PATCH|OPTIONS) "
    rb"(/[\x21\x22\x24-\x3e\x40-\x7e]*)(?:\?([\x21\x22\x24-\x7e]*))? HTTP/1\.1\r\n"
)
"""The ordinary request line: origin-form and a method that the gateway forwards. All else is request_line_parse's."""

_FRESH_LINE = re.compile(
    rb"\r\n(X-Ca-(?:Nonce|Signature|Timestamp)|x-ca-(?:nonce|signature|timestamp)): ?([\x21-\x7e]+)(?=\r\n)"
)
"""A line that a signature makes new on every call, as clients write it, with the line end before it.

None of them goes upstream (headers.py), so they change nothing but ``first``. Other spellings only take longer.
"""
_FRESH_NAMES = frozenset((b"x-ca-nonce", b"x-ca-signature", b"x-ca-timestamp"))
_HEADER_LINE = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):([\t\x20-\x7e\x80-\xff]*)")
_REQUEST_LINE_ANY = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+) ([^ ]+) (HTTP/[0-9]\.[0-9])")
_TARGET_FORM = re.compile(TARGET + rb"+")
_ABSOLUTE = re.compile(rb"(?i:https?)://([^/?]*)(/[^?]*)?(?:\?(.*))?", re.DOTALL)
_HOST = re.compile(rb"(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._~!$&'()*+,;=%-]+)(?::[0-9]{0,5})?")
_LONE = re.compile(rb"\r(?!\n)|(?<!\r)\n")
_METHODS = frozenset(("GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"))


class RequestBlock:
    """The header section of a request, checked; shared by every request that repeats it, so never changed.

    ``headers``: (lower-case name, value) in wire order, those of a signature last; ``first``: the first value of each;
    ``forward``: the lines that go upstream, each with CRLF, with X-Forwarded-Host; ``content_length``: None when absent;
    ``is_ordinary``: no body, no wish to close or upgrade, no gateway before us; ``memo``: what authenticate.py remembers.
    """

    __slots__ = (
        "chunked",
        "close",
        "content_length",
        "expects_continue",
        "first",
        "forward",
        "headers",
        "host",
        "is_form",
        "is_ordinary",
        "keep_alive",
        "memo",
        "signed",
        "stage",
        "upgrade",
    )

    def __init__(self) -> None:
        self.headers: list[tuple[bytes, bytes]] = []
        self.first: dict[bytes, bytes] = {}
        self.forward = b""
        self.host: bytes | None = None
        self.content_length: int | None = None
        self.chunked = False
        self.close = False
        self.keep_alive = False
        self.expects_continue = False
        self.upgrade = b""
        self.stage = "release"
        self.signed = False
        self.is_form = False
        self.is_ordinary = False
        self.memo: Any = None

    def fields(self) -> dict[bytes, bytes]:
        """Values by name, as a signature covers them: those of a repeated header joined by a comma, so that an added line
        breaks it, and one that was split into two lines says the same."""
        if len(self.first) == len(self.headers):
            return self.first
        joined: dict[bytes, bytes] = {}
        for name, value in self.headers:
            joined[name] = joined[name] + b"," + value if name in joined else value
        return joined

    def signed_with(self, fresh: dict[bytes, bytes]) -> RequestBlock:
        """This section with the ``fresh`` lines of a signature, whose names it does not have."""
        block = RequestBlock.__new__(RequestBlock)
        block.headers = [*self.headers, *fresh.items()]
        block.first = first = {**self.first, **fresh}
        block.forward = self.forward
        block.host = self.host
        block.content_length = self.content_length
        block.chunked = self.chunked
        block.close = self.close
        block.keep_alive = self.keep_alive
        block.expects_continue = self.expects_continue
        block.upgrade = self.upgrade
        block.stage = self.stage
        block.signed = b"x-ca-signature" in first
        block.is_form = self.is_form
        block.is_ordinary = self.is_ordinary
        block.memo = None
        return block


Line = tuple[int, tuple[bytes, bytes], bytes]
"""(role, (lower-case name, value), line with CRLF)."""


def line_parse(line: bytes) -> tuple[bytes, bytes]:
    """Split a header line into name and value. Raises ValueError with what is wrong, to follow the words "the header"."""
    match = _HEADER_LINE.fullmatch(line)
    if match is None:
        raise ValueError(_line_fault(line))
    name, value = match.groups()
    return name, value.strip(b" \t")


def _line_fault(line: bytes) -> str:
    if line[:1] in (b" ", b"\t"):
        return "is folded over two lines"
    if re.search(rb"[\x00-\x08\x0a-\x1f\x7f]", line):
        return "has a control character"
    if b":" not in line:
        return "has no colon"
    return "has an invalid name"


class RequestParser:
    """Parses request header sections. One per worker, for its memory of lines and blocks."""

    __slots__ = ("_lines", "blocks")

    def __init__(self) -> None:
        self.blocks: dict[bytes, RequestBlock] = {}
        self._lines: dict[bytes, Line] = {}

    def parse(self, raw: bytes) -> RequestBlock:
        """Parse header lines, each ended by CRLF (the empty line left out). Raises Rejection."""
        block = self.blocks.get(raw)
        if block is not None:
            return block
        if len(raw) > HEADER_BYTES_MAX:
            raise Rejection("I431HL", f"more than {HEADER_BYTES_MAX} octets")
        pieces = _FRESH_LINE.split(raw)
        if len(pieces) > 1:
            return self._parse_signed(raw, pieces)
        return self._parse_rest(raw)

    def _parse_signed(self, raw: bytes, pieces: list[bytes]) -> RequestBlock:
        """``pieces``: what is between fresh lines, and the name and value of each, in turn."""
        rest = self._parse_rest(b"".join(pieces[::3]))
        fresh = dict(zip(map(bytes.lower, pieces[1::3]), pieces[2::3], strict=True))
        if len(fresh) * 3 < len(pieces) - 1 or not fresh.keys().isdisjoint(rest.first):
            return self._build(raw)  # a repeated line counts where it stands
        if len(rest.headers) + len(fresh) > HEADERS_MAX:
            raise Rejection("I431HL", f"more than {HEADERS_MAX} header lines")
        return rest.signed_with(fresh)

    def _parse_rest(self, raw: bytes) -> RequestBlock:
        block = self.blocks.get(raw)
        if block is not None:
            return block
        block = self._build(raw)
        if len(raw) <= BLOCK_CACHED_BYTES_MAX and _FRESH_NAMES.isdisjoint(block.first):
            if len(self.blocks) >= BLOCKS_CACHED_MAX:
                self.blocks.clear()
            self.blocks[raw] = block
        return block

    def _line(self, raw: bytes) -> Line:
        try:
            name, value = line_parse(raw)
        except ValueError as fault:
            shown = raw.split(b":", 1)[0][:64].decode("latin-1")
            raise Rejection("I400HD", f"`{shown}` {fault}") from None
        lower = name.lower()
        line = (roles.request_role(lower), (lower, value), raw + b"\r\n")
        if len(raw) <= LINE_CACHED_BYTES_MAX:
            if len(self._lines) >= LINES_CACHED_MAX:
                self._lines.clear()
            self._lines[raw] = line
        return line

    def _build(self, raw: bytes) -> RequestBlock:
        block = RequestBlock()
        forward: list[Line] = []
        connection: list[bytes] = []
        known = self._lines
        for text in raw.split(b"\r\n")[:-1]:
            line = known.get(text) or self._line(text)
            pair = line[1]
            block.headers.append(pair)
            role = line[0]
            if role == roles.FORWARD:
                forward.append(line)
            elif role == roles.CONNECTION:
                connection += roles.tokens(pair[1])
            elif role != roles.DROP and _special(block, role, pair[1]):
                forward.append(line)
        if len(block.headers) > HEADERS_MAX:
            raise Rejection("I431HL", f"more than {HEADERS_MAX} header lines")
        # dict() keeps the last of equal keys, so the first one must come last.
        block.first = dict(reversed(block.headers))
        if block.chunked and block.content_length is not None:
            raise Rejection("I400HD", "`Content-Length` and `Transfer-Encoding` exclude each other")
        if connection:
            forward = _connection_apply(block, connection, forward)
        lines = [line[2] for line in forward]
        if block.host:
            lines.append(b"X-Forwarded-Host: " + block.host + b"\r\n")
        block.forward = b"".join(lines)
        has_body = block.chunked or block.content_length
        block.is_ordinary = not (has_body or block.close or block.upgrade or b"via" in block.first)
        return block


def _special(block: RequestBlock, role: int, value: bytes) -> bool:
    """Take in a header that the gateway itself obeys. Returns whether it also goes upstream."""
    if role == roles.HOST:
        _host_take(block, value)
    elif role == roles.LENGTH:
        _length_take(block, value)
    elif role == roles.CODING:
        _coding_take(block, value)
    elif role == roles.EXPECT:
        if value.lower() != b"100-continue" or block.expects_continue:
            raise Rejection("I417EX", f"`{value[:64].decode('latin-1')}`")
        block.expects_continue = True
    elif role == roles.UPGRADE:
        block.upgrade = value.lower() if not block.upgrade else block.upgrade + b"," + value.lower()
    elif role == roles.STAGE:
        block.stage = value.decode("latin-1").lower() or block.stage
        return True
    elif role == roles.SIGNATURE:
        block.signed = True
    elif role == roles.AUTHORIZATION:
        return value[:7].upper() != b"APPCODE"
    elif role == roles.FORM:
        block.is_form = value[:33].lower().startswith(b"application/x-www-form-urlencoded")
        return True
    return False


def _host_take(block: RequestBlock, value: bytes) -> None:
    if block.host is not None:
        raise Rejection("I400HD", "`Host` is there more than once")
    if value and not _HOST.fullmatch(value):
        raise Rejection("I400HD", "`Host` is not a host name")
    block.host = value


def _length_take(block: RequestBlock, value: bytes) -> None:
    if block.content_length is not None:
        raise Rejection("I400HD", "`Content-Length` is there more than once")
    if not value.isdigit() or len(value) > LENGTH_DIGITS_MAX:
        raise Rejection("I400HD", "`Content-Length` is not a decimal number")
    block.content_length = int(value)


def _coding_take(block: RequestBlock, value: bytes) -> None:
    if block.chunked:
        raise Rejection("I400HD", "`Transfer-Encoding` is there more than once")
    if value.lower() != b"chunked":
        members = roles.tokens(value)
        if not members or b"chunked" in members[:-1]:
            raise Rejection("I400HD", "`Transfer-Encoding` is malformed")
        raise Rejection("I501TE", f"`{value[:64].decode('latin-1')}`")
    block.chunked = True


def _connection_apply(block: RequestBlock, members: list[bytes], forward: list[Line]) -> list[Line]:
    """Obey Connection: note close and keep-alive, and drop every header that it names (RFC 9110 section 7.6.1)."""
    named = set(members)
    block.close = b"close" in named
    block.keep_alive = b"keep-alive" in named
    named -= {b"close", b"keep-alive"}
    return [line for line in forward if line[1][0] not in named] if named else forward


class RequestLine:
    """A request line that is not the ordinary one: absolute-form, asterisk-form, HTTP/1.0."""

    __slots__ = ("authority", "method", "minor", "path", "query", "target")

    def __init__(self, method: str, target: bytes, minor: int) -> None:
        self.method = method
        self.target = target
        self.minor = minor
        self.path, _, self.query = target.partition(b"?")
        self.authority: bytes | None = None


def request_line_parse(line: bytes) -> RequestLine:
    """Parse any request line (without CRLF). Raises Rejection I400RU, I413UL, I501UM, I405UM or I505HV."""
    if len(line) > REQUEST_LINE_BYTES_MAX:
        raise Rejection("I413UL", f"more than {REQUEST_LINE_BYTES_MAX} octets")
    match = _REQUEST_LINE_ANY.fullmatch(line)
    if match is None:
        raise Rejection("I400RU", "`expected METHOD, target and HTTP/1.1, one space between`")
    method, target, version = match[1].decode(), match[2], match[3]
    if version not in (b"HTTP/1.1", b"HTTP/1.0"):
        raise Rejection("I505HV", f"`{version.decode()}`, send HTTP/1.1")
    if method in ("CONNECT", "TRACE"):
        raise Rejection("I405UM", f"`{method}`")
    if method not in _METHODS:
        raise Rejection("I501UM", f"`{method[:32]}`")
    if not _TARGET_FORM.fullmatch(target):
        raise Rejection("I400RU", "`has a character that must be percent-encoded`")
    result = RequestLine(method, target, int(version[-1:]))
    if target == b"*":
        if method != "OPTIONS":
            raise Rejection("I400RU", "`* is for OPTIONS only`")
    elif not target.startswith(b"/"):
        _absolute_take(result)
    return result


def _absolute_take(result: RequestLine) -> None:
    match = _ABSOLUTE.fullmatch(result.target)
    if match is None or not _HOST.fullmatch(match[1]):
        raise Rejection("I400RU", "`must begin with a slash`")
    result.authority = match[1]
    result.path = match[2] or b"/"
    result.query = match[3] or b""


def partial_check(data: bytes, *, kind: str = "request") -> None:
    """Refuse early a head that is still incomplete but already cannot become valid. Raises Rejection.

    Without this a line ended by a bare LF would wait for its CRLF until the time is up.
    """
    first = data.find(b"\r\n")
    if (first if first >= 0 else len(data)) > REQUEST_LINE_BYTES_MAX:
        raise Rejection("I413UL", f"more than {REQUEST_LINE_BYTES_MAX} octets")
    if len(data) > REQUEST_LINE_BYTES_MAX + HEADER_BYTES_MAX:
        raise Rejection("I431HL", f"more than {HEADER_BYTES_MAX} octets")
    # The last octet may be the CR of a CRLF that is still on its way.
    if _LONE.search(data[:-1] if data.endswith(b"\r") else data):
        raise Rejection("I400HD", f"`a line of the {kind} head` ends with a bare CR or LF")
