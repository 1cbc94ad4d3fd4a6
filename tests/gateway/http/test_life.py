"""The life of the data plane: drains that cut nobody off, workers that die, time-outs, starting from disk, metrics."""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import socket
import threading
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.dataplane.descriptors import RESERVED
from tests import servers
from tests.gateway.http.stand import (
    AUTHORIZATION,
    Stand,
    apis_of,
    header_values,
    publish,
    read_all,
    read_answer,
    request,
    standing,
    status_of,
)
from tests.gateway.http.upstream import HELLO, Received
from tests.waiting import eventually

CLIENTS = 20


@pytest.fixture
def own() -> Iterator[Stand]:
    """A stand of two workers that the test may stop."""
    with standing(workers=2) as stand:
        yield stand


def workers_of(stand: Stand) -> list[int]:
    """The process ids of the gateway's workers."""
    pid = stand.gateway.pid
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def test_a_drain_cuts_no_request_not_even_those_that_race_with_it(own: Stand) -> None:
    """Clients that connect anew for each call: each is refused before it said anything, or answered."""
    own.upstream.scripts["/x"] = HELLO
    answered, cut, stop = [], [], threading.Event()

    def call_again_and_again() -> None:
        while not stop.is_set():
            try:
                client = own.connect()
            except OSError:
                time.sleep(0.005)
                continue
            with client:
                try:
                    client.sendall(request(b"GET /open/x"))
                    answer = read_all(client)
                except OSError as fault:
                    cut.append(repr(fault))
                    continue
                (answered if answer.endswith(b"hello") else cut).append(answer[:80])  # type: ignore[attr-defined]

    threads = [threading.Thread(target=call_again_and_again) for _ in range(6)]
    for thread in threads:
        thread.start()
    time.sleep(0.4)
    pid = own.gateway.pid
    os.kill(pid, signal.SIGTERM)
    assert own.gateway.child is not None
    own.gateway.child.wait(15)
    stop.set()
    for thread in threads:
        thread.join()
    assert cut == []
    assert len(answered) > 20


def test_a_drain_waits_for_calls_in_progress_and_says_close(own: Stand) -> None:
    release = threading.Event()

    def slow(client: socket.socket, _: Received) -> None:
        release.wait(10)
        client.sendall(HELLO)

    own.upstream.scripts["/slow"] = slow
    with own.connect() as busy, own.connect() as idle:
        idle.sendall(request(b"GET /shop/x", AUTHORIZATION.strip(), close=False))
        read_answer(idle)
        busy.sendall(request(b"GET /shop/slow", AUTHORIZATION.strip(), close=False))
        assert eventually(lambda: len(own.upstream.received) == 2)
        os.kill(own.gateway.pid, signal.SIGTERM)
        time.sleep(0.3)
        # A request on a kept connection that races with the drain is answered too.
        idle.sendall(request(b"GET /shop/x", AUTHORIZATION.strip(), close=False))
        assert header_values(read_all(idle), "connection") == [b"close"]
        release.set()
        answer = read_all(busy)
    assert answer.endswith(b"hello")
    assert header_values(answer, "connection") == [b"close"]
    assert own.gateway.child is not None
    assert own.gateway.child.wait(15) == 0


def test_a_worker_that_is_killed_is_started_again(own: Stand) -> None:
    before = workers_of(own)
    os.kill(before[0], signal.SIGKILL)
    assert eventually(lambda: len(workers_of(own)) == 2 and before[0] not in workers_of(own))
    assert eventually(lambda: servers.answers(f"{own.gateway.metrics_url}/readyz"))
    for _ in range(8):
        assert status_of(own.send(request(b"GET /open/x"))) == 200
    assert "tollgate_worker_restarts_total 1" in own.metrics()


def test_a_master_that_is_killed_leaves_no_worker_behind(own: Stand) -> None:
    orphans = workers_of(own)
    os.kill(own.gateway.pid, signal.SIGKILL)
    assert eventually(lambda: not any(Path(f"/proc/{pid}/stat").exists() and not is_zombie(pid) for pid in orphans))


def is_zombie(pid: int) -> bool:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    return True


