"""Plays "the cluster" of the demo: a small weather service with a slow, a streaming and an upload corner. No Django here.

`python -m config.demo_upstream` listens on TOLLGATE_UPSTREAM_BIND. It checks nothing: checking is the gateway's work. A path that
it does not know is answered with an echo of the request, so that any document that is imported can be tried against it.
"""

import asyncio
import hashlib
import json
import os
import signal
from collections import deque
from collections.abc import Awaitable, Callable
from functools import partial
from http.client import responses
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import httptools
import uvloop

from config.demo.forecasts import hourly, observations, weather

ECHO_BODY_BYTES_MAX = 1024 * 1024
STREAM_BYTES_MAX = 4 * 1024**3
CHUNK_BYTES_MAX = 1024 * 1024
SLOW_MS_MAX = 60_000
DAYS_MAX = 14
PIPELINED_MAX = 64
HOURS_MAX = 240


class Request:
    """One request, its body held only as far as an echo needs it; its length and SHA-256 cover the whole."""

    def __init__(self) -> None:
        self.method = ""
        self.target = ""
        self.headers: list[tuple[str, str]] = []
        self.body = bytearray()
        self.body_bytes = 0
        self.sha256 = hashlib.sha256()
        self.keep_alive = True

    @property
    def path(self) -> str:
        """The decoded path."""
        return unquote(urlsplit(self.target).path)

    @property
    def query(self) -> list[tuple[str, str]]:
        """Query parameters in order, repeated names kept."""
        return parse_qsl(urlsplit(self.target).query, keep_blank_values=True)

    def number(self, name: str, *, default: int, maximum: int) -> int:
        """A whole number from the query, kept between 0 and ``maximum``; what is not a number counts as the default."""
        text = dict(self.query).get(name, "")
        return min(int(text), maximum) if text.isdecimal() else default


def head_render(status: int, *, length: int, content_type: str = "application/json", keep_alive: bool = True) -> bytes:
    """The status line and headers of an answer."""
    reason = responses.get(status, "Status")
    framing = "" if status in {204, 304} else f"Content-Length: {length}\r\n"
    connection = "" if keep_alive else "Connection: close\r\n"
    return f"HTTP/1.1 {status} {reason}\r\nContent-Type: {content_type}\r\n{framing}{connection}\r\n".encode("ascii")


def json_answer(request: Request, value: Any, status: int = 200) -> bytes:
    """A whole JSON answer; without its body to HEAD and for statuses that have none."""
    body = json.dumps(value, ensure_ascii=False).encode()
    head = head_render(status, length=len(body), keep_alive=request.keep_alive)
    return head if request.method == "HEAD" or status in {204, 304} else head + body


def current(request: Request) -> bytes:
    """``/current/{city}``: the weather now."""
    return json_answer(request, weather(request.path.split("/")[2], 0))


def forecast(request: Request) -> bytes:
    """``/forecast/{city}?days=``: one entry a day."""
    city, days = request.path.split("/")[2], request.number("days", default=3, maximum=DAYS_MAX)
    return json_answer(
        request, {"city": city, "days": [{"day": day, **weather(city, day)} for day in range(1, days + 1)]}
    )


def forecast_hourly(request: Request) -> bytes:
    """``/forecast?city=&hours=`` of the sample document: one entry an hour."""
    city, hours = dict(request.query).get("city", ""), request.number("hours", default=24, maximum=HOURS_MAX)
    return json_answer(request, hourly(city, hours=hours))


def station(request: Request) -> bytes:
    """``/stations/{station}/observations`` of the sample document: the newest ones; 201 and a receipt for one reported."""
    name, list_name = request.path.split("/")[2:]
    if list_name != "observations":
        return echo(request)
    if request.method == "POST":
        return json_answer(request, {"station": name, "bytes": request.body_bytes}, 201)
    return json_answer(request, observations(name))


def echo(request: Request) -> bytes:
    """``/echo`` and whatever else is asked for: what arrived, as JSON; the body as text, and its length and SHA-256."""
    value = {
        "method": request.method,
        "target": request.target,
        "path": request.path,
        "query": request.query,
        "headers": request.headers,
        "body": bytes(request.body).decode("utf-8", errors="replace"),
        "body_bytes": request.body_bytes,
        "body_sha256": request.sha256.hexdigest(),
    }
    return json_answer(request, value)


def status(request: Request) -> bytes:
    """``/status/{code}``: answers with that status."""
    text = request.path.split("/")[2]
    code = int(text) if text.isdecimal() and 200 <= int(text) <= 599 else 400
    return json_answer(request, {"status": code}, code)


def upload(request: Request) -> bytes:
    """``/upload``: counts the body and hashes it; holds none of it."""
    return json_answer(request, {"bytes": request.body_bytes, "sha256": request.sha256.hexdigest()})


def ready(request: Request) -> bytes:
    """``/livez``, ``/readyz`` and ``/``: it answers, so it is ready."""
    return json_answer(request, {"ok": True})


async def slow(request: Request, connection: "Connection") -> None:
    """``/slow?ms=``: answers after that many milliseconds."""
    wait_ms = request.number("ms", default=100, maximum=SLOW_MS_MAX)
    await asyncio.sleep(wait_ms / 1000)
    connection.write(json_answer(request, {"waited_ms": wait_ms}))


