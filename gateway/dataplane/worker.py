"""One worker process: builds the Plane, accepts connections, sweeps deadlines, drains on SIGTERM.

``python -m gateway.dataplane.worker <index> [memory]``; the master (``__main__.py``) starts and restarts it.
"""

from __future__ import annotations

import asyncio
import ctypes
import gc
import logging
import os
import signal
import sys
from functools import partial
from time import monotonic
from typing import Any
from uuid import uuid4

import uvloop

from gateway.core.http_head import RequestParser
from gateway.core.http_response_head import ResponseParser
from gateway.core.store_keys import INVALIDATE_CHANNEL
from gateway.dataplane import listener
from gateway.dataplane.auth_watch import watch_of
from gateway.dataplane.background import Background
from gateway.dataplane.client_answers import BUSY, HOLDING, IDLE, ClientAnswers
from gateway.dataplane.descriptors import clients_allowed, descriptors_raise
from gateway.dataplane.directory import Directory
from gateway.dataplane.http1 import ClientConnection
from gateway.dataplane.journal import Journal
from gateway.dataplane.leases import Leases
from gateway.dataplane.metrics import Metrics
from gateway.dataplane.pipeline import Step
from gateway.dataplane.plane import Plane
from gateway.dataplane.request_ids import RequestIds
from gateway.dataplane.settings import Settings, settings_read
from gateway.dataplane.snapshot import Route, Snapshot, snapshot_empty
from gateway.dataplane.snapshot_source import SnapshotSource
from gateway.dataplane.steps import authenticate, guard, replay
from gateway.dataplane.steps.order import STEPS
from gateway.dataplane.steps.respond import Respond
from gateway.dataplane.store import Store
from gateway.dataplane.subscriber import Subscriber
from gateway.dataplane.upstream import Upstreams
from gateway.dataplane.used import UsedCredentials
from gateway.dataplane.worker_reports import ReportWrite

log = logging.getLogger("tollgate.gateway")

CLIENT_SWEEP_S = 0.25
UPSTREAM_SWEEP_S = 0.05
METRICS_S = 1.0
DRAIN_IDLE_S = 3.0
"""How long a draining worker keeps connections that are idle: a request may be on its way on them."""
GC_THRESHOLDS = (100_000, 50, 100)
_PR_SET_PDEATHSIG = 1


