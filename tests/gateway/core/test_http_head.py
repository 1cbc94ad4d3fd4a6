"""The strict head parser against llhttp: whatever ours accepts, httptools accepts too, and reads the same."""

from __future__ import annotations

import contextlib

import httptools
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.core.http_body import BodyInvalid, ChunkedReader
from gateway.core.http_head import (
    REQUEST_LINE,
    RequestParser,
    request_line_parse,
)
from gateway.core.http_response_head import ResponseInvalid, ResponseParser
from gateway.core.rejections import Rejection

PIECES = [
    b"GET", b"POST", b"OPTIONS", b" ", b"  ", b"/", b"/a?b=c", b"*", b"http://h/x", b" HTTP/1.1", b" HTTP/1.0", b"\r\n", b"\n",
    b"\r", b"Host: h", b"host:h", b"Content-Length: 3", b"Content-Length: 0", b"content-length:3", b"Transfer-Encoding: chunked",
    b"Transfer-Encoding: gzip", b"Connection: close", b"Connection: keep-alive, x", b"X: y", b"X:", b": y", b" fold", b"\t", b"\x00",
    b"\x80", b"X : y", b"Expect: 100-continue", b"Upgrade: h2c", b"3\r\nabc\r\n", b"0\r\n\r\n", b"abc", b";x=y",
    b"X-Ca-Nonce: n1", b"x-ca-nonce:n2", b"X-CA-Nonce: n3", b"X-Ca-Signature: s=", b"X-Ca-Signature:  s",
    b"X-Ca-Timestamp: 1", b"X-Ca-Nonce: a b",
]  # fmt: skip

heads = st.one_of(
    st.lists(st.sampled_from(PIECES), max_size=14).map(b"".join),
    st.lists(st.sampled_from([piece for piece in PIECES if b":" in piece]), max_size=6).map(
        lambda lines: b"POST /a HTTP/1.1\r\nHost: h\r\n" + b"".join(line + b"\r\n" for line in lines)
    ),
)


class Events:
    """What llhttp says about a request."""

    def __init__(self) -> None:
        self.headers: list[tuple[bytes, bytes]] = []
        self.url = b""
        self.body = b""
        self.is_head_complete = self.is_complete = False

    def on_url(self, url: bytes) -> None:
        self.url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers.append((name, value))

    def on_headers_complete(self) -> None:
        self.is_head_complete = True

    def on_body(self, body: bytes) -> None:
        self.body += body

    def on_message_complete(self) -> None:
        self.is_complete = True


def ours(raw: bytes) -> tuple[str, bytes, list[tuple[bytes, bytes]], int, bool] | None:
    """(method, target, headers by name, length, chunked) as the gateway reads them; None when it refuses."""
    end = raw.find(b"\r\n\r\n")
    line_end = raw.find(b"\r\n")
    try:
        match = REQUEST_LINE.match(raw)
        if match is not None:
            method, target = match[1].decode(), raw[match.start(2) : match.end() - 11]
        else:
            line = request_line_parse(raw[:line_end])
            method, target = line.method, line.target
        block = RequestParser().parse(raw[line_end + 2 : end + 2])
    except Rejection:
        return None
    return method, target, by_name(block.headers), block.content_length or 0, block.chunked


def by_name(headers: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """Lower-case names in order; lines of one name stay in theirs, which is all the order that counts (RFC 9110 section 5.3)."""
    return sorted([(name.lower(), value) for name, value in headers], key=lambda line: line[0])


@settings(max_examples=600, deadline=None)
@given(heads)
def test_what_we_accept_llhttp_reads_in_the_same_way(raw: bytes) -> None:
    raw = (raw + b"\r\n\r\n").partition(b"\r\n\r\n")[0] + b"\r\n\r\n"
    read = ours(raw)
    if read is None:
        return
    method, target, headers, length, chunked = read
    events = Events()
    parser = httptools.HttpRequestParser(events)
    with contextlib.suppress(httptools.HttpParserUpgrade):
        parser.feed_data(raw)
    assert events.is_head_complete
    assert (parser.get_method().decode(), events.url) == (method, target)
    assert by_name(events.headers) == headers
    assert events.is_complete == (not length and not chunked)


@settings(max_examples=400, deadline=None)
@given(
    st.lists(st.sampled_from([*PIECES, b"a\r\n0123456789\r\n", b"2\r\nab\r\n", b"00\r\n\r\n"]), max_size=8).map(
        b"".join
    )
)
def test_a_chunked_body_that_we_accept_llhttp_reads_in_the_same_way(raw: bytes) -> None:
    reader = ChunkedReader()
    try:
        content = reader.feed(raw)
    except BodyInvalid:
        return
    if not reader.done:
        return
    events = Events()
    parser = httptools.HttpRequestParser(events)
    parser.feed_data(
        b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n" + raw[: len(raw) - len(reader.rest)]
    )
    assert events.is_complete
    assert events.body == content


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=40), st.data())
def test_a_chunked_body_reads_the_same_however_it_is_cut(content: bytes, data: st.DataObject) -> None:
    raw = b"%x;ext\r\n%b\r\n0\r\nX-T: 1\r\n\r\nrest" % (len(content), content) if content else b"0\r\n\r\nrest"
    reader, seen, position = ChunkedReader(), b"", 0
    while not reader.done:
        size = data.draw(st.integers(1, 7))
        seen += reader.feed(raw[position : position + size])
        position += size
    assert seen == content
    assert reader.rest + raw[position:] == b"rest"


def test_a_header_section_is_remembered_unless_it_is_signed() -> None:
    parser = RequestParser()
    plain, signed = b"Host: h\r\n", b"Host: h\r\nX-Ca-Signature: s\r\n"
    assert parser.parse(plain) is parser.parse(plain)
    assert parser.parse(signed) is not parser.parse(signed)


def test_a_remembered_answer_head_keeps_its_framing() -> None:
    parser = ResponseParser()
    raw = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nX: y\r\n"
    assert parser.parse(raw) is parser.parse(raw)
    assert parser.parse(raw).framed == b"HTTP/1.1 200 OK\r\nX: y\r\nContent-Length: 3\r\n"
    with pytest.raises(ResponseInvalid):
        parser.parse(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 3\r\n")


def test_heads_that_differ_only_in_their_signature_share_all_but_what_is_read_from_it() -> None:
    parser = RequestParser()
    blocks = [
        parser.parse(b"Host: h\r\nX-Ca-Key: k\r\nX-Ca-Nonce: %d\r\nX-Ca-Signature: s%d\r\nX: y\r\n" % (number, number))
        for number in range(50)
    ]
    assert len(parser.blocks) == 1
    assert {block.forward for block in blocks} == {b"X: y\r\nX-Forwarded-Host: h\r\n"}
    assert [block.first[b"x-ca-nonce"] for block in blocks] == [b"%d" % number for number in range(50)]
    assert all(block.signed and block.memo is None for block in blocks)


def test_a_line_of_a_signature_that_stands_first_leaves_nothing_behind_in_the_memory() -> None:
    parser = RequestParser()
    for number in range(50):
        block = parser.parse(b"X-Ca-Nonce: %d\r\nHost: h\r\nX-Ca-Signature: s\r\n" % number)
        assert block.first[b"x-ca-nonce"] == b"%d" % number
    assert parser.blocks == {}
