"""Connections to upstreams as a stock: what is kept, for how long, for whom, and when it is let go."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import signal
import socket
import struct
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from time import monotonic

import pytest

from gateway.core.http_response_head import ResponseParser
from gateway.dataplane import upstream
from gateway.dataplane.exchange import IDLE_S_MAX
from gateway.dataplane.settings import settings_read
from gateway.dataplane.upstream import UNSAFE_IDLE_S_MAX, Upstreams
from gateway.dataplane.worker import UPSTREAM_SWEEP_S
from marketplace.contracts.definition import UpstreamDefinition
from marketplace.contracts.limits import RateLimit
from tests import harness, servers
from tests.gateway.http.stand import (
    SHORT_TIMEOUT_MS,
    Stand,
    api,
    apis_of,
    header_values,
    publish,
    read_all,
    read_answer,
    request,
    standing,
    status_of,
)
from tests.gateway.http.test_life import workers_of
from tests.gateway.http.test_signed_forms import head as form_head
from tests.gateway.http.test_signed_forms import key_add
from tests.gateway.http.upstream import HELLO
from tests.waiting import WAIT_S_MAX, eventually

CALLERS = 12
RATED_CALLS, RATED_S = 2, 600


@contextlib.contextmanager
def shutting() -> Iterator[int]:
    """The port of a balancer without backends: it accepts and closes."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=64)

    def accept() -> None:
        with contextlib.suppress(OSError):
            while True:
                listener.accept()[0].close()

    threading.Thread(target=accept, daemon=True).start()
    yield listener.getsockname()[1]
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()


def upstreams_make(var: Path) -> Upstreams:
    """The pools of a worker that is not there."""
    environment = servers.environment_make(
        var=var, database_url="postgres://nobody@127.0.0.1:9/none", valkey_url="unix:///none?db=0"
    )
    return Upstreams(settings_read({**harness.TEST_SECRETS, **environment}), ResponseParser())


@pytest.fixture
def narrow(module_narrow: Stand) -> Stand:
    """The module's gateway, with an upstream that has seen nothing yet."""
    module_narrow.upstream.reset()
    return module_narrow


@pytest.fixture(scope="module")
def module_narrow() -> Iterator[Stand]:
    """A gateway with one connection to each upstream, and an Api whose upstream closes every connection at once."""
    with shutting() as port, standing(TOLLGATE_UPSTREAM_CONNECTIONS_MAX="1") as stand:
        url = f"http://127.0.0.1:{stand.upstream.port}"
        rated = api(9, "/rated", url, auth="anonymous", rate_api=RateLimit(RATED_CALLS, RATED_S))
        apis = [*apis_of(stand.upstream), rated, api(8, "/shut", f"http://127.0.0.1:{port}", auth="anonymous")]
        publish(stand.valkey, apis, version=2)
        assert eventually(lambda: status_of(stand.send(request(b"GET /shut/x"))) != 404), stand.gateway.logs()
        yield stand


