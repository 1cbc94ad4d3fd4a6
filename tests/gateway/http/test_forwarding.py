"""What goes upstream and what comes back: hop-by-hop fields, claims of strangers, credentials, and the untouched target."""

from __future__ import annotations

import pytest

from tests.gateway.http.stand import APP_CODE, AUTHORIZATION, Stand, header_values, request, status_of


def test_hop_by_hop_fields_and_those_named_in_connection_stay_here(stand: Stand) -> None:
    fields = (
        b"Connection: close, X-Secret",
        b"X-Secret: 1",
        b"Keep-Alive: timeout=5",
        b"Proxy-Connection: keep-alive",
        b"Proxy-Authorization: Basic eDp5",
        b"TE: trailers",
        b"X-Kept: yes",
    )
    assert status_of(stand.send(request(b"GET /open/x", *fields, close=False))) == 200
    seen = stand.upstream.last()
    for name in ("connection", "x-secret", "keep-alive", "proxy-connection", "proxy-authorization", "te"):
        assert seen.values(name) == [], name
    assert seen.values("x-kept") == [b"yes"]


def test_claims_about_the_way_so_far_are_replaced(stand: Stand) -> None:
    fields = (
        b"X-Forwarded-For: 6.6.6.6",
        b"X_Forwarded_For: 6.6.6.6",
        b"X-Forwarded-Proto: https",
        b"X-Forwarded-Host: evil.example",
        b"X-Real-IP: 6.6.6.6",
        b"Forwarded: for=6.6.6.6",
        b"X-Ca-Request-Id: mine",
        b"Via: 1.0 elsewhere",
    )
    answer = stand.send(request(b"GET /open/x", *fields))
    seen = stand.upstream.last()
    assert seen.values("x-forwarded-for") == [b"127.0.0.1"]
    assert seen.values("x-forwarded-proto") == [b"http"]
    assert seen.values("x-forwarded-host") == [b"api.example"]
    assert seen.values("host") == [b"127.0.0.1:%d" % stand.upstream.port]
    assert sorted(seen.values("via")) == [b"1.0 elsewhere", b"1.1 tollgate"]
    assert seen.values("x-ca-request-id") == header_values(answer, "x-ca-request-id")
    assert b"6.6.6.6" not in seen.head


def test_a_call_that_went_around_too_often_is_refused(stand: Stand) -> None:
    answer = stand.send(request(b"GET /open/x", b"Via: " + b", ".join([b"1.1 tollgate"] * 20)))
    assert status_of(answer) == 508
    assert stand.upstream.begun == 0


def test_an_appcode_in_a_header_stays_here(stand: Stand) -> None:
    assert status_of(stand.send(request(b"GET /shop/x", AUTHORIZATION.strip()))) == 200
    assert APP_CODE.encode() not in stand.upstream.last().head
    assert stand.upstream.last().values("authorization") == []


def test_another_authorization_goes_through(stand: Stand) -> None:
    assert status_of(stand.send(request(b"GET /open/x", b"Authorization: Bearer abc"))) == 200
    assert stand.upstream.last().values("authorization") == [b"Bearer abc"]


CODE = APP_CODE.encode()
QUERIES = [
    (b"?AppCode=" + CODE, b""),
    (b"?appcode=" + CODE + b"&a=1", b"?a=1"),
    (b"?a=1&appCode=" + CODE, b"?a=1"),
    (b"?a=1&APPCODE=" + CODE + b"&b=%E4%B8%AD+x", b"?a=1&b=%E4%B8%AD+x"),
    (b"?a=1&App%43ode=" + CODE + b"&b=2", b"?a=1&b=2"),
]


@pytest.mark.parametrize(("sent", "seen"), QUERIES)
def test_an_appcode_in_the_query_stays_here_and_the_rest_is_untouched(stand: Stand, sent: bytes, seen: bytes) -> None:
    assert status_of(stand.send(request(b"GET /shop/x" + sent))) == 200
    assert stand.upstream.last().line == b"GET /x" + seen + b" HTTP/1.1"


def test_signature_headers_stay_here_and_the_stage_goes_on(stand: Stand) -> None:
    fields = (b"X-Ca-Key: k", b"X-Ca-Nonce: n", b"X-Ca-Timestamp: 1", b"X_Ca_Signature: s", b"X-Ca-Stage: RELEASE")
    assert status_of(stand.send(request(b"GET /open/x", *fields))) == 200
    seen = stand.upstream.last()
    assert seen.values("x-ca-stage") == [b"RELEASE"]
    for name in ("x-ca-key", "x-ca-nonce", "x-ca-timestamp", "x_ca_signature"):
        assert seen.values(name) == [], name


@pytest.mark.parametrize(
    ("sent", "seen"),
    [
        (b"/open/a%20b/%E4%B8%AD?q=%2f+%20", b"/a%20b/%E4%B8%AD?q=%2f+%20"),
        (b"/%6fpen/a", b"/a"),
        (b"/open/a%2Fb", b"/a%2Fb"),
        (b"/open/a;v=1", b"/a;v=1"),
        (b"/prefix/v1/a", b"/inner/a"),
        (b"/open/a?", b"/a"),
        (b"/open/a?b?c", b"/a?b?c"),
    ],
)
def test_the_target_is_forwarded_as_it_was_sent(stand: Stand, sent: bytes, seen: bytes) -> None:
    assert status_of(stand.send(request(b"GET " + sent))) == 200
    assert stand.upstream.last().line == b"GET " + seen + b" HTTP/1.1"


def test_header_names_keep_their_case_and_repeated_ones_their_order(stand: Stand) -> None:
    stand.send(request(b"GET /open/x", b"X-MixedCase: 1", b"Cookie: a=1", b"Cookie: b=2"))
    assert b"X-MixedCase: 1" in stand.upstream.last().head
    assert stand.upstream.last().values("cookie") == [b"a=1", b"b=2"]


def test_hop_by_hop_fields_of_the_answer_stay_here(stand: Stand) -> None:
    stand.upstream.scripts["/x"] = (
        b"HTTP/1.1 200 OK\r\nConnection: keep-alive, X-Hop\r\nX-Hop: 1\r\nKeep-Alive: timeout=5\r\nX-Kept: 1\r\n"
        b"X-Ca-Error-Code: A403IS\r\nX-Ca-Request-Id: theirs\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\nContent-Length: 0\r\n\r\n"
    )
    answer = stand.send(request(b"GET /open/x"))
    for name in ("x-hop", "keep-alive", "x-ca-error-code"):
        assert header_values(answer, name) == [], name
    assert header_values(answer, "x-kept") == [b"1"]
    assert header_values(answer, "set-cookie") == [b"a=1", b"b=2"]
    assert header_values(answer, "x-ca-request-id") == stand.upstream.last().values("x-ca-request-id")


def test_a_stage_that_does_not_exist_and_a_method_that_is_not_offered_are_told_apart(stand: Stand) -> None:
    unknown = stand.send(request(b"GET /open/x", b"X-Ca-Stage: NOWHERE"))
    assert header_values(unknown, "x-ca-error-code") == [b"I400SG"]
    other = stand.send(request(b"GET /open/x", b"X-Ca-Stage: TEST"))
    assert header_values(other, "x-ca-error-code") == [b"I404NF"]