class Worker:
    """The parts of one worker and its connections.

    ``held_bytes``: octets of forms in memory, counted up by connections as they read and set right by the sweep.
    """

    def __init__(self, settings: Settings, index: int, *, memory: int | None = None) -> None:
        """``memory``: the file descriptor of the memory in which the master reads this worker's reports (worker_reports.py)."""
        self.settings = settings
        self.index = index
        self.has_failed = False
        self._reports = ReportWrite(memory)
        self.public_url = settings.public_url
        self.boot = uuid4()
        self.ids = RequestIds()
        self.parser = RequestParser()
        self.blocks = self.parser.blocks
        self.connections: set[ClientAnswers] = set()
        self.connections_max = clients_allowed(settings.client_connections_max)
        self.held_bytes = 0
        self.plane = self._plane(settings)
        self.metrics = self.plane.metrics
        self.respond = self.plane.upstreams.respond = Respond(self.plane)
        self.source = SnapshotSource(
            self.plane.store, settings.snapshot_path, compile_steps=self.compile_steps, install=self._install
        )
        self._background = Background(self._task_died)
        self._clients_at = 0.0
        self._stopping = asyncio.Event()

    def _plane(self, settings: Settings) -> Plane:
        store = Store(settings.valkey_url, deadline_ms=settings.store_deadline_ms)
        subscriber = Subscriber(settings.valkey_url)
        journal = Journal(
            settings.journal_dir,
            node=settings.node,
            boot=self.boot,
            fsync=settings.journal_fsync,
            seal_s=settings.seal_s,
        )
        leases = Leases(store, journal)
        return Plane(
            settings=settings,
            store=store,
            subscriber=subscriber,
            directory=Directory(store, leases, secret_keys=settings.secret_keys),
            leases=leases,
            journal=journal,
            metrics=Metrics(),
            upstreams=Upstreams(settings, ResponseParser()),
            used=UsedCredentials(store),
            snapshot=snapshot_empty(),
        )

    def compile_steps(self, route: Route) -> tuple[Step, ...]:
        """The steps that this route needs, in their order."""
        route.counts = self.plane.metrics.counts_for(route)
        route.guard = guard.compile(route, self.plane)
        route.form_guard = authenticate.compile_form_guard(route, self.plane)
        compiled = [compile(route, self.plane) for compile in STEPS]
        return tuple(step for step in compiled if step is not None)

    def _install(self, snapshot: Snapshot) -> None:
        self.plane.snapshot = snapshot
        self.plane.upstreams.retain({route.upstream for route in snapshot.routes})

    def connection_opened(self, connection: ClientAnswers) -> None:
        """A client connected. Above the limit it is closed again, before it said anything."""
        self.metrics.connections += 1
        self.connections.add(connection)
        if len(self.connections) > self.connections_max:
            connection.transport.close()

    # -- life ---------------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Serve until SIGTERM, then drain."""
        loop = asyncio.get_running_loop()
        for name in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(name, self._stopping.set)
        plane = self.plane
        plane.journal.start()
        await self.source.load_from_disk()
        plane.directory.watch(plane.subscriber)
        plane.subscriber.listen(INVALIDATE_CHANNEL, self.source.pushed)
        plane.subscriber.on_restored(self.source.wake)
        plane.store.on_up.append(lambda: replay.since_mark(plane.store))
        await plane.store.start()
        await plane.leases.start(plane.subscriber)
        await plane.subscriber.start()
        self._background.start(self.source.follow())
        self._background.start(plane.used.follow())
        self._background.every(UPSTREAM_SWEEP_S, self._sweep)
        self._background.every(METRICS_S, partial(self._tell, is_ready=True))
        await self.source.first_look()
        sock = listener.listen(self.settings.bind_host, self.settings.bind_port)
        server = await loop.create_server(lambda: ClientConnection(self), sock=sock, backlog=listener.BACKLOG)
        gc.collect()
        gc.freeze()
        self._tell(is_ready=True)
        await self._stopping.wait()
        await self._drain(server, sock)

    async def _drain(self, server: Any, sock: Any) -> None:
        """Stop accepting, let calls in progress finish, close what is idle, end the journal, give leases back."""
        plane = self.plane
        plane.draining = True
        until = monotonic() + self.settings.drain_s
        self._tell(is_ready=False)
        listener.refuse_new(sock)
        await asyncio.sleep(listener.SETTLE_S)
        server.close()
        idle_until = monotonic() + DRAIN_IDLE_S
        while self.connections and monotonic() < until:
            if monotonic() > idle_until:
                for connection in [held for held in self.connections if held.state == IDLE and not held.buffer]:
                    connection.transport.close()
            await asyncio.sleep(0.02)
        for connection in list(self.connections):
            connection.transport.abort()
        await asyncio.sleep(0)
        plane.upstreams.close()
        plane.aside.shutdown(wait=False, cancel_futures=True)
        self._background.cancel()
        plane.journal.close()
        await plane.leases.close()
        await plane.used.flush()
        plane.directory.close()
        await plane.subscriber.close()
        await plane.store.close()
        self._tell(is_ready=False)

    def _task_died(self) -> None:
        """A background task ended by itself: drain, and have the master start the worker again."""
        self.has_failed = True
        self._stopping.set()

    def _sweep(self) -> None:
        """End what took too long. Deadlines are looked at on a beat, so that a call needs no timer of its own."""
        now = monotonic()
        self._background.guard(lambda: self.plane.upstreams.sweep(now))
        if now >= self._clients_at:
            self._clients_at = now + CLIENT_SWEEP_S
            for connection in [held for held in self.connections if held.deadline < now]:
                self._background.guard(connection.expire)
            if self.held_bytes:
                self.held_bytes = sum(
                    held.held_bytes for held in self.connections if isinstance(held, ClientConnection)
                )

    def _tell(self, *, is_ready: bool) -> None:
        """Tell the master how this worker is, and what it has counted."""
        plane = self.plane
        self._reports.tell(
            self.metrics.report(
                {
                    "index": self.index,
                    "boot": self.boot.hex,
                    "ready": is_ready and not plane.draining and self.source.is_known,
                    "background_faults": self._background.faults,
                    "connections": {
                        "in_flight": sum(held.state in (BUSY, HOLDING) for held in self.connections),
                        "open": len(self.connections),
                        "held_bytes": self.held_bytes,
                    },
                    "snapshot": self.source.report(),
                    "upstreams": self.metrics.upstreams_report(plane.upstreams.pools),
                    "store": plane.store.report(),
                    "journal": plane.journal.report(),
                    "leases": plane.leases.report(),
                    "authentication": watch_of(plane).report(),
                    "directory": plane.directory.report(),
                }
            )
        )


def main(index: int, memory: int | None = None) -> int:
    """Run a worker until it is told to stop. Returns the exit status; 1 when it could not go on."""
    # A master that was killed cannot stop its workers: the kernel does it.
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    logging.basicConfig(level=logging.INFO, format=f"gateway[{index}:{os.getpid()}] %(levelname)s %(message)s")
    gc.set_threshold(*GC_THRESHOLDS)
    descriptors_raise()
    settings = settings_read(os.environ)

    async def serve() -> int:
        worker = Worker(settings, index, memory=memory)
        await worker.run()
        return int(worker.has_failed)

    return uvloop.run(serve())


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:])))
