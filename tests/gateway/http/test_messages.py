"""Well-formed requests and answers of every shape pass as they should: framing, Expect, HEAD, trailers, pipelines, half-close."""

from __future__ import annotations

import socket
import time

import pytest

from gateway.core.http_head import HEADER_BYTES_MAX
from tests.gateway.http.stand import (
    AUTHORIZATION,
    SMALL_BODY_BYTES,
    Stand,
    header_values,
    read_all,
    read_answer,
    request,
    status_of,
)
from tests.gateway.http.upstream import Received

CHUNKED = b"Transfer-Encoding: chunked"


def body_of(answer: bytes) -> bytes:
    return answer.split(b"\r\n\r\n", 1)[1]


def test_a_body_with_a_length_arrives(stand: Stand) -> None:
    assert status_of(stand.send(request(b"POST /open/x", b"Content-Length: 5", body=b"abcde"))) == 200
    assert stand.upstream.last().body == b"abcde"
    assert stand.upstream.last().values("content-length") == [b"5"]


def test_a_chunked_body_arrives_chunked_without_extensions_and_trailers(stand: Stand) -> None:
    body = b"3;a=b\r\nabc\r\nA\r\n0123456789\r\n0\r\nX-Trailer: dropped\r\n\r\n"
    assert status_of(stand.send(request(b"POST /open/x", CHUNKED, b"Trailer: X-Trailer", body=body))) == 200
    assert stand.upstream.last().body == b"abc0123456789"
    assert stand.upstream.last().values("transfer-encoding") == [b"chunked"]
    assert stand.upstream.last().values("trailer") == []


def test_a_chunked_body_that_comes_octet_by_octet_arrives(stand: Stand) -> None:
    with stand.connect() as client:
        client.sendall(request(b"POST /open/x", CHUNKED))
        for octet in b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n":
            client.send(bytes([octet]))
        assert status_of(read_all(client)) == 200
    assert stand.upstream.last().body == b"abcde"


def test_a_post_without_a_body_says_so(stand: Stand) -> None:
    assert status_of(stand.send(request(b"POST /open/x"))) == 200
    assert stand.upstream.last().values("content-length") == [b"0"]


def test_a_get_without_a_body_has_no_framing(stand: Stand) -> None:
    assert status_of(stand.send(request(b"GET /open/x"))) == 200
    assert stand.upstream.last().values("content-length") == []
    assert stand.upstream.last().values("transfer-encoding") == []


def test_a_body_above_the_limit_of_its_api_is_refused_by_its_length(stand: Stand) -> None:
    answer = stand.send(request(b"POST /small/x", b"Content-Length: %d" % (SMALL_BODY_BYTES + 1)))
    assert status_of(answer) == 413
    assert header_values(answer, "x-ca-error-code") == [b"I413RL"]
    assert stand.upstream.begun == 0


def test_a_chunked_body_above_the_limit_is_refused_and_the_upstream_gets_no_whole_request(stand: Stand) -> None:
    with stand.connect() as client:
        client.sendall(request(b"POST /small/x", CHUNKED))
        for _ in range(3):
            client.sendall(b"200\r\n" + b"a" * 512 + b"\r\n")
        assert status_of(read_all(client)) == 413
    assert stand.upstream.received == []


def test_expect_is_answered_by_the_upstream_and_not_before_the_caller_is_known(stand: Stand) -> None:
    with stand.connect() as client:
        client.sendall(request(b"POST /shop/x", b"Content-Length: 5", b"Expect: 100-continue"))
        assert status_of(read_all(client)) == 400
    with stand.connect() as client:
        client.sendall(request(b"POST /shop/x", AUTHORIZATION.strip(), b"Content-Length: 5", b"Expect: 100-continue"))
        head, _ = read_answer(client)
        assert head == b"HTTP/1.1 100 Continue"
        client.sendall(b"abcde")
        assert status_of(read_all(client)) == 200
    assert stand.upstream.last().body == b"abcde"


def test_head_has_the_length_but_no_body(stand: Stand) -> None:
    stand.upstream.scripts["/x"] = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"
    answer = stand.send(request(b"HEAD /open/x"))
    assert header_values(answer, "content-length") == [b"5"]
    assert body_of(answer) == b""
    assert stand.upstream.last().line.startswith(b"HEAD ")


