"""Upstreams that misbehave: answers with two readings, silence, refusals, closed connections; and what is never sent twice."""

from __future__ import annotations

import socket
import struct
import time

import pytest

from tests.gateway.http.stand import AUTHORIZATION, Stand, header_values, read_answer, request, status_of
from tests.gateway.http.upstream import HELLO, Received
from tests.waiting import eventually

OK = b"HTTP/1.1 200 OK\r\n"
END = b"\r\n"

BAD_ANSWERS = {
    "both framings": OK + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n" + END + b"0\r\n\r\n",
    "two lengths": OK + b"Content-Length: 5\r\nContent-Length: 6\r\n" + END + b"hello",
    "a negative length": OK + b"Content-Length: -5\r\n" + END,
    "an unknown coding": OK + b"Transfer-Encoding: gzip, chunked\r\n" + END + b"0\r\n\r\n",
    "chunked in HTTP/1.0": b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n" + END + b"0\r\n\r\n",
    "a folded header": OK + b"X-A: 1\r\n 2\r\nContent-Length: 0\r\n" + END,
    "a NUL in a header": OK + b"X-A: \x00\r\nContent-Length: 0\r\n" + END,
    "a space before the colon": OK + b"Content-Length : 5\r\n" + END + b"hello",
    "a status that is no number": b"HTTP/1.1 abc OK\r\nContent-Length: 0\r\n" + END,
    "another protocol": b"SSH-2.0-OpenSSH_9.2\r\n\r\n",
    "a protocol switch": b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n" + END,
    "a bad chunk size": OK + b"Transfer-Encoding: chunked\r\n" + END + b"zz\r\nabc\r\n0\r\n\r\n",
    "an endless head": OK + b"X-A: " + b"a" * 70_000,
    "endless interim answers": b"HTTP/1.1 102 Processing\r\n\r\n" * 50 + HELLO,
}


@pytest.mark.parametrize("name", BAD_ANSWERS)
def test_an_answer_with_two_readings_becomes_502_and_is_not_forwarded(stand: Stand, name: str) -> None:
    stand.upstream.scripts["/x"] = BAD_ANSWERS[name]
    answer = stand.send(request(b"GET /open/x"))
    assert status_of(answer) == 502
    assert header_values(answer, "x-ca-error-code") == [b"N502RE"]
    assert header_values(answer, "x-a") == []


def test_octets_after_an_answer_are_nobodys_answer(stand: Stand) -> None:
    stand.upstream.scripts["/x"] = HELLO + b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison"
    for _ in range(3):
        answer = stand.send(request(b"GET /open/x"))
        assert answer.endswith(b"\r\n\r\nhello")
    stand.upstream.scripts.clear()
    assert stand.send(request(b"GET /open/y")).endswith(b"hello")


def test_an_interim_answer_is_dropped(stand: Stand) -> None:
    stand.upstream.scripts["/x"] = b"HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\n" + HELLO
    answer = stand.send(request(b"GET /open/x"))
    assert answer.count(b"HTTP/1.1 ") == 1
    assert answer.endswith(b"hello")


def test_an_upstream_that_leads_to_the_machines_own_credentials_is_never_called(stand: Stand) -> None:
    answer = stand.send(request(b"GET /metadata/x"))
    assert status_of(answer) == 504
    assert header_values(answer, "x-ca-error-code") == [b"D504IL"]


def test_an_upstream_that_is_not_there_is_504(stand: Stand) -> None:
    answer = stand.send(request(b"GET /dead/x"))
    assert status_of(answer) == 504
    assert header_values(answer, "x-ca-error-code") == [b"D504CO"]


def test_an_upstream_that_is_silent_is_504_after_its_time(stand: Stand) -> None:
    stand.upstream.scripts["/x"] = lambda client, _: time.sleep(3)
    answer = stand.send(request(b"GET /short/x"))
    assert status_of(answer) == 504
    assert header_values(answer, "x-ca-error-code") == [b"D504TO"]


def test_an_upstream_that_stops_in_its_body_cuts_the_answer(stand: Stand) -> None:
    stand.upstream.scripts["/x"] = lambda client, _: [
        client.sendall(OK + b"Content-Length: 50000\r\n\r\n" + b"a" * 20_000)
    ]  # type: ignore[assignment]
    answer = stand.send(request(b"GET /open/x", close=False))
    assert status_of(answer) == 200
    assert answer.split(b"\r\n\r\n", 1)[1] == b"a" * 20_000


def test_a_cut_chunked_answer_does_not_look_complete(stand: Stand) -> None:
    def cut(client: socket.socket, _: Received) -> None:
        client.sendall(OK + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n")
        time.sleep(0.05)

    stand.upstream.scripts["/x"] = cut
    answer = stand.send(request(b"GET /open/x", close=False))
    assert not answer.endswith(b"0\r\n\r\n")


def closing_after(answer: bytes) -> object:
    """Answer once and close, so that the gateway keeps a connection that dies at its next use."""

    def script(client: socket.socket, _: Received) -> None:
        client.sendall(answer)
        assert client.recv(1) != b""  # the next request is on this connection: close without an answer

    return script


def test_a_safe_call_on_a_connection_that_just_died_is_sent_again(stand: Stand) -> None:
    stand.upstream.scripts["/x"] = closing_after(HELLO)  # type: ignore[assignment]
    with stand.connect() as client:
        client.sendall(request(b"GET /open/x", close=False))
        assert read_answer(client)[1] == b"hello"
        client.sendall(request(b"GET /open/y", close=False))
        head, body = read_answer(client)
    assert (status_of(head), body) == (200, b"hello")
    assert [seen.line for seen in stand.upstream.received] == [b"GET /x HTTP/1.1", b"GET /y HTTP/1.1"]


def test_an_unsafe_call_is_never_sent_twice(stand: Stand) -> None:
    stand.upstream.scripts["/x"] = closing_after(HELLO)  # type: ignore[assignment]
    with stand.connect() as client:
        client.sendall(request(b"GET /open/x", close=False))
        read_answer(client)
        client.sendall(request(b"POST /open/y", b"Content-Length: 3", body=b"abc", close=False))
        head, _ = read_answer(client)
    assert status_of(head) == 502
    assert header_values(head, "x-ca-error-code") == [b"N502RE"]
    assert len(stand.upstream.received) == 1


def test_connections_to_an_upstream_are_used_again(stand: Stand) -> None:
    stand.send(request(b"GET /open/x"))
    before = stand.upstream.connections
    for _ in range(5):
        stand.send(request(b"GET /open/x"))
    assert stand.upstream.connections == before


def test_an_answer_that_says_close_ends_its_connection(stand: Stand) -> None:
    stand.upstream.scripts["/x"] = OK + b"Connection: close\r\nContent-Length: 0\r\n\r\n"
    stand.send(request(b"GET /open/x"))
    before = stand.upstream.connections
    stand.send(request(b"GET /open/x"))
    assert stand.upstream.connections == before + 1


def test_a_client_that_resets_its_connection_ends_the_upstream_call(stand: Stand) -> None:
    """A client that only closes may be half-closing, which is no reason to give its call up."""
    ended = []

    def wait(client: socket.socket, _: Received) -> None:
        client.settimeout(10)
        try:
            ended.append(client.recv(1))
        except ConnectionResetError:
            ended.append(b"")

    stand.upstream.scripts["/x"] = wait
    with stand.connect() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.sendall(request(b"GET /shop/x", AUTHORIZATION.strip(), close=False))
        assert eventually(lambda: stand.upstream.received)
    assert eventually(lambda: ended, within_s=10)
    assert ended == [b""]
