"""A disk that refuses the journal, through a real gateway: who gets no answer is not billed, who read one is."""

import contextlib
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import psutil
import pytest
import redis

from gateway.dataplane.client_answers import BUSY
from gateway.dataplane.http1 import ClientConnection
from gateway.dataplane.journal_records import event_encode
from gateway.dataplane.leases import TAKEN
from gateway.dataplane.metrics import Metrics
from gateway.dataplane.recovery import boot_folders
from marketplace.contracts.definition import ApiPolicies
from marketplace.contracts.limits import Limits, QuotaLimit
from marketplace.contracts.segment import CLOSED, COUNTED_KINDS, RawRecord, SegmentReader
from tests import servers
from tests.gateway.http.upstream import Received, Upstream
from tests.gateway.state import seeding
from tests.gateway.state.parts import ROUTE, call_make, disk_full, generation_set, workers
from tests.gateway.state.seeding import Bob, valkey_own
from tests.waiting import eventually

LIMIT = 3
QUOTA = Limits(plan_name="Free", quota=QuotaLimit(units=LIMIT, window="day"))
BOBS = [Bob(1, QUOTA, path="free"), Bob(2, QUOTA, path="free")]
WITHOUT_QUOTA = Bob(3, Limits(plan_name="Free"), path="free")
PIECE = 20_000
HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (2 * PIECE)


class World:
    """A gateway of one worker, its upstream and its journal."""

    def __init__(self, gateway: servers.Program, upstream: Upstream, valkey: Any, journal_dir: Path) -> None:
        self.port = int(gateway.url.rpartition(":")[2])
        self.upstream, self.valkey, self.journal_dir = upstream, valkey, journal_dir
        (self.worker,) = psutil.Process(gateway.pid).children()

    def disk(self, *, is_full: bool) -> None:
        """Let no file of the worker grow, or all of them again."""
        _, hard = self.worker.rlimit(psutil.RLIMIT_FSIZE)
        self.worker.rlimit(psutil.RLIMIT_FSIZE, (1 if is_full else psutil.RLIM_INFINITY, hard))
        if not is_full:
            assert eventually(lambda: self.call(WITHOUT_QUOTA)[9:12] == b"200")

    def call(self, bob: Bob) -> bytes:
        """All that the client reads."""
        lines = [
            b"GET /free/now HTTP/1.1",
            b"Host: a",
            b"Authorization: APPCODE " + bob.code.encode(),
            b"Connection: close",
        ]
        with socket.create_connection(("127.0.0.1", self.port), timeout=20) as client:
            client.sendall(b"\r\n".join(lines) + b"\r\n\r\n")
            parts = []
            with contextlib.suppress(ConnectionResetError):
                while data := client.recv(1 << 16):
                    parts.append(data)
        return b"".join(parts)

    def good_calls(self, bob: Bob) -> int:
        """How many calls get an answer until the quota refuses."""
        good = 0
        while (status := self.call(bob)[9:12]) == b"200":
            good += 1
        assert status == b"403"
        return good

    def billed(self, bob: Bob) -> list[RawRecord]:
        """The calls of Bob in the journal."""
        found = []
        for folder in boot_folders(self.journal_dir):
            for path in sorted(folder.glob("[0-9]*")):
                records = SegmentReader(path.read_bytes()).records()
                found += [raw for raw in records if raw.kind in COUNTED_KINDS and raw.caller[:16] == bob.grant_id.bytes]
        return found

    def used(self, bob: Bob) -> int:
        """What the counter says."""
        (key,) = self.valkey.scan_iter(match=f"tg:q:{{{bob.grant_id.hex}}}:*")
        return int(self.valkey.hget(key, "u"))


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with valkey_own() as (folder, valkey):
        upstream = Upstream()
        seeding.publish(
            valkey, {"free": ApiPolicies()}, [*BOBS, WITHOUT_QUOTA], upstream_url=f"http://127.0.0.1:{upstream.port}"
        )
        environment = servers.environment_make(
            var=folder / "var", database_url="postgresql://nobody@127.0.0.1:9/none", valkey_url=valkey.url()
        )
        with servers.gateway(environment, workers=1) as gateway:
            store = redis.Redis(unix_socket_path=str(valkey.socket))
            yield World(gateway, upstream, store, Path(environment["TOLLGATE_JOURNAL_DIR"]))
            store.close()
        upstream.close()