def test_a_refused_head_request_has_no_body(stand: Stand) -> None:
    answer = stand.send(request(b"HEAD /nowhere/x"))
    assert status_of(answer) == 404
    assert body_of(answer) == b""


@pytest.mark.parametrize("status", [b"204 No Content", b"304 Not Modified"])
def test_an_answer_that_has_no_body_ends_with_its_head(stand: Stand, status: bytes) -> None:
    stand.upstream.scripts["/x"] = b"HTTP/1.1 " + status + b"\r\nETag: a\r\n\r\n"
    with stand.connect() as client:
        for _ in range(2):
            client.sendall(request(b"GET /open/x", close=False))
            head, body = read_answer(client)
            assert head.startswith(b"HTTP/1.1 " + status)
            assert body == b""
            assert header_values(head, "transfer-encoding") == []


def test_a_chunked_answer_passes_without_its_trailers(stand: Stand) -> None:
    stand.upstream.scripts["/x"] = lambda client, _: [
        client.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-T\r\n\r\n3\r\nabc\r\n"),
        time.sleep(0.05),
        client.sendall(b"2;x=y\r\nde\r\n0\r\nX-T: 1\r\n\r\n"),
    ]  # type: ignore[assignment]
    answer = stand.send(request(b"GET /open/x"))
    assert header_values(answer, "transfer-encoding") == [b"chunked"]
    assert header_values(answer, "trailer") == []
    assert body_of(answer) == b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"


def test_a_chunked_answer_that_came_whole_gets_a_length(stand: Stand) -> None:
    stand.upstream.scripts["/x"] = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"
    answer = stand.send(request(b"GET /open/x"))
    assert header_values(answer, "content-length") == [b"3"]
    assert body_of(answer) == b"abc"


def test_an_answer_that_ends_with_its_connection_gets_chunks(stand: Stand) -> None:
    stand.upstream.scripts["/x"] = lambda client, _: client.sendall(b"HTTP/1.1 200 OK\r\n\r\nabcde")
    answer = stand.send(request(b"GET /open/x"))
    assert body_of(answer) == b"5\r\nabcde\r\n0\r\n\r\n"


def test_http_1_0_gets_an_answer_without_chunks(stand: Stand) -> None:
    stand.upstream.scripts["/x"] = lambda client, _: client.sendall(b"HTTP/1.1 200 OK\r\n\r\nabcde")
    answer = stand.send(b"GET /open/x HTTP/1.0\r\n\r\n")
    assert header_values(answer, "transfer-encoding") == []
    assert body_of(answer) == b"abcde"


