"""Requests that have no single reading: each gets its status and a closed connection, and the upstream never sees a byte of it."""

from __future__ import annotations

import pytest

from tests.gateway.http.stand import Stand, header_values, read_all, request, status_of

GET = b"GET /open/x HTTP/1.1\r\n"
POST = b"POST /open/x HTTP/1.1\r\n"
HOST = b"Host: api.example\r\n"
END = b"\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n"

MALFORMED = {
    "content length and transfer encoding": (
        400,
        POST + HOST + b"Content-Length: 3\r\n" + CHUNKED + END + b"0\r\n\r\n",
    ),
    "transfer encoding and content length": (
        400,
        POST + HOST + CHUNKED + b"Content-Length: 3\r\n" + END + b"0\r\n\r\n",
    ),
    "two differing lengths": (400, POST + HOST + b"Content-Length: 3\r\nContent-Length: 4\r\n" + END + b"abcd"),
    "two equal lengths": (400, POST + HOST + b"Content-Length: 3\r\nContent-Length: 3\r\n" + END + b"abc"),
    "a list of lengths": (400, POST + HOST + b"Content-Length: 3, 3\r\n" + END + b"abc"),
    "a negative length": (400, POST + HOST + b"Content-Length: -1\r\n" + END),
    "a length with a plus": (400, POST + HOST + b"Content-Length: +3\r\n" + END + b"abc"),
    "a hexadecimal length": (400, POST + HOST + b"Content-Length: 0x3\r\n" + END + b"abc"),
    "an empty length": (400, POST + HOST + b"Content-Length: \r\n" + END),
    "an endless length": (400, POST + HOST + b"Content-Length: " + b"9" * 40 + END + END),
    "transfer encoding twice": (400, POST + HOST + CHUNKED + CHUNKED + END + b"0\r\n\r\n"),
    "chunked twice in one line": (400, POST + HOST + b"Transfer-Encoding: chunked, chunked\r\n" + END),
    "chunked not last": (400, POST + HOST + b"Transfer-Encoding: chunked, gzip\r\n" + END),
    "an empty transfer encoding": (400, POST + HOST + b"Transfer-Encoding:\r\n" + END),
    "an unsupported coding": (501, POST + HOST + b"Transfer-Encoding: gzip, chunked\r\n" + END),
    "identity": (501, POST + HOST + b"Transfer-Encoding: identity\r\n" + END),
    "a vertical tab before chunked": (400, POST + HOST + b"Transfer-Encoding: \x0bchunked\r\n" + END),
    "a chunk size that is no number": (400, POST + HOST + CHUNKED + END + b"xyz\r\nabc\r\n0\r\n\r\n"),
    "a chunk size with a sign": (400, POST + HOST + CHUNKED + END + b"+3\r\nabc\r\n0\r\n\r\n"),
    "a chunk size with 0x": (400, POST + HOST + CHUNKED + END + b"0x3\r\nabc\r\n0\r\n\r\n"),
    "a chunk size with an underscore": (400, POST + HOST + CHUNKED + END + b"1_0\r\nabc\r\n0\r\n\r\n"),
    "an endless chunk size": (400, POST + HOST + CHUNKED + END + b"f" * 17 + b"\r\nabc"),
    "a chunk longer than its size": (400, POST + HOST + CHUNKED + END + b"3\r\nabcdef\r\n0\r\n\r\n"),
    "a chunk size ended by a bare LF": (400, POST + HOST + CHUNKED + END + b"3\nabc\r\n0\r\n\r\n"),
    "a long chunk extension": (400, POST + HOST + CHUNKED + END + b"3;" + b"e" * 5_000 + b"\r\nabc\r\n0\r\n\r\n"),
    "a control character in an extension": (400, POST + HOST + CHUNKED + END + b"3;\x01\r\nabc\r\n0\r\n\r\n"),
    "a trailer that is no header": (400, POST + HOST + CHUNKED + END + b"0\r\nno trailer\r\n\r\n"),
    "raw UTF-8 in the path": (400, "GET /open/北京 HTTP/1.1\r\n".encode() + HOST + END),
    "a raw octet in the query": (400, b"GET /open/x?q=\xff HTTP/1.1\r\n" + HOST + END),
    "a folded header": (400, GET + HOST + b"X-A: 1\r\n 2\r\n" + END),
    "a folded first header": (400, GET + b" X-A: 1\r\n" + HOST + END),
    "a bare LF after the request line": (400, b"GET /open/x HTTP/1.1\nHost: api.example\r\n\r\n"),
    "bare LFs everywhere": (400, b"GET /open/x HTTP/1.1\nHost: api.example\n\n"),
    "a bare LF in a header": (400, GET + HOST + b"X-A: 1\nX-B: 2\r\n" + END),
    "a bare CR in a header": (400, GET + HOST + b"X-A: 1\rX-B: 2\r\n" + END),
    "a NUL in a header": (400, GET + HOST + b"X-A: 1\x002\r\n" + END),
    "a NUL in a header name": (400, GET + HOST + b"X\x00A: 1\r\n" + END),
    "a control character in a header": (400, GET + HOST + b"X-A: 1\x072\r\n" + END),
    "a space before the colon": (400, GET + HOST + b"X-A : 1\r\n" + END),
    "a space before the colon of the length": (400, POST + HOST + b"Content-Length : 3\r\n" + END + b"abc"),
    "a header without a colon": (400, GET + HOST + b"X-A\r\n" + END),
    "a header without a name": (400, GET + HOST + b": 1\r\n" + END),
    "no Host": (400, GET + END),
    "two Hosts": (400, GET + HOST + HOST + END),
    "a Host with a space": (400, GET + b"Host: a b\r\n" + END),
    "a Host with a path": (400, GET + b"Host: a/b\r\n" + END),
    "a Host with a user": (400, GET + b"Host: a@b\r\n" + END),
    "two spaces in the request line": (400, b"GET  /open/x HTTP/1.1\r\n" + HOST + END),
    "a tab in the request line": (400, b"GET\t/open/x HTTP/1.1\r\n" + HOST + END),
    "a space in the target": (400, b"GET /open/a b HTTP/1.1\r\n" + HOST + END),
    "a NUL in the target": (400, b"GET /open/\x00 HTTP/1.1\r\n" + HOST + END),
    "a fragment in the target": (400, b"GET /open/x#y HTTP/1.1\r\n" + HOST + END),
    "a target without a slash": (400, b"GET open/x HTTP/1.1\r\n" + HOST + END),
    "another scheme": (400, b"GET ftp://api.example/open/x HTTP/1.1\r\n" + HOST + END),
    "a target whose host is not the Host": (400, b"GET http://other.example/open/x HTTP/1.1\r\n" + HOST + END),
    "a star with GET": (400, b"GET * HTTP/1.1\r\n" + HOST + END),
    "CONNECT": (405, b"CONNECT api.example:443 HTTP/1.1\r\n" + HOST + END),
    "TRACE": (405, b"TRACE /open/x HTTP/1.1\r\n" + HOST + END),
    "an unknown method": (501, b"BREW /open/x HTTP/1.1\r\n" + HOST + END),
    "a method in lower case": (501, b"get /open/x HTTP/1.1\r\n" + HOST + END),
    "a method that is no token": (400, b"G(T /open/x HTTP/1.1\r\n" + HOST + END),
    "HTTP/2.0": (505, b"GET /open/x HTTP/2.0\r\n" + HOST + END),
    "HTTP/0.9": (400, b"GET /open/x\r\n" + HOST + END),
    "HTTP/1.10": (400, b"GET /open/x HTTP/1.10\r\n" + HOST + END),
    "a lower-case version": (400, b"GET /open/x http/1.1\r\n" + HOST + END),
    "the preface of HTTP/2": (505, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
    "TLS on the plain port": (400, b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n"),
    "a long URL": (414, b"GET /open/" + b"a" * 9_000 + b" HTTP/1.1\r\n" + HOST + END),
    "a long URL without an end": (414, b"GET /open/" + b"a" * 20_000),
    "long headers": (431, GET + HOST + b"X-A: " + b"a" * 40_000 + END + END),
    "long headers without an end": (431, GET + HOST + b"X-A: " + b"a" * 60_000),
    "many headers": (431, GET + HOST + b"X-A: 1\r\n" * 200 + END),
    "an unknown expectation": (417, POST + HOST + b"Content-Length: 3\r\nExpect: 200-maybe\r\n" + END),
    "chunked in HTTP/1.0": (400, b"POST /open/x HTTP/1.0\r\n" + HOST + CHUNKED + END + b"0\r\n\r\n"),
    "an empty request": (400, b"\r\n\r\n\r\n"),
}


@pytest.mark.parametrize("name", MALFORMED)
def test_a_malformed_request_is_refused_and_never_forwarded(stand: Stand, name: str) -> None:
    status, raw = MALFORMED[name]
    answer = stand.send(raw)
    assert status_of(answer) == status, answer[:300]
    head = answer.split(b"\r\n\r\n")[0]
    assert header_values(head, "connection") == [b"close"]
    assert header_values(head, "x-ca-error-code")
    assert len(header_values(head, "x-ca-request-id")[0]) == 36
    assert stand.upstream.begun == 0


UNSAFE_PATHS = [
    b"/open/../shop/x",
    b"/open/./x",
    b"/open/%2e%2e/shop",
    b"/open/%2E./x",
    b"/open/..%2fshop",
    b"/open/a%2f..%2fb",
    b"/open/a%5c..%5cb",
    b"/open/..;a=b/x",
    b"/open/a\\..\\b",
    b"/open/%00",
    b"/open/a%0d%0aX-Evil:1",
    b"/open/%zz",
    b"/open/%4",
]


@pytest.mark.parametrize("path", UNSAFE_PATHS)
def test_a_path_that_an_upstream_could_read_otherwise_is_refused(stand: Stand, path: bytes) -> None:
    answer = stand.send(request(b"GET " + path))
    assert status_of(answer) == 400
    assert header_values(answer, "x-ca-error-code") == [b"I400PA"]
    assert stand.upstream.begun == 0


def test_what_follows_a_malformed_request_is_not_read_as_another_one(stand: Stand) -> None:
    smuggled = POST + HOST + b"Content-Length: 3\r\n" + CHUNKED + END + b"0\r\n\r\n" + request(b"GET /open/smuggled")
    answer = stand.send(smuggled)
    assert answer.count(b"HTTP/1.1 ") == 1
    assert stand.upstream.begun == 0


def test_a_refusal_is_a_problem_with_a_help_page(stand: Stand) -> None:
    answer = stand.send(request(b"GET /nowhere/x"))
    head, body = answer.split(b"\r\n\r\n", 1)
    assert status_of(head) == 404
    assert header_values(head, "content-type") == [b"application/problem+json"]
    assert header_values(head, "x-ca-error-message") == [b"API not found with `GET /nowhere/x`"]
    assert b"/errors/I404NF" in body
    assert header_values(head, "x-ca-request-id")[0] in body


def test_a_head_that_comes_octet_by_octet_is_read(stand: Stand) -> None:
    with stand.connect() as client:
        for octet in request(b"GET /open/slow"):
            client.send(bytes([octet]))
        assert status_of(read_all(client)) == 200


def test_one_empty_line_before_a_request_is_forgiven(stand: Stand) -> None:
    assert status_of(stand.send(b"\r\n" + request(b"GET /open/x"))) == 200
