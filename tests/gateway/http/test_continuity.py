"""Changes that nobody notices: a streamed answer outlives a deployment and a withdrawal, a restart loses no call."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import threading
import time
from pathlib import Path

from gateway.dataplane.recovery import boot_folders
from marketplace.contracts.segment import COUNTED_KINDS, SegmentReader
from tests.gateway.http.stand import (
    AUTHORIZATION,
    Stand,
    api,
    apis_of,
    header_values,
    publish,
    read_all,
    request,
    standing,
    status_of,
)
from tests.gateway.http.upstream import HELLO, Received
from tests.waiting import eventually

PIECE = b"x" * 65_536
PIECES = 8
CALLERS = 4
MOVED = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nmoved"


def test_a_streamed_answer_outlives_a_deployment_and_even_the_withdrawal_of_its_api() -> None:
    with standing(workers=2) as stand:
        go, begun = threading.Event(), threading.Event()

        def stream(client: socket.socket, _: Received) -> None:
            client.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (len(PIECE) * PIECES) + PIECE)
            begun.set()
            assert go.wait(30)
            for _piece in range(PIECES - 1):
                client.sendall(PIECE)

        stand.upstream.scripts["/stream"] = stream
        stand.upstream.scripts["/inner/x"] = MOVED
        with stand.connect() as client:
            client.sendall(request(b"GET /shop/stream", AUTHORIZATION.strip()))
            assert begun.wait(20)
            moved = api(2, "/shop", f"http://127.0.0.1:{stand.upstream.port}/inner")
            others = [one for one in apis_of(stand.upstream) if one.base_path != "/shop"]
            publish(stand.valkey, [moved, *others], version=2)
            assert eventually(lambda: {call(stand)[-5:] for _ in range(4)} == {b"moved"})
            publish(stand.valkey, others, version=3)
            assert eventually(lambda: {status_of(call(stand)) for _ in range(4)} == {404})
            go.set()
            answer = read_all(client)
        assert status_of(answer) == 200
        assert answer.partition(b"\r\n\r\n")[2] == PIECE * PIECES


def call(stand: Stand) -> bytes:
    """One ordinary call of Bob's."""
    return stand.send(request(b"GET /shop/x", AUTHORIZATION.strip()))


def test_a_restart_of_the_whole_gateway_loses_no_answered_call_and_refuses_none() -> None:
    """Clients call through a SIGTERM and a new start: each is not connected, or answered 200; and each answer is journaled."""
    with standing(workers=2) as stand:
        stand.upstream.scripts["/x"] = HELLO
        answered: list[bytes] = []
        odd: list[bytes] = []
        stop = threading.Event()

        def caller() -> None:
            while not stop.is_set():
                try:
                    client = stand.connect()
                except OSError:
                    time.sleep(0.01)  # nobody listens: between the two lives
                    continue
                with client:
                    answer = b""
                    with contextlib.suppress(OSError):
                        client.sendall(request(b"GET /shop/x", AUTHORIZATION.strip()))
                        answer = read_all(client)
                is_good = answer.startswith(b"HTTP/1.1 200") and answer.endswith(b"hello")
                (answered if is_good else odd).append(answer)

        threads = [threading.Thread(target=caller) for _ in range(CALLERS)]
        for thread in threads:
            thread.start()
        assert eventually(lambda: len(answered) > 20)
        assert stand.gateway.child is not None
        os.kill(stand.gateway.pid, signal.SIGTERM)
        assert stand.gateway.child.wait(30) == 0
        before = len(answered)
        stand.gateway.start()
        assert eventually(lambda: len(answered) > before + 20)
        stop.set()
        for thread in threads:
            thread.join()
        assert odd == []
        stand.gateway.stop()
        ids = [header_values(answer, "x-ca-request-id")[0].decode().replace("-", "").lower() for answer in answered]
        assert set(ids) <= journaled(Path(stand.gateway.environment["TOLLGATE_JOURNAL_DIR"]))
        assert len(ids) == len(set(ids))


def journaled(folder: Path) -> set[str]:
    """The ids of all counted calls in a node's journal."""
    found: set[str] = set()
    for boot in boot_folders(folder):
        for path in sorted(boot.glob("[0-9]*")):
            records = SegmentReader(path.read_bytes()).records()
            found |= {raw.id.hex() for raw in records if raw.kind in COUNTED_KINDS}
    return found