def test_a_new_snapshot_is_served_within_two_seconds_of_its_push(own: Stand) -> None:
    apis = apis_of(own.upstream)
    publish(own.valkey, [api for api in apis if api.base_path != "/open"], version=2)
    assert eventually(lambda: {status_of(own.send(request(b"GET /open/x"))) for _ in range(4)} == {404}, within_s=2)


def test_a_gateway_starts_from_disk_while_valkey_is_down(own: Stand) -> None:
    own.gateway.stop()
    own.valkey.stop()
    own.gateway.start()
    assert status_of(own.send(request(b"GET /open/x"))) == 200
    assert status_of(own.send(request(b"GET /shop/x", AUTHORIZATION.strip()))) == 503


def test_a_broken_snapshot_is_not_taken_and_the_one_before_stays(own: Stand) -> None:
    import redis

    client = redis.Redis(unix_socket_path=str(own.valkey.socket))
    client.set("tg:snapshot", b'{"version": 9, "checksum": "wrong", "apis": []}')
    client.set("tg:snapshot:version", 9)
    client.publish("tg:invalidate", "snapshot:9")
    client.close()
    assert eventually(lambda: "tollgate_snapshot_faults_total 0\n" not in own.metrics())
    assert status_of(own.send(request(b"GET /open/x"))) == 200


def test_time_runs_out_for_clients_that_do_not_go_on() -> None:
    times = {"TOLLGATE_HEADER_TIMEOUT_S": "0.4", "TOLLGATE_BODY_TIMEOUT_S": "0.4", "TOLLGATE_IDLE_TIMEOUT_S": "0.4"}
    with standing(**times) as stand:
        with stand.connect() as client:
            client.sendall(b"GET /open/x HTTP/1.1\r\nHo")
            assert status_of(read_all(client)) == 408
        with stand.connect() as client:
            client.sendall(request(b"POST /open/x", b"Content-Length: 10", body=b"abc"))
            assert status_of(read_all(client)) == 408
        with stand.connect() as client:
            client.sendall(request(b"POST /shop/x", AUTHORIZATION.strip(), b"Content-Length: 10", body=b"abc"))
            assert status_of(read_all(client)) == 408
        with stand.connect() as client:
            client.sendall(request(b"GET /open/x", close=False))
            read_answer(client)
            assert client.recv(1) == b""
        with stand.connect() as client:
            assert client.recv(1) == b""
        assert stand.upstream.received[0].body == b""
        assert len(stand.upstream.received) == 1


def test_metrics_name_what_happened(own: Stand) -> None:
    assert status_of(own.send(request(b"GET /shop/x", AUTHORIZATION.strip()))) == 200
    assert status_of(own.send(request(b"GET /shop/x"))) == 400
    assert status_of(own.send(request(b"BREW /shop/x"))) == 501
    wanted = (
        'outcome="A400MA"} 1',
        'tollgate_refused_total{code="I501UM"} 1',
        'name="shop",stage="release",outcome="succeeded"}',
        "tollgate_call_duration_seconds_count",
        "tollgate_journal_events_total",
        "tollgate_workers_ready 2",
    )
    assert eventually(lambda: all(text in own.metrics() for text in wanted), within_s=5)
    with urllib.request.urlopen(f"{own.gateway.metrics_url}/livez", timeout=5) as answer:
        assert answer.status == 200


def test_idle_strangers_never_take_the_descriptors_that_a_call_and_its_record_need() -> None:
    with standing() as stand:
        stand.upstream.scripts["/x"] = HELLO
        resource.prlimit(stand.gateway.pid, resource.RLIMIT_NOFILE, (64, RESERVED + 2 * CLIENTS))
        (before,) = workers_of(stand)
        os.kill(before, signal.SIGKILL)
        assert eventually(lambda: workers_of(stand) not in ([], [before]))
        assert eventually(lambda: servers.answers(f"{stand.gateway.metrics_url}/readyz"))
        with contextlib.ExitStack() as held:
            first = held.enter_context(stand.connect())
            strangers = [held.enter_context(stand.connect()) for _ in range(3 * CLIENTS)]
            assert eventually(lambda: f'tollgate_open_connections{{worker="0"}} {CLIENTS}\n' in stand.metrics())
            first.sendall(request(b"GET /open/x"))
            assert read_all(first).endswith(b"hello")
            assert strangers[-1].recv(1) == b""
        assert f"only {CLIENTS} of 20000 client connections fit" in stand.gateway.logs()
