"""One RESP connection to Valkey as an asyncio protocol: commands out in pipelines, answers in order. Policy (deadlines,
breaker, reconnecting) is store.py's, subscriptions are subscriber.py's.
"""

from __future__ import annotations

import asyncio
import ssl
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, cast
from urllib.parse import parse_qs, unquote, urlsplit

import hiredis

Argument = bytes | str | int
UNABLE = ("READONLY", "LOADING", "MASTERDOWN")
"""Errors of a server that was demoted, or still loads its data, or has lost its master."""
CONNECT_S_MAX = 1.0
"""Longest wait for a connection, its login and its choice of database."""


class StoreDown(Exception):
    """Valkey cannot be asked now: not connected, or it did not answer within its deadline."""


class StoreFault(Exception):
    """Valkey answered a command with an error."""


class Waiter(Protocol):
    """Who gets the answer of one command, once: an asyncio.Future, or what handles it in the same turn (pipeline.Later)."""

    def done(self) -> bool:
        """Whether nobody waits any more."""

    def set_result(self, result: Any, /) -> None:
        """The answer."""

    def set_exception(self, exception: Any, /) -> None:
        """StoreFault, or StoreDown when there will be no answer."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where Valkey listens, from VALKEY_URL."""

    path: str
    host: str
    port: int
    database: int
    username: str
    password: str
    tls: bool


def address_parse(url: str) -> Address:
    """Read ``redis[s]://[user:password@]host[:port][/db]``, ``valkey://`` or ``unix://path?db=0``. Raises ValueError."""
    parts = urlsplit(url)
    query = parse_qs(parts.query)
    if parts.scheme == "unix":
        database = int(query.get("db", ["0"])[0])
        path = parts.netloc.rpartition("@")[2] + parts.path
        return Address(path, "", 0, database, unquote(parts.username or ""), unquote(parts.password or ""), False)
    if parts.scheme not in ("redis", "rediss", "valkey"):
        raise ValueError("VALKEY_URL: expected redis://host:port/db or unix://path?db=0")
    number = parts.path.strip("/") or query.get("db", ["0"])[0]
    user, password = unquote(parts.username or ""), unquote(parts.password or "")
    return Address(
        "", parts.hostname or "127.0.0.1", parts.port or 6379, int(number), user, password, parts.scheme == "rediss"
    )


class Connection(asyncio.Protocol):
    """Commands of one turn of the loop leave in one write; each has a waiter, answered in order.

    A message that nobody asked for (a subscription's) goes to ``on_push``. ``on_lost`` is called once, when the connection ends.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        *,
        on_lost: Callable[[Connection], None],
        on_push: Callable[[list[Any]], None] | None = None,
    ) -> None:
        self._loop = loop
        self._on_lost = on_lost
        self._on_push = on_push
        self._reader = hiredis.Reader()
        self._transport: asyncio.Transport | None = None
        self._outgoing: list[bytes] = []
        self.pending: deque[tuple[Waiter, float]] = deque()
        self.heard_at = loop.time()
        self.is_open = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The event loop has connected us."""
        self._transport = cast(asyncio.Transport, transport)  # uvloop's transports do not inherit from asyncio's
        self.is_open = True

    def data_received(self, data: bytes) -> None:
        """Give each answer to whoever waits for it, in order."""
        self.heard_at = self._loop.time()
        reader = self._reader
        reader.feed(data)
        try:
            answer = reader.gets()
            while answer is not False:
                self._answered(answer)
                answer = reader.gets()
        except hiredis.ProtocolError:
            self.close()

    def _answered(self, answer: Any) -> None:
        if self._on_push is not None and isinstance(answer, list) and answer[0] in PUSHED:
            self._on_push(answer)
            return
        if not self.pending:
            if self._on_push is None:  # an answer that nobody asked for: the stream is out of step
                self.close()
            return
        waiter, _ = self.pending.popleft()
        fault = self._fault_of(answer) if isinstance(answer, hiredis.ReplyError) else None
        if waiter.done():
            return
        if fault is None:
            waiter.set_result(answer)
        else:
            waiter.set_exception(fault)

    def _fault_of(self, answer: hiredis.ReplyError) -> StoreDown | StoreFault:
        """What an error means. A server that cannot serve us is given up: after a failover its name leads to another one."""
        text = str(answer)
        if text.startswith(UNABLE):
            self.close()
            return StoreDown(text)
        return StoreFault(text)

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection has ended, by either side."""
        self.is_open = False
        self.pending_fail()
        self._on_lost(self)

    def pending_fail(self) -> None:
        """Answer all that wait with StoreDown."""
        while self.pending:
            waiter, _ = self.pending.popleft()
            if waiter.done():
                continue
            waiter.set_exception(StoreDown("the connection to the store ended"))
            if isinstance(waiter, asyncio.Future):
                waiter.exception()  # nobody may be waiting any more; then it is not an error that nobody looked

    def send(self, args: tuple[Argument, ...], deadline: float) -> asyncio.Future[Any]:
        """``ask`` with a future of its own."""
        future: asyncio.Future[Any] = self._loop.create_future()
        self.ask(future, args, deadline)
        return future

    def ask(self, waiter: Waiter, args: tuple[Argument, ...], deadline: float) -> None:
        """Queue one command; its answer must come before ``deadline`` (loop time; who watches it: store.py)."""
        self.pending.append((waiter, deadline))
        self.write(args)

    def write(self, args: tuple[Argument, ...]) -> None:
        """Queue one command without an answer of its own (SUBSCRIBE)."""
        if not self._outgoing:
            self._loop.call_soon(self._flush)
        self._outgoing.append(hiredis.pack_command(args))  # type: ignore[arg-type]  # its stub knows no long tuples

    def _flush(self) -> None:
        outgoing, self._outgoing = self._outgoing, []
        if self._transport is not None and self.is_open:
            self._transport.write(b"".join(outgoing))

    def close(self) -> None:
        """End the connection now; ``on_lost`` follows."""
        self.is_open = False
        if self._transport is not None:
            self._transport.abort()


PUSHED = (b"message", b"subscribe", b"unsubscribe", b"pong")


async def connect(
    address: Address,
    *,
    on_lost: Callable[[Connection], None],
    on_push: Callable[[list[Any]], None] | None = None,
) -> Connection:
    """Open a connection, log in and choose the database, within CONNECT_S_MAX. Raises StoreDown."""
    loop = asyncio.get_running_loop()

    def make() -> Connection:
        return Connection(loop, on_lost=on_lost, on_push=on_push)

    connection: Connection | None = None
    try:
        async with asyncio.timeout(CONNECT_S_MAX):
            if address.path:
                _, connection = await loop.create_unix_connection(make, address.path)
            else:
                context = ssl.create_default_context() if address.tls else None
                _, connection = await loop.create_connection(make, address.host, address.port, ssl=context)
            await _greet(connection, address, loop.time() + CONNECT_S_MAX)
    except (OSError, TimeoutError, StoreDown, StoreFault) as fault:
        if connection is not None:
            connection.close()
        raise StoreDown(f"the store cannot be reached: {fault}") from fault
    except asyncio.CancelledError:
        if connection is not None:
            connection.close()
        raise
    return connection


async def _greet(connection: Connection, address: Address, deadline: float) -> None:
    if address.password:
        login = (address.username, address.password) if address.username else (address.password,)
        await connection.send(("AUTH", *login), deadline)
    if address.database:
        await connection.send(("SELECT", address.database), deadline)
    await connection.send(("PING",), deadline)
