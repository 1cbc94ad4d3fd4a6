"""Store: a worker's connection to Valkey, as the steps use it. Nothing ever waits longer than its deadline.

Commands of one turn of the event loop are pipelined on one connection. When an answer is late the whole connection is given up:
all that wait get StoreDown, and until a new connection is open every command gets StoreDown at once (the circuit breaker). Bytes
and connecting: resp.py. What is pushed to us: subscriber.py.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Callable, Sequence
from typing import Any

from gateway.dataplane.resp import Address, Argument, Connection, StoreDown, StoreFault, Waiter, address_parse, connect

__all__ = ["STORE_DEADLINE_MS", "Script", "Store", "StoreDown", "StoreFault"]

STORE_DEADLINE_MS = 250
"""Longest wait for an answer when nobody says otherwise. An ordinary answer takes 0.1 to 1 ms; a store that forks to save may
pause for 100. Later than this, the call goes on without the store."""
WATCH_S = 0.01
"""How often the oldest waiting command is compared with its deadline."""
WATCH_LATE_S = 0.005
"""A look that comes later than this says more about our own event loop than about the store: it judges nothing."""
OVERDUE_S_MAX = 1.0
"""An answer this late is given up, whatever our own event loop does."""
BACK_OFF_S_MIN = 0.05
BACK_OFF_S_MAX = 1.0
PENDING_MAX = 50_000
"""Most commands that wait for answers at once; one more gets StoreDown."""


class Script:
    """A Lua script, sent by its SHA-1 once the server knows it."""

    __slots__ = ("sha", "text")

    def __init__(self, text: str) -> None:
        self.text = text
        self.sha = hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()


class Store:
    """The connection. ``is_up`` is False while the breaker is open; ``failures`` and ``commands`` count for the metrics.

    ``on_up`` callbacks run after each successful connection, the first included.
    """

    def __init__(self, url: str, *, deadline_ms: int = STORE_DEADLINE_MS) -> None:
        self._address: Address = address_parse(url)
        self._deadline_s = deadline_ms / 1000
        self._connection: Connection | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._keeper: asyncio.Task[None] | None = None
        self._lost = asyncio.Event()
        self._watch: asyncio.TimerHandle | None = None
        self._watch_due = 0.0
        self._closed = False
        self.on_up: list[Callable[[], None]] = []
        self.commands = 0
        self.failures = 0

    @property
    def is_up(self) -> bool:
        """Whether commands are sent at all."""
        return self._connection is not None

    def report(self) -> dict[str, int]:
        """The counts, for the metrics."""
        return {"up": self.is_up, "commands": self.commands, "failures": self.failures}

    async def start(self) -> None:
        """Connect, or go on trying in the background when that fails. Never raises."""
        self._loop = asyncio.get_running_loop()
        await self._connect_once()
        self._keeper = self._loop.create_task(self._keep_connected())

    async def close(self) -> None:
        """End the connection; commands afterwards raise StoreDown."""
        self._closed = True
        if self._keeper is not None:
            self._keeper.cancel()
        if self._watch is not None:
            self._watch.cancel()
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        await asyncio.sleep(0.001)  # the transport ends in the next turns

    async def _connect_once(self) -> bool:
        self._lost.clear()
        try:
            self._connection = await connect(self._address, on_lost=self._connection_lost)
        except StoreDown:
            return False
        for callback in self.on_up:
            callback()
        return True

    async def _keep_connected(self) -> None:
        back_off_s = BACK_OFF_S_MIN
        while not self._closed:
            if self._connection is not None or await self._connect_once():
                connected_at = time.monotonic()
                await self._lost.wait()
                if time.monotonic() - connected_at > BACK_OFF_S_MAX:
                    back_off_s = BACK_OFF_S_MIN
                    continue
            await asyncio.sleep(back_off_s)  # it cannot be reached, or is of no use: a demoted one takes connections
            back_off_s = min(back_off_s * 2, BACK_OFF_S_MAX)

    def _connection_lost(self, connection: Connection) -> None:
        if connection is self._connection:
            self._connection = None
            self.failures += 1
            self._lost.set()

    def send(self, *args: Argument) -> asyncio.Future[Any]:
        """Send one command and return its future: the answer, StoreFault, or StoreDown. Raises StoreDown when the breaker is open."""
        return self.send_within(self._deadline_s, *args)

    def send_within(self, deadline_s: float, *args: Argument) -> asyncio.Future[Any]:
        """``send`` for a command that the call cannot go on without: it may take longer."""
        if self._loop is None:
            raise StoreDown("the store is not connected")
        future: asyncio.Future[Any] = self._loop.create_future()
        self._ask(future, args, deadline_s)
        return future

    def ask(self, waiter: Waiter, *args: Argument) -> None:
        """Send one command; ``waiter`` gets its answer in the turn that brings it. Raises StoreDown when the breaker is open."""
        self._ask(waiter, args, self._deadline_s)

    def _ask(self, waiter: Waiter, args: tuple[Argument, ...], deadline_s: float) -> None:
        connection, loop = self._connection, self._loop
        if connection is None or not connection.is_open or loop is None:
            raise StoreDown("the store is not connected")
        if len(connection.pending) >= PENDING_MAX:
            raise StoreDown("too many commands wait for the store")
        self.commands += 1
        if self._watch is None:
            self._watch_next(loop)
        connection.ask(waiter, args, loop.time() + deadline_s)

    def _watch_next(self, loop: asyncio.AbstractEventLoop) -> None:
        self._watch_due = loop.time() + WATCH_S
        self._watch = loop.call_later(WATCH_S, self._deadline_watch)

    def _deadline_watch(self) -> None:
        self._watch = None
        connection, loop = self._connection, self._loop
        if connection is None or loop is None or not connection.pending:
            return
        now = loop.time()
        overdue_s = now - connection.pending[0][1]
        is_timely = now - self._watch_due <= WATCH_LATE_S
        if overdue_s > OVERDUE_S_MAX or (overdue_s > 0 and is_timely):
            connection.close()  # first: who is told may ask again at once
            connection.pending_fail()
            return
        if is_timely:
            self._late_fail(connection, now)
        self._watch_next(loop)

    @staticmethod
    def _late_fail(connection: Connection, now: float) -> None:
        """Nobody waits longer than was promised because an older command may take longer; its answer is dropped when it comes."""
        late = [waiter for waiter, deadline in connection.pending if deadline < now and not waiter.done()]
        for waiter in late:
            waiter.set_exception(StoreDown("the store did not answer in time"))
            if isinstance(waiter, asyncio.Future):
                waiter.exception()  # nobody may be waiting any more

    async def call(self, *args: Argument) -> Any:
        """Send one command and return its answer. Raises StoreDown or StoreFault."""
        return await self.send(*args)

    async def script(self, script: Script, keys: Sequence[Argument], args: Sequence[Argument]) -> Any:
        """Run a script by its SHA; send its text when the server has not seen it. Raises StoreDown or StoreFault."""
        try:
            return await self.send("EVALSHA", script.sha, len(keys), *keys, *args)
        except StoreFault as fault:
            if not str(fault).startswith("NOSCRIPT"):
                raise
            return await self.send("EVAL", script.text, len(keys), *keys, *args)
