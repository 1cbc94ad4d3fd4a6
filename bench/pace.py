"""An open-loop load at a fixed rate: ``python -m bench.pace PORT PATH AUTHORIZATION RATE SECONDS`` prints its latencies as JSON.

Calls fall due at random moments (a Poisson process), whether or not the earlier ones have been answered, and a latency counts
from the moment at which its call was due: a target that stands still is charged for everybody who came meanwhile. wrk cannot do
this: it waits for each answer, and wakes by the millisecond, so its calls come in bunches of as many as fall into one.
"""

from __future__ import annotations

import json
import os
import random
import select
import socket
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from functools import partial

from bench.load import CONNECTIONS, LoadFailed
from bench.machine import LOAD_CORE

ANSWER_BYTES_MAX = 4096
DRAIN_SECONDS_MAX = 5
SEED = 7


@dataclass(frozen=True)
class Pace:
    """What a paced load saw: percentiles in microseconds, and how many answers were not 200."""

    calls: int
    p50_us: float
    p99_us: float
    refused: int


def pace_run(port: int, path: str, *, authorization: str, rate: float, seconds: float) -> Pace:
    """Run the load in a process on the load core. Raises LoadFailed."""
    done = subprocess.run(
        [sys.executable, "-m", "bench.pace", str(port), path, authorization, str(rate), str(seconds)],
        capture_output=True,
        text=True,
        timeout=seconds + DRAIN_SECONDS_MAX + 60,
        check=False,
        preexec_fn=partial(os.sched_setaffinity, 0, {LOAD_CORE}),
    )
    if done.returncode:
        raise LoadFailed(done.stderr.strip() or f"the paced load ended with {done.returncode}")
    return Pace(**json.loads(done.stdout))


def connect(port: int) -> socket.socket:
    """A connection to ``port`` on loopback that neither waits nor gathers small writes."""
    client = socket.create_connection(("127.0.0.1", port))
    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    client.setblocking(False)
    return client


def connect_all(port: int, request: bytes) -> list[socket.socket]:
    """CONNECTIONS connections, each of which has had an answer: the load is to meet a target at work, not one that is greeting."""
    clients = [connect(port) for _ in range(CONNECTIONS)]
    for client in clients:
        client.send(request)
        select.select([client], (), (), DRAIN_SECONDS_MAX)
        client.recv(ANSWER_BYTES_MAX)
    return clients


def pace(port: int, request: bytes, *, rate: float, seconds: float) -> Pace:
    """Send ``rate`` calls a second for ``seconds``, and wait for the last answer.

    Raises LoadFailed when a connection is closed, or answers are missing DRAIN_SECONDS_MAX after the last call.
    """
    chance = random.Random(SEED)
    free = connect_all(port, request)
    due_of: dict[socket.socket, float] = {}
    latencies: list[float] = []
    refused = 0
    end = time.perf_counter() + seconds
    due = time.perf_counter() + chance.expovariate(rate)
    while due < end or due_of:
        now = time.perf_counter()
        while due <= now and due < end and free:
            client = free.pop()
            client.send(request)
            due_of[client] = due
            due += chance.expovariate(rate)
        if now > end + DRAIN_SECONDS_MAX:
            raise LoadFailed(f"{len(due_of)} calls have no answer {DRAIN_SECONDS_MAX} s after the last")
        wait = max(0.0, due - time.perf_counter()) if free and due < end else DRAIN_SECONDS_MAX
        answered, _, _ = select.select(list(due_of), (), (), wait)
        now = time.perf_counter()
        for client in answered:
            answer = client.recv(ANSWER_BYTES_MAX)
            if not answer:
                raise LoadFailed("a connection was closed during the load")
            refused += not answer.startswith(b"HTTP/1.1 200")
            latencies.append((now - due_of.pop(client)) * 1e6)
            free.append(client)
    if not latencies:
        raise LoadFailed("no call fell due: the rate or the time is too small")
    latencies.sort()
    count = len(latencies)
    return Pace(count, latencies[count // 2], latencies[count * 99 // 100], refused)


def main(arguments: list[str]) -> int:
    """Run one load and print it."""
    port, path, authorization, rate, seconds = arguments
    request = f"GET {path} HTTP/1.1\r\nHost: bench\r\nAuthorization: {authorization}\r\n\r\n".encode()
    print(json.dumps(asdict(pace(int(port), request, rate=float(rate), seconds=float(seconds)))))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