def test_http_1_0_keeps_its_connection_only_when_it_asks(stand: Stand) -> None:
    with stand.connect() as client:
        client.sendall(b"GET /open/x HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
        head, _ = read_answer(client)
        assert header_values(head, "connection") == [b"keep-alive"]
        client.sendall(b"GET /open/x HTTP/1.0\r\n\r\n")
        assert header_values(read_all(client), "connection") == [b"close"]


def test_pipelined_requests_are_answered_in_order(stand: Stand) -> None:
    def slow(client: socket.socket, _: Received) -> None:
        time.sleep(0.1)
        client.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nslow")

    stand.upstream.scripts["/slow"] = slow
    paths = [b"GET /open/slow", b"GET /nowhere/x", b"GET /shop/x", b"GET /open/fast"]
    with stand.connect() as client:
        client.sendall(b"".join(request(path, close=path.endswith(b"fast")) for path in paths))
        statuses = [
            status_of(part)
            for part in b"".join([read_all(client)]).split(b"HTTP/1.1 ")[1:]
            for part in [b"HTTP/1.1 " + part]
        ]
    assert statuses == [200, 404, 400, 200]


def test_hundreds_of_pipelined_requests_are_all_answered(stand: Stand) -> None:
    count = 400
    with stand.connect() as client:
        client.sendall(request(b"GET /open/x", close=False) * (count - 1) + request(b"GET /open/x"))
        assert read_all(client).count(b"HTTP/1.1 200 OK") == count


def test_thousands_of_pipelined_refusals_are_all_answered(stand: Stand) -> None:
    count = 2_000
    with stand.connect() as client:
        client.sendall(b"GET /n HTTP/1.1\r\nHost: a\r\n\r\n" * (count - 1) + request(b"GET /n"))
        assert read_all(client).count(b"HTTP/1.1 404") == count


def test_a_pipelined_request_after_a_body_is_read_where_the_body_ends(stand: Stand) -> None:
    first = request(b"POST /open/a", b"Content-Length: 3", body=b"abc", close=False)
    second = request(b"POST /open/b", CHUNKED, body=b"2\r\nde\r\n0\r\n\r\n", close=False)
    answer = stand.send(first + second + request(b"GET /open/c"))
    assert answer.count(b"HTTP/1.1 200 OK") == 3
    assert [received.body for received in stand.upstream.received] == [b"abc", b"de", b""]


def test_a_client_that_half_closes_still_gets_its_answer(stand: Stand) -> None:
    with stand.connect() as client:
        client.sendall(request(b"GET /open/x", close=False))
        client.shutdown(socket.SHUT_WR)
        assert body_of(read_all(client)) == b"hello"


def test_a_client_that_half_closes_in_its_body_is_told_so(stand: Stand) -> None:
    with stand.connect() as client:
        client.sendall(request(b"POST /open/x", b"Content-Length: 10", body=b"abc"))
        client.shutdown(socket.SHUT_WR)
        answer = read_all(client)
    assert status_of(answer) == 400
    assert header_values(answer, "x-ca-error-code") == [b"I400BD"]
    assert stand.upstream.received == []


def test_a_refusal_is_readable_while_the_body_is_still_being_sent(stand: Stand) -> None:
    with stand.connect() as client:
        client.sendall(request(b"POST /nowhere/x", b"Content-Length: 400000", close=False))
        client.sendall(b"a" * 200_000)
        time.sleep(0.1)
        answer = read_all(client)
    assert status_of(answer) == 404
    assert header_values(answer, "connection") == [b"close"]


def test_an_answer_may_come_before_the_body_is_complete(stand: Stand) -> None:
    with stand.connect() as client:
        client.sendall(request(b"POST /shop/x", AUTHORIZATION.strip(), b"Content-Length: 100000", close=False))
        client.sendall(b"a" * 10)
        stand.upstream.scripts["/x"] = b""
        client.shutdown(socket.SHUT_WR)
        assert status_of(read_all(client)) == 400


def test_an_absolute_target_is_forwarded_as_a_path(stand: Stand) -> None:
    answer = stand.send(b"GET http://api.example/open/x?a=1 HTTP/1.1\r\nHost: api.example\r\nConnection: close\r\n\r\n")
    assert status_of(answer) == 200
    assert stand.upstream.last().line == b"GET /x?a=1 HTTP/1.1"


def test_options_with_a_star_finds_no_api(stand: Stand) -> None:
    assert status_of(stand.send(request(b"OPTIONS *"))) == 404


def test_an_offer_of_http_2_is_ignored(stand: Stand) -> None:
    answer = stand.send(
        request(b"GET /open/x", b"Upgrade: h2c", b"HTTP2-Settings: AAA", b"Connection: Upgrade, HTTP2-Settings")
    )
    assert status_of(answer) == 200
    assert stand.upstream.last().values("upgrade") == []
    assert stand.upstream.last().values("http2-settings") == []


def test_a_websocket_is_refused(stand: Stand) -> None:
    answer = stand.send(request(b"GET /open/x", b"Upgrade: websocket", b"Connection: Upgrade"))
    assert status_of(answer) == 501
    assert stand.upstream.begun == 0


def test_a_known_app_is_served_over_one_connection(stand: Stand) -> None:
    with stand.connect() as client:
        for _ in range(3):
            client.sendall(request(b"GET /shop/x", AUTHORIZATION.strip(), close=False))
            head, body = read_answer(client)
            assert (status_of(head), body) == (200, b"hello")


def test_an_answer_of_the_longest_allowed_head_passes(stand: Stand) -> None:
    stand.upstream.scripts["/x"] = (
        b"HTTP/1.1 200 OK\r\nX-A: " + b"a" * (HEADER_BYTES_MAX - 200) + b"\r\nContent-Length: 0\r\n\r\n"
    )
    assert status_of(stand.send(request(b"GET /open/x"))) == 200


def test_pipelined_requests_before_a_half_close_are_all_answered(stand: Stand) -> None:
    with stand.connect() as client:
        client.sendall(request(b"GET /open/x", close=False) * 3)
        client.shutdown(socket.SHUT_WR)
        assert read_all(client).count(b"HTTP/1.1 200 OK") == 3
