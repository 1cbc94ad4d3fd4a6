"""Large bodies stream through in both directions with the worker's memory flat, and whoever reads slowly slows the sender down."""

from __future__ import annotations

import socket
import threading
import time
from pathlib import Path

import pytest

from tests.gateway.http.stand import AUTHORIZATION, Stand, read_all, request, status_of
from tests.gateway.http.upstream import Received

MIB = 1 << 20
SIZE = 192 * MIB
MEMORY_GROWTH_MAX = 12 * MIB
"""Socket buffers, one piece in flight each way, and the allocator's slack."""
PIECE = b"0123456789abcdef" * 4096


def worker_memory(stand: Stand) -> int:
    """Resident bytes of the only worker."""
    pid = stand.gateway.pid
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return int(Path(f"/proc/{children[0]}/statm").read_text().split()[1]) * 4096


def send_size(client: socket.socket, size: int) -> None:
    while size:
        piece = PIECE[: min(size, len(PIECE))]
        client.sendall(piece)
        size -= len(piece)


def pour(size: int) -> object:
    """An upstream script: an answer of ``size`` octets."""

    def script(client: socket.socket, _: Received) -> None:
        client.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size)
        send_size(client, size)

    return script


def download(stand: Stand, size: int) -> int:
    stand.upstream.scripts["/big"] = pour(size)  # type: ignore[assignment]
    seen = 0
    with stand.connect() as client:
        client.sendall(request(b"GET /shop/big", AUTHORIZATION.strip()))
        while piece := client.recv(MIB):
            seen += len(piece)
    return seen


def upload(stand: Stand, size: int) -> int:
    seen = 0

    def count(piece: bytes) -> None:
        nonlocal seen
        seen += len(piece)

    stand.upstream.body_hook = count
    with stand.connect() as client:
        client.sendall(request(b"POST /shop/big", AUTHORIZATION.strip(), b"Content-Length: %d" % size))
        send_size(client, size)
        assert status_of(read_all(client)) == 200
    return seen


@pytest.mark.parametrize("transfer", [download, upload])
def test_a_large_body_streams_with_flat_memory(stand: Stand, transfer: object) -> None:
    transfer(stand, 8 * MIB)  # type: ignore[operator]
    before = worker_memory(stand)
    assert transfer(stand, SIZE) >= SIZE  # type: ignore[operator]
    assert worker_memory(stand) - before < MEMORY_GROWTH_MAX


def test_a_large_chunked_upload_arrives_whole(stand: Stand) -> None:
    with stand.connect() as client:
        client.sendall(request(b"POST /shop/x", AUTHORIZATION.strip(), b"Transfer-Encoding: chunked"))
        for _ in range(64):
            client.sendall(b"%x\r\n" % len(PIECE) + PIECE + b"\r\n")
        client.sendall(b"0\r\n\r\n")
        assert status_of(read_all(client)) == 200
    assert stand.upstream.last().body == PIECE * 64


def test_a_large_chunked_answer_arrives_whole(stand: Stand) -> None:
    def script(client: socket.socket, _: Received) -> None:
        client.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        for _ in range(64):
            client.sendall(b"%x\r\n" % len(PIECE) + PIECE + b"\r\n")
        client.sendall(b"0\r\n\r\n")

    stand.upstream.scripts["/x"] = script
    answer = stand.send(request(b"GET /shop/x", AUTHORIZATION.strip()))
    body, content = answer.split(b"\r\n\r\n", 1)[1], []
    while size := int(body.split(b"\r\n", 1)[0], 16):
        start = body.index(b"\r\n") + 2
        content.append(body[start : start + size])
        body = body[start + size + 2 :]
    assert b"".join(content) == PIECE * 64
    assert body == b"0\r\n\r\n"


def test_a_slow_reader_slows_its_upstream_down(stand: Stand) -> None:
    sent = 0

    def script(client: socket.socket, _: Received) -> None:
        nonlocal sent
        client.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % SIZE)
        while sent < SIZE:
            sent += client.send(PIECE)

    stand.upstream.scripts["/big"] = script
    before = worker_memory(stand)
    with stand.connect() as client:
        client.sendall(request(b"GET /shop/big", AUTHORIZATION.strip()))
        stuck = settle(lambda: sent)
        assert stuck < SIZE // 4
        assert worker_memory(stand) - before < MEMORY_GROWTH_MAX
        rest = 0
        while piece := client.recv(MIB):
            rest += len(piece)
    assert rest >= SIZE


def test_a_slow_upstream_slows_its_client_down(stand: Stand) -> None:
    go = threading.Event()
    stand.upstream.body_hook = lambda _piece: go.wait(20)
    sent = 0
    with stand.connect() as client:
        client.sendall(request(b"POST /shop/big", AUTHORIZATION.strip(), b"Content-Length: %d" % SIZE))
        client.setblocking(False)
        quiet_since = time.monotonic()
        while time.monotonic() - quiet_since < 0.3:
            try:
                sent += client.send(PIECE)
                quiet_since = time.monotonic()
            except BlockingIOError:
                time.sleep(0.01)
        assert sent < SIZE // 4
        go.set()
        client.settimeout(20)
        send_size(client, SIZE - sent)
        assert status_of(read_all(client)) == 200


def settle(read: object) -> int:
    """The value once it has stopped changing for a while."""
    value, since = read(), time.monotonic()  # type: ignore[operator]
    while time.monotonic() - since < 0.3:
        time.sleep(0.02)
        fresh = read()  # type: ignore[operator]
        if fresh != value:
            value, since = fresh, time.monotonic()
    return int(value)


def test_a_client_that_pipelines_and_never_reads_is_held_back(stand: Stand) -> None:
    before = worker_memory(stand)
    requests = b"GET /nowhere HTTP/1.1\r\nHost: a\r\n\r\n" * 1_000
    sent, quiet_since = 0, time.monotonic()
    with stand.connect() as client:
        client.setblocking(False)
        while time.monotonic() - quiet_since < 0.5 and sent < SIZE:
            try:
                sent += client.send(requests[sent % len(requests) :])
                quiet_since = time.monotonic()
            except BlockingIOError:
                time.sleep(0.01)
        assert sent < SIZE // 2  # what the kernel keeps on both sides, no more
        assert worker_memory(stand) - before < MEMORY_GROWTH_MAX
        client.settimeout(20)
        client.shutdown(socket.SHUT_WR)
        answered = 0
        while piece := client.recv(MIB):
            answered += piece.count(b"HTTP/1.1 404")
    assert answered > 0