def test_an_upstream_that_closes_at_once_leaves_no_call_without_an_answer(narrow: Stand) -> None:
    answers: list[int] = []

    def call() -> None:
        answers.append(status_of(narrow.send(request(b"GET /shut/x"))))

    callers = [threading.Thread(target=call) for _ in range(CALLERS)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert len(answers) == CALLERS
    assert set(answers) <= {502, 503, 504}


def test_an_unsafe_call_replaces_a_connection_that_was_idle_for_too_long(narrow: Stand) -> None:
    assert status_of(narrow.send(request(b"GET /open/x"))) == 200
    time.sleep(UNSAFE_IDLE_S_MAX + 0.2)
    before = narrow.upstream.connections
    assert status_of(narrow.send(request(b"POST /open/x", b"Content-Length: 1", body=b"a"))) == 200
    assert narrow.upstream.connections == before + 1


def test_an_unsafe_call_takes_no_connection_whose_end_came_in_the_same_turn(narrow: Stand) -> None:
    """The upstream closed first and the call came then, but the worker, which was held up, hears of both at once."""
    closing: list[socket.socket] = []
    close = threading.Event()

    def answer_and_keep(client: socket.socket, _: object) -> None:
        closing.append(client)
        client.sendall(HELLO)
        close.wait(WAIT_S_MAX)

    narrow.upstream.scripts["/k"] = answer_and_keep  # type: ignore[assignment]
    (pid,) = workers_of(narrow)
    with narrow.connect() as client:
        client.sendall(request(b"GET /open/k", close=False))
        assert status_of(read_answer(client)[0]) == 200
        os.kill(pid, signal.SIGSTOP)
        try:
            closing[0].shutdown(socket.SHUT_RDWR)
            time.sleep(0.05)
            client.sendall(request(b"POST /open/x", b"Content-Length: 1", body=b"a"))
            time.sleep(0.05)
        finally:
            os.kill(pid, signal.SIGCONT)
            close.set()
        assert status_of(read_all(client)) == 200


def test_calls_that_are_left_before_their_answer_count_for_the_rate_since_the_upstream_had_them(narrow: Stand) -> None:
    narrow.upstream.scripts["/x"] = lambda client, _: time.sleep(0.5)  # type: ignore[assignment]
    for number in range(1, RATED_CALLS + 1):
        with narrow.connect() as client:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            client.sendall(request(b"POST /rated/x", b"Content-Length: 0"))
            has_come = eventually(lambda number=number: len(narrow.upstream.received) >= number)  # type: ignore[misc]
            assert has_come, "the call did not reach the upstream"
    answer = narrow.send(request(b"POST /rated/x", b"Content-Length: 0"))
    assert status_of(answer) == 429
    assert header_values(answer, "ratelimit-policy") == [b'"api";q=%d;w=%d' % (RATED_CALLS, RATED_S)]


def test_an_answer_of_unknown_length_is_chunked_again_after_a_request_in_http_1_0(narrow: Stand) -> None:
    old = b"GET /open/x HTTP/1.0\r\nHost: api.example\r\nConnection: keep-alive\r\n\r\n"
    narrow.upstream.scripts["/z"] = lambda client, _: [  # type: ignore[assignment]
        client.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n"),
        time.sleep(0.1),
        client.sendall(b"0\r\n\r\n"),
    ]
    with narrow.connect() as client:
        client.sendall(old)
        assert status_of(read_answer(client)[0]) == 200
        client.sendall(request(b"GET /open/z", close=False))
        data = b""
        while not data.endswith(b"0\r\n\r\n"):
            piece = client.recv(4_096)
            assert piece, "the end of the connection was taken for the end of the answer"
            data += piece
    assert b"\r\nTransfer-Encoding: chunked\r\n" in data


def test_a_connection_that_nobody_used_ends_in_time_and_a_pool_that_no_route_names_is_let_go(tmp_path: Path) -> None:
    async def story() -> None:
        upstreams = upstreams_make(tmp_path)
        upstreams.respond = None  # type: ignore[assignment]  # there is no call to answer
        kept, gone = (UpstreamDefinition(url=f"http://127.0.0.1:{port}/{name}") for name in ("kept", "gone"))
        for definition in (kept, gone):
            pool = upstreams.pool(definition)
            pool.release(await pool._open())
            (exchange,) = pool.idle
            assert exchange.is_reused
            assert monotonic() < exchange.deadline <= monotonic() + IDLE_S_MAX
        upstreams.retain({kept})
        for _ in range(3):
            await asyncio.sleep(0)
            upstreams.sweep(monotonic())
        assert set(upstreams.pools) == {kept}
        assert len(upstreams.pools[kept].idle) == 1
        upstreams.close()
        await asyncio.sleep(0)  # transports end in the next turn

    with socket.create_server(("127.0.0.1", 0)) as listener:  # the system accepts for it
        port = listener.getsockname()[1]
        asyncio.run(story())


def test_a_call_whose_upstream_was_replaced_while_its_form_came_still_has_a_time_out() -> None:
    """The old pool had nothing to do and was let go; the call, which waited for its form, brings it back."""
    with standing() as stand:
        key_add(stand)
        stand.upstream.scripts["/form"] = lambda *_: time.sleep(WAIT_S_MAX)  # type: ignore[assignment]
        others = apis_of(stand.upstream)[2:]
        url = f"http://127.0.0.1:{stand.upstream.port}"
        old, new = (api(2, "/shop", f"{url}{prefix}", timeout_ms=SHORT_TIMEOUT_MS + 1) for prefix in ("", "/new"))
        publish(stand.valkey, [old, *others], version=2)
        assert eventually(lambda: re.search(r"tollgate_snapshot_version\S* 2\n", stand.metrics()))
        with stand.connect() as client:
            client.settimeout(WAIT_S_MAX / 2)
            form = b"a=1"
            client.sendall(form_head(form, signed=form) + form[:1])
            time.sleep(0.1)
            publish(stand.valkey, [new, *others], version=3)
            assert eventually(lambda: re.search(r"tollgate_snapshot_version\S* 3\n", stand.metrics()))
            time.sleep(4 * UPSTREAM_SWEEP_S)
            client.sendall(form[1:])
            assert status_of(client.recv(4_096)) == 504


@pytest.mark.parametrize("is_known", [False, True], ids=["new", "known"])
def test_a_name_that_nobody_answers_for_is_looked_up_once_at_a_time_and_holds_no_call_for_long(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_known: bool
) -> None:
    looked_up = 0

    async def story() -> list[object]:
        nonlocal looked_up
        loop = asyncio.get_running_loop()
        pool = upstreams_make(tmp_path).pool(UpstreamDefinition(url="http://silent.example", timeout_ms=100))
        monkeypatch.setattr(upstream, "LOOK_UP_KNOWN_S_MAX", 0.1)
        if is_known:
            pool._addresses = [(socket.AF_INET, ("192.0.2.1", 80))]

        async def getaddrinfo(*_: object, **__: object) -> list[object]:
            nonlocal looked_up
            looked_up += 1
            await asyncio.sleep(WAIT_S_MAX)
            return []

        monkeypatch.setattr(loop, "getaddrinfo", getaddrinfo)
        async with asyncio.timeout(WAIT_S_MAX / 2):
            return await asyncio.gather(*(pool._candidates() for _ in range(CALLERS)), return_exceptions=True)

    found = asyncio.run(story())
    assert looked_up == 1
    if is_known:
        assert found == CALLERS * [[(socket.AF_INET, ("192.0.2.1", 80))]]
    else:
        assert [getattr(fault, "kind", None) and fault.kind.code for fault in found] == CALLERS * ["D504RE"]  # type: ignore[attr-defined]