class Streaming:
    """An upstream's answer in two pieces; the second waits until it is told to go."""

    def __init__(self, world: World) -> None:
        self.begun, self.go = threading.Event(), threading.Event()
        world.upstream.scripts["/now"] = self.answer

    def answer(self, client: socket.socket, request: Received) -> None:
        client.sendall(HEAD + b"a" * PIECE)
        self.begun.set()
        self.go.wait(20)
        client.sendall(b"b" * PIECE)


def test_a_streamed_answer_whose_end_could_not_be_recorded_is_billed_once_and_its_unit_stays_spent(
    world: World,
) -> None:
    bob, streaming, read = BOBS[0], Streaming(world), list[bytes]()
    client = threading.Thread(target=lambda: read.append(world.call(bob)))
    client.start()
    assert streaming.begun.wait(20)
    assert eventually(lambda: world.used(bob) > 0)
    time.sleep(0.2)
    world.disk(is_full=True)
    streaming.go.set()
    client.join()
    world.upstream.reset()
    world.disk(is_full=False)
    assert read[0].startswith(b"HTTP/1.1 200") and not read[0].endswith(b"b")
    assert world.good_calls(bob) == LIMIT - 1
    assert eventually(lambda: [raw.units for raw in world.billed(bob) if raw.kind == CLOSED] == [1])
    assert sum(raw.units for raw in world.billed(bob)) == LIMIT == world.used(bob)


def test_a_streamed_answer_whose_beginning_could_not_be_recorded_is_refused_and_costs_nothing(world: World) -> None:
    bob = BOBS[1]
    assert world.call(bob)[9:12] == b"200"
    world.disk(is_full=True)
    streaming = Streaming(world)
    try:
        answer = world.call(bob)
    finally:
        streaming.go.set()
        world.upstream.reset()
        world.disk(is_full=False)
    assert streaming.begun.is_set()
    assert answer.startswith(b"HTTP/1.1 503") and b"X-Ca-Error-Code: X503BZ" in answer
    assert world.good_calls(bob) == LIMIT - 1
    assert eventually(lambda: world.used(bob) == LIMIT)
    assert sum(raw.units for raw in world.billed(bob)) == LIMIT


async def test_a_client_that_left_while_the_disk_refused_its_call_leaves_no_unit_spent(
    tmp_path: Path, valkey: Any
) -> None:
    generation_set(valkey)
    async with workers(tmp_path, 1) as (worker,):
        handle = worker.quota(uuid4(), QuotaLimit(units=100, window="day"))
        assert await worker.call(handle) is not None
        bucket = handle.bucket
        free, call = bucket.free, call_make(handle)
        assert bucket.try_take(time.monotonic()) == TAKEN
        call.taken = [bucket]
        program: Any = SimpleNamespace(
            settings=SimpleNamespace(idle_timeout_s=60.0),
            plane=SimpleNamespace(leases=worker.leases),
            metrics=Metrics(),
            connections=set(),
        )
        client = ClientConnection(program)
        call.client, call.exchange, client.call, client.state = client, None, call, BUSY
        call.route = SimpleNamespace(**vars(ROUTE), counts={})  # type: ignore[assignment]
        worker.leases.settle(call)
        with disk_full(0):
            worker.journal.commit(event_encode(call), client.answer, b"", client.unrecorded)
            client.connection_lost(None)
            worker.journal.flush()
        assert (bucket.free, bucket.flying) == (free, 0) and client.call is None
