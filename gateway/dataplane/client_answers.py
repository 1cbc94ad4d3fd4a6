"""The client's connection, answers: writing them in order, streaming with back-pressure, ending without cutting them off.

First of three layers: client_bodies.py reads request bodies, http1.py reads heads. What an answer says is respond.py's.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from time import monotonic
from typing import TYPE_CHECKING, Any

from gateway.core.rejections import Rejection
from gateway.dataplane.steps.respond import ENDING_LAST, refusal

if TYPE_CHECKING:
    from gateway.core.http_body import BodyReader
    from gateway.dataplane.call import Call
    from gateway.dataplane.pipeline import Later
    from gateway.dataplane.worker import Worker

IDLE, HOLDING, BUSY, WAITING, LINGERING, CLOSED = range(6)
"""What a connection is at: nothing; a form being held; a call; an answer is out and the next request is here already; the end
of its last answer; gone."""

LINGER_S = 2.0
"""How long a client that still sends may go on after its answer, so that it reads the answer and not a reset."""
LINGER_BYTES_MAX = 1 << 20
WRITE_STALL_S = 60.0
"""How long a client may read nothing at all of what waits for it."""
NEVER = float("inf")


class ClientAnswers(asyncio.Protocol, ABC):
    """One client's socket, its writing half, and the fields that all three layers share.

    ``call`` is the call in progress; ``reader`` its body's framing while there is one; ``buffer`` octets of later requests;
    ``ahead`` octets of the body that nobody could take yet; ``deadline`` (monotonic) what the worker's sweep looks at;
    ``is_ordinary``: HTTP/1.1, no body, no wish to close, so that nothing about the connection needs to be asked again;
    ``pending_step`` what the call waits for; ``pending`` pieces of an answer whose head waits for its event.
    """

    __slots__ = (
        "ahead",
        "ahead_size",
        "buffer",
        "call",
        "chunks",
        "closing",
        "deadline",
        "forwarded",
        "idle_s",
        "is_old",
        "is_ordinary",
        "lingered",
        "opening",
        "peer",
        "peer_done",
        "pending",
        "pending_step",
        "reader",
        "reading_paused",
        "received",
        "sent",
        "state",
        "streaming",
        "transport",
        "unwritten",
        "worker",
        "write",
        "writing_paused",
    )

    def __init__(self, worker: Worker) -> None:
        self.worker = worker
        self.idle_s = worker.settings.idle_timeout_s
        self.state = IDLE
        self.buffer = b""
        self.call: Call | None = None
        self.reader: BodyReader | None = None
        self.ahead: list[bytes] = []
        self.ahead_size = 0
        self.received = 0
        self.pending_step: asyncio.Task[None] | Later | None = None
        self.closing = False
        self.is_old = False
        self.is_ordinary = False
        self.chunks = False
        self.streaming = False
        self.opening = False
        self.pending: list[bytes] = []
        self.sent = 0
        self.lingered = 0
        self.unwritten = 0
        self.peer_done = False
        self.reading_paused = False
        self.writing_paused = False
        self.deadline = NEVER

    @property
    def owes_body(self) -> bool:
        """Whether octets of the current request's body are still to come."""
        return self.reader is not None and not self.reader.done

    # -- the socket -------------------------------------------------------------------------------------------------

    def connection_made(self, transport: Any) -> None:
        """A client connected."""
        self.transport = transport
        self.write = transport.write
        peer = transport.get_extra_info("peername")
        self.peer = str(peer[0]) if isinstance(peer, tuple) else "unix"
        scheme = "http" if transport.get_extra_info("sslcontext") is None else "https"
        self.forwarded = f"\r\nX-Forwarded-For: {self.peer}\r\nX-Forwarded-Proto: {scheme}\r\n".encode()
        self.deadline = monotonic() + self.worker.settings.header_timeout_s
        self.worker.connection_opened(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """The client is gone: give up what is under way for it."""
        self.worker.connections.discard(self)
        self.state, call = CLOSED, self.call
        self.deadline = NEVER
        self.buffer = b""
        self.ahead = []
        self.pending = []
        if self.pending_step is not None:
            self.pending_step.cancel()
        if call is None:
            return
        exchange = call.exchange
        if exchange is not None and exchange.call is call:
            exchange.drop()
        if call.outcome:
            return  # its event is about to be written: until then ``unrecorded`` must know whose it is
        self.call = None
        if self.streaming:
            self.worker.respond.cut(call, by_client=True)
        else:
            self.worker.respond.abandon(call)

    def pause_writing(self) -> None:
        """The client reads slowly: let its upstream wait."""
        self.writing_paused = True
        call = self.call
        if call is not None and call.exchange is not None:
            call.exchange.pause_reading()
        self.unwritten = self.transport.get_write_buffer_size()
        self.deadline = monotonic() + WRITE_STALL_S

    def resume_writing(self) -> None:
        """The client has caught up."""
        self.writing_paused = False
        call = self.call
        if call is not None and call.exchange is not None:
            call.exchange.resume_reading()
        if self.state == BUSY:
            self.deadline = NEVER
        elif self.state == WAITING:
            self.deadline = monotonic() + self.idle_s
            asyncio.get_running_loop().call_soon(self.next)

    def pause_reading(self) -> None:
        """Stop reading the client: its upstream takes no more, or too much was read ahead."""
        if not self.reading_paused and self.state != CLOSED and not self.transport.is_closing():
            self.reading_paused = True
            self.transport.pause_reading()
            if not self.writing_paused:
                self.deadline = NEVER

    def resume_reading(self) -> None:
        """Read on."""
        if self.reading_paused:
            self.reading_paused = False
            if self.state == CLOSED or self.transport.is_closing():
                return
            self.transport.resume_reading()
            if self.owes_body and not self.writing_paused:
                self.deadline = monotonic() + self.worker.settings.body_timeout_s

    # -- answers ----------------------------------------------------------------------------------------------------

    def answer(self, payload: bytes) -> None:
        """Write the (last part of the) answer and turn to the next request. Called when its event is in the journal."""
        if self.state == CLOSED:
            self.call = None
            return
        self.write(payload)
        self.call = None
        if self.closing or (self.reader is not None and not self.reader.done):
            self.linger()
            return
        self.chunks = False
        self.streaming = False
        self.reader = None
        self.state = IDLE
        self.deadline = monotonic() + self.idle_s
        if self.buffer or self.reading_paused or self.writing_paused:
            self._next_when_read()

    def _next_when_read(self) -> None:
        """More requests wait. A client that does not read its answers gets no further ones made."""
        self.state = WAITING
        if self.writing_paused:
            self.pause_reading()
            self.deadline = monotonic() + WRITE_STALL_S
        else:
            asyncio.get_running_loop().call_soon(self.next)

    @abstractmethod
    def next(self) -> None:
        """Read the next request, if it is here already."""

    def unrecorded(self) -> None:
        """The journal did not take the call's event, so its answer must not go out: say so, and end the connection."""
        if self.call is not None:
            self._refuse_unrecorded(self.call)

    def unopened(self, call: Call) -> None:
        """The journal did not take the beginning of a streamed answer, of which nothing is out: give its upstream up, and say so."""
        exchange = call.exchange
        if exchange is not None and exchange.call is call:
            exchange.drop()
        self.streaming = self.opening = self.chunks = False
        self.pending = []
        self._refuse_unrecorded(call)

    def _refuse_unrecorded(self, call: Call) -> None:
        self.worker.plane.leases.unsettle(call)
        rejection = Rejection("X503BZ", "the call could not be recorded", headers=(("Retry-After", "1"),))
        call.status, call.outcome = rejection.status, f"rejected:{rejection.code}"
        self.worker.metrics.rejected(call, rejection.code)
        self.call = None
        if self.state == CLOSED:
            return
        call.response_headers = b""
        self.write(refusal(call, rejection, ending=ENDING_LAST, public_url=self.worker.public_url))
        self.linger()

    def stream_open(self, size: int) -> None:
        """A streamed answer begins with a head of ``size`` octets; until its event is written, pieces wait."""
        self.streaming = True
        self.opening = True
        self.sent = size

    def stream_opened(self, payload: bytes) -> None:
        """Write the head of a streamed answer and what came since."""
        self.opening = False
        if self.state == CLOSED:
            return
        self.write(payload)
        if self.pending:
            pieces, self.pending = self.pending, []
            self.write(b"".join(pieces))

    def stream_piece(self, content: bytes) -> None:
        """Write a piece of a streamed answer."""
        self.sent += len(content)
        if self.opening:
            self.pending.append(content)
        elif self.state != CLOSED:
            self.write(content)

    def stream_end(self, content: bytes) -> bytes:
        """Return the last octets of a streamed answer, with the pieces that still wait."""
        self.sent += len(content)
        if self.pending:
            content = b"".join((*self.pending, content))
            self.pending = []
        return content

    def abort(self, payload: bytes = b"") -> None:
        """End the connection at once, so that the client sees that its answer is cut."""
        del payload
        self.call = None
        if self.state != CLOSED:
            self.transport.abort()

    def interim(self, payload: bytes) -> None:
        """Write an interim answer (100 Continue). HTTP/1.0 knows none: its client would take it for the answer."""
        if self.state != CLOSED and not self.streaming and not self.is_old:
            self.write(payload)

    def linger(self) -> None:
        """Half-close, then read a little on: closing with unread octets would reset the connection under the answer."""
        self.state = LINGERING
        self.buffer = b""
        self.ahead = []
        self.reader = None
        self.call = None
        self.resume_reading()
        self.deadline = monotonic() + LINGER_S
        if self.peer_done or not self.transport.can_write_eof():
            self.transport.close()
        elif not self.transport.is_closing():
            self.transport.write_eof()

    # -- time -------------------------------------------------------------------------------------------------------

    def expire(self) -> None:
        """The deadline passed. Called by the worker's sweep."""
        unwritten = self.transport.get_write_buffer_size()
        if unwritten:
            if unwritten == self.unwritten:
                self.transport.abort()
            self.unwritten = unwritten
            self.deadline = monotonic() + WRITE_STALL_S
            return
        self.deadline = NEVER
        if self.state == LINGERING:
            self.transport.abort()
        else:
            self.overdue()

    @abstractmethod
    def overdue(self) -> None:
        """The client took too long to send."""
