"""A fast in-house load client and an upstream, on asyncio protocols: nothing but what the tests of billing and quotas need."""

import asyncio
import sys
import time
from collections.abc import Callable
from typing import Any

RECONNECT_S = 0.02
ANSWER_HEAD_BYTES_MAX = 65_536
BODY = b'{"city":"Hangzhou","celsius":21.5,"sky":"clear","wind":3,"humidity":61,"source":"upstream","page":1}'
STREAM_PIECES = 40
STREAM_PIECE = b"x" * 2_000
PIECE_PAUSE_S = 0.01


class Client(asyncio.Protocol):
    """One connection that always has one call under way.

    ``ask`` gives the next request, or None to stop. ``answered`` gets (status, request id, when the call was sent) and returns the
    pause before the next call in seconds. ``lost`` is told when the connection ended before the answer did.
    """

    def __init__(
        self,
        port: int,
        *,
        ask: Callable[[], bytes | None],
        answered: Callable[[int, bytes, float], float],
        lost: Callable[[float, bytes], None] = lambda sent_at, head: None,
    ) -> None:
        self._port = port
        self._ask, self._answered, self._lost = ask, answered, lost
        self._loop = asyncio.get_running_loop()
        self._transport: Any = None
        self._buffer = bytearray()
        self._waiting = False
        self._sent_at = 0.0
        self.done: asyncio.Future[None] = self._loop.create_future()

    async def run(self) -> None:
        """Connect, again and again when the connection ends, until there is nothing more to ask."""
        while not self.done.done():
            try:
                await self._loop.create_connection(lambda: self, "127.0.0.1", self._port)
            except OSError:
                await asyncio.sleep(RECONNECT_S)
                continue
            self._ended: asyncio.Future[None] = self._loop.create_future()
            self._next()
            await self._ended
            await asyncio.sleep(0 if self.done.done() else RECONNECT_S)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        self._buffer.clear()

    def _next(self) -> None:
        if self._waiting or self._transport.is_closing():
            return  # a pause that ended after the connection was opened again
        request = self._ask()
        if request is None:
            if not self.done.done():
                self.done.set_result(None)
            self._transport.close()
            return
        self._waiting, self._sent_at = True, time.time()
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            assert len(self._buffer) < ANSWER_HEAD_BYTES_MAX
            return
        head = bytes(self._buffer[:end]).lower()
        size = whole_size(head, self._buffer, end + 4)
        if size is None:
            return
        del self._buffer[:size]
        self._waiting = False
        pause_s = self._answered(int(head[9:12]), header(head, b"x-ca-request-id"), self._sent_at)
        if pause_s > 0:
            self._loop.call_later(pause_s, self._next)
        else:
            self._next()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._waiting:
            self._waiting = False
            self._lost(self._sent_at, bytes(self._buffer))
        if not self._ended.done():
            self._ended.set_result(None)


def header(head: bytes, name: bytes) -> bytes:
    """The value of a header in a lower-cased head, or nothing."""
    at = head.find(b"\r\n" + name + b":")
    return b"" if at < 0 else head[at + len(name) + 3 :].split(b"\r\n", 1)[0].strip()


def whole_size(head: bytes, buffer: bytearray, start: int) -> int | None:
    """The octets of the first answer in the buffer, or None while it is not complete."""
    length = header(head, b"content-length")
    if length:
        size = start + int(length)
        return size if len(buffer) >= size else None
    if header(head, b"transfer-encoding") != b"chunked":
        return start
    end = buffer.find(b"0\r\n\r\n", start)
    return None if end < 0 else end + 5


class Upstream(asyncio.Protocol):
    """Answers 100 octets of JSON; ``/stream`` in pieces over half a second; ``/fail`` with 500; ``/slow`` after a while."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: Any = transport
        self._buffer = bytearray()

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while (end := self._buffer.find(b"\r\n\r\n")) >= 0:
            line = bytes(self._buffer[: self._buffer.find(b"\r\n")])
            del self._buffer[: end + 4]
            if b"/stream" in line:
                self._transport.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
                self._piece(STREAM_PIECES)
            elif b"/fail" in line:
                self._answer(b"500 Internal Server Error")
            elif b"/slow" in line:
                asyncio.get_running_loop().call_later(0.3, self._answer, b"200 OK")
            else:
                self._answer(b"200 OK")

    def _answer(self, status: bytes) -> None:
        head = b"HTTP/1.1 %b\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % (status, len(BODY))
        self._transport.write(head + BODY)

    def _piece(self, left: int) -> None:
        if self._transport.is_closing():
            return
        if left == 0:
            self._transport.write(b"0\r\n\r\n")
            return
        self._transport.write(b"%x\r\n%b\r\n" % (len(STREAM_PIECE), STREAM_PIECE))
        asyncio.get_running_loop().call_later(PIECE_PAUSE_S, self._piece, left - 1)


async def upstream_start() -> tuple[asyncio.Server, int]:
    """Start the upstream on a free port."""
    server = await asyncio.get_running_loop().create_server(Upstream, "127.0.0.1", 0, backlog=1024)
    return server, int(server.sockets[0].getsockname()[1])


def request(path: str, app_code: str) -> bytes:
    """A call with a simple credential on a connection that stays open."""
    return f"GET {path} HTTP/1.1\r\nHost: api.example\r\nAuthorization: APPCODE {app_code}\r\n\r\n".encode()


async def _serve(port: int) -> None:
    server = await asyncio.get_running_loop().create_server(Upstream, "127.0.0.1", port, backlog=1024)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_serve(int(sys.argv[1])))