async def stream(request: Request, connection: "Connection") -> None:
    """``/stream?bytes=&chunk=``: that many bytes, never more of them in memory than one chunk and the socket's buffer."""
    left = request.number("bytes", default=1024 * 1024, maximum=STREAM_BYTES_MAX)
    chunk_bytes = max(1, request.number("chunk", default=65536, maximum=CHUNK_BYTES_MAX))
    connection.write(
        head_render(200, length=left, content_type="application/octet-stream", keep_alive=request.keep_alive)
    )
    chunk = bytes(index & 0xFF for index in range(chunk_bytes))
    while left and request.method != "HEAD" and not connection.is_lost:
        connection.write(chunk if left >= chunk_bytes else chunk[:left])
        left -= min(left, chunk_bytes)
        await connection.drained()


ROUTES: dict[tuple[str, int], Callable[[Request], bytes]] = {
    ("current", 2): current,
    ("forecast", 2): forecast,
    ("forecast", 1): forecast_hourly,
    ("stations", 3): station,
    ("status", 2): status,
    ("upload", 1): upload,
    ("livez", 1): ready,
    ("readyz", 1): ready,
    ("", 1): ready,
}
"""By first segment and number of segments; what is not here is echoed."""
WAITING: dict[str, Callable[[Request, "Connection"], Awaitable[None]]] = {"slow": slow, "stream": stream}


class Connection(asyncio.Protocol):
    """One client: parses requests, answers them in order, reads no further while too many wait."""

    def __init__(self, open_connections: set["Connection"]) -> None:
        self._open = open_connections
        self._parser = httptools.HttpRequestParser(self)
        self._request = Request()
        self._queue: deque[Request] = deque()
        self._task: asyncio.Task[None] | None = None
        self._can_write = asyncio.Event()
        self._can_write.set()
        self._transport: asyncio.Transport | None = None
        self.is_lost = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Remember the transport."""
        self._transport = transport  # type: ignore[assignment]  # a stream server hands out Transports
        self._open.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """Wake whoever waits to write."""
        del exc
        self.is_lost = True
        self._can_write.set()
        self._open.discard(self)

    def pause_writing(self) -> None:
        """The client reads slowly."""
        self._can_write.clear()

    def resume_writing(self) -> None:
        """The client has caught up."""
        self._can_write.set()

    async def drained(self) -> None:
        """Wait until the client has read enough."""
        await self._can_write.wait()

    def write(self, data: bytes) -> None:
        """Write, unless the client has gone."""
        if self._transport is not None and not self.is_lost:
            self._transport.write(data)

    def data_received(self, data: bytes) -> None:
        """Feed the parser; what it cannot read is answered 400."""
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self.write(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            self.close()

    def close(self) -> None:
        """Close after what was written has been sent."""
        if self._transport is not None:
            self._transport.close()

    # --- httptools' callbacks
    def on_message_begin(self) -> None:  # noqa: D102
        self._request = Request()

    def on_url(self, url: bytes) -> None:  # noqa: D102
        self._request.target += url.decode("latin-1")

    def on_header(self, name: bytes, value: bytes) -> None:  # noqa: D102
        self._request.headers.append((name.decode("latin-1"), value.decode("latin-1")))

    def on_headers_complete(self) -> None:  # noqa: D102
        self._request.method = self._parser.get_method().decode("ascii")
        if any(name.lower() == "expect" and "100" in value for name, value in self._request.headers):
            self.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def on_body(self, body: bytes) -> None:  # noqa: D102
        request = self._request
        request.body_bytes += len(body)
        request.sha256.update(body)
        if len(request.body) < ECHO_BODY_BYTES_MAX and not request.target.startswith("/upload"):
            request.body += body

    def on_message_complete(self) -> None:  # noqa: D102
        self._request.keep_alive = self._parser.should_keep_alive()
        self._queue.append(self._request)
        if len(self._queue) > PIPELINED_MAX and self._transport is not None:
            self._transport.pause_reading()
        if self._task is None:
            self._answer_queue()

    def _answer_queue(self) -> None:
        while self._queue and not self.is_lost:
            request = self._queue.popleft()
            parts = request.path.split("/")
            waiting = WAITING.get(parts[1]) if len(parts) > 1 else None
            if waiting is not None:
                self._task = asyncio.ensure_future(waiting(request, self))
                self._task.add_done_callback(partial(self._waited, request))
                return
            self._answer(request, parts)
        if self._transport is not None and not self.is_lost:
            self._transport.resume_reading()

    def _answer(self, request: Request, parts: list[str]) -> None:
        handler = ROUTES.get((parts[1], len(parts) - 1), echo) if len(parts) > 1 else echo
        self.write(handler(request))
        if not request.keep_alive:
            self.close()

    def _waited(self, request: Request, _task: asyncio.Future[None]) -> None:
        self._task = None
        if not request.keep_alive:
            self.close()
        self._answer_queue()


async def serve(bind: str) -> None:
    """Listen until SIGTERM or SIGINT."""
    host, _, port = bind.rpartition(":")
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ended.set)
    open_connections: set[Connection] = set()
    server = await loop.create_server(lambda: Connection(open_connections), host, int(port), backlog=1024)
    await ended.wait()
    server.close()
    for connection in list(open_connections):
        connection.close()


if __name__ == "__main__":
    uvloop.run(serve(os.environ.get("TOLLGATE_UPSTREAM_BIND", "127.0.0.1:9000")))
