"""Exchange: one upstream connection and the call that it carries now: the request out, the checked answer back.

An upstream is not trusted with framing: an answer with two readings becomes N502RE, never a forwarded byte. Choosing
connections is upstream.py's, what the client reads is respond.py's.
"""

from __future__ import annotations

import asyncio
from time import monotonic
from typing import TYPE_CHECKING, Any

from gateway.core.http_body import BodyInvalid, BodyReader, ChunkedReader, CloseReader, LengthReader
from gateway.core.http_head import HEADER_BYTES_MAX
from gateway.core.http_response_head import ResponseInvalid
from gateway.core.rejections import Rejection
from gateway.dataplane.client_answers import NEVER
from gateway.dataplane.steps.respond import BODILESS_STATUSES, CONTINUE

if TYPE_CHECKING:
    from gateway.core.http_response_head import ResponseHead
    from gateway.dataplane.call import Call
    from gateway.dataplane.upstream import Pool

WHOLE_BYTES_MAX = 8_192
"""Answers with at most so many octets of body are collected and sent at once; longer ones stream."""
INTERIM_MAX = 8
IDLE_S_MAX = 60.0
"""How long an unused connection is kept."""
SAFE_TO_REPEAT = frozenset(("GET", "HEAD", "PUT", "DELETE", "OPTIONS"))


class Exchange(asyncio.Protocol):
    """One connection to an upstream. ``call`` is None while it is kept for the next one."""

    __slots__ = (
        "_heads",
        "_parse",
        "_respond",
        "buffer",
        "call",
        "deadline",
        "head",
        "idle_since",
        "interims",
        "is_ended",
        "is_reused",
        "pool",
        "reader",
        "reading_paused",
        "request_done",
        "request_replayable",
        "transport",
        "write",
        "writing_paused",
    )

    def __init__(self, pool: Pool) -> None:
        self.pool = pool
        self._heads = pool.owner.parser.heads
        self._parse = pool.owner.parser.parse
        self._respond = pool.owner.respond
        self.call: Call | None = None
        self.buffer = b""
        self.head: ResponseHead | None = None
        self.reader: BodyReader | None = None
        self.deadline = NEVER
        self.idle_since = 0.0
        self.interims = 0
        self.is_ended = False
        self.is_reused = False
        self.reading_paused = False
        self.writing_paused = False
        self.request_done = True
        self.request_replayable = True

    # -- the request ------------------------------------------------------------------------------------------------

    def start(self, call: Call) -> None:
        """Send the call's request."""
        self.call = call
        call.exchange = self
        now = monotonic()
        if not call.upstream_started:
            call.upstream_started = now
        self.deadline = now + self.pool.timeout_s
        if not call.body_length:
            self.write(call.upstream_head)
        elif call.body:
            self.write(call.upstream_head + call.body)
        else:
            self._start_streaming(call)

    def _start_streaming(self, call: Call) -> None:
        self.request_done = False
        self.write(call.upstream_head)
        self.deadline = NEVER
        call.client.body_attach(call, self)

    def body_send(self, content: bytes, *, is_last: bool) -> None:
        """Send a piece of the request body. While the client owes more, its own time-out counts, not the upstream's."""
        call = self.call
        if call is None or self.request_done:
            return
        if content:
            self.request_replayable = False
            self.write(b"%x\r\n%b\r\n" % (len(content), content) if call.body_length < 0 else content)
        if is_last:
            self.request_done = True
            if call.body_length < 0:
                self.write(b"0\r\n\r\n")
        if self.reader is None:
            self.deadline = monotonic() + self.pool.timeout_s if is_last or self.writing_paused else NEVER

    def pause_writing(self) -> None:
        """The upstream takes no more: stop reading the client."""
        self.writing_paused = True
        self.deadline = monotonic() + self.pool.timeout_s
        if self.call is not None and not self.request_done:
            self.call.client.pause_reading()

    def resume_writing(self) -> None:
        """The upstream takes more: read the client on."""
        self.writing_paused = False
        if self.call is None:
            return
        if not self.request_done:
            self.deadline = NEVER
            self.call.client.resume_reading()
        elif self.reader is None:
            self.deadline = monotonic() + self.pool.timeout_s

    # -- the answer -------------------------------------------------------------------------------------------------

    def data_received(self, data: bytes) -> None:
        """Octets of the answer."""
        call = self.call
        if call is None:
            # Nobody asked: whatever it is, the next call must not read it as its answer.
            self.discard()
            return
        if self.reader is not None:
            self._body_received(call, data)
            return
        if self.buffer:
            data = self.buffer + data
            self.buffer = b""
        end = data.find(b"\r\n\r\n")
        if end < 0:
            self._head_partial(data)
            return
        raw = data[: end + 2]
        try:
            head = self._heads.get(raw) or self._parse(raw)
        except ResponseInvalid as fault:
            self.fail(Rejection("N502RE", f"`{fault}`"))
            return
        length = head.length
        if head.is_plain and end + 4 + length == len(data) and call.client.is_ordinary and call.method != "HEAD":  # type: ignore[operator]
            # The ordinary answer, complete in one piece, to a request without a body. _finish, without what cannot be here:
            # nothing was paused, nothing of a body was sent, no reader was made, and the head does not say close.
            self.call = call.exchange = None
            self.is_reused = True
            self.interims = 0
            call.upstream_ended = self.idle_since = now = monotonic()
            self.deadline = now + IDLE_S_MAX
            pool = self.pool
            if pool.waiting or pool.owner.closing:
                pool.release(self)
            else:
                pool.idle.append(self)
            self._respond.whole(call, head, data[end + 4 :])
            return
        if length is None or head.status < 200 or call.method == "HEAD" or head.status in BODILESS_STATUSES:
            self._head_unusual(call, head, data[end + 4 :])
            return
        missing = end + 4 + length - len(data)
        if not missing:
            call.upstream_ended = monotonic()
            self._finish(call, head, is_clean=True)
            self._respond.whole(call, head, data[end + 4 :])
        elif missing > 0 and length <= WHOLE_BYTES_MAX:
            self.buffer = data
            self.deadline = monotonic() + self.pool.timeout_s
        else:
            self._stream(call, head, LengthReader(length), data[end + 4 :])

    def _head_partial(self, data: bytes) -> None:
        if len(data) > HEADER_BYTES_MAX:
            self.fail(Rejection("N502RE", "`the head is too long`"))
        else:
            self.buffer = data

    def _head_unusual(self, call: Call, head: ResponseHead, rest: bytes) -> None:
        """Interim answers, answers without a body, and bodies that are chunked or end with the connection."""
        status = head.status
        if status < 200:
            self._interim(call, status, rest)
        elif call.method == "HEAD" or status in BODILESS_STATUSES:
            call.upstream_ended = monotonic()
            self._finish(call, head, is_clean=not rest)
            self._respond.whole(call, head, b"")
        elif head.chunked:
            self._stream(call, head, ChunkedReader(), rest)
        else:
            self._stream(call, head, CloseReader(), rest)

    def _interim(self, call: Call, status: int, rest: bytes) -> None:
        self.interims += 1
        if status == 101 or self.interims > INTERIM_MAX:
            self.fail(Rejection("N502RE", "`an interim answer that was not asked for`"))
            return
        if status == 100 and call.block.expects_continue:
            call.client.interim(CONTINUE)
        if rest:
            self.data_received(rest)

    def _stream(self, call: Call, head: ResponseHead, reader: BodyReader, data: bytes) -> None:
        try:
            content = reader.feed(data)
        except BodyInvalid as fault:
            self.fail(Rejection("N502RE", f"`{fault}`"))
            return
        if reader.done:
            call.upstream_ended = monotonic()
            self._finish(call, head, is_clean=not reader.rest)
            self._respond.whole(call, head, content)
            return
        self.reader = reader
        self.head = head
        self.deadline = monotonic() + self.pool.timeout_s
        self._respond.begin(call, head, length=head.length)
        if content:
            self._respond.piece(call, content)
        if call.client.writing_paused:
            self.pause_reading()

    def _body_received(self, call: Call, data: bytes) -> None:
        reader, head = self.reader, self.head
        if reader is None or head is None:
            return
        try:
            content = reader.feed(data)
        except BodyInvalid as fault:
            self.fail(Rejection("N502RE", f"`{fault}`"))
            return
        if reader.done:
            self._stream_finish(call, head, content, is_clean=not reader.rest)
        else:
            if not self.reading_paused:
                self.deadline = monotonic() + self.pool.timeout_s
            if content:
                self._respond.piece(call, content)

    def _stream_finish(self, call: Call, head: ResponseHead, content: bytes, *, is_clean: bool) -> None:
        call.upstream_ended = monotonic()
        self._finish(call, head, is_clean=is_clean)
        self._respond.end(call, content)

    def _finish(self, call: Call, head: ResponseHead, *, is_clean: bool) -> None:
        """The answer is complete: keep the connection when both sides are done with it, else close it."""
        self.call = None
        call.exchange = None
        reusable = is_clean and self.request_done and not head.close and not self.pool.owner.closing
        self.reader = None
        self.head = None
        self.interims = 0
        self.request_replayable = True
        self.resume_reading()
        if reusable:
            self.is_reused = True
            self.idle_since = now = call.upstream_ended
            self.deadline = now + IDLE_S_MAX
            self.pool.release(self)
        else:
            self.discard()

    def discard(self) -> None:
        """End the connection, and let nobody take it in the turn that is left until it is gone."""
        self.transport.abort()
        self.pool.forget(self)

    def pause_reading(self) -> None:
        """The client reads slower than the upstream writes: stop reading, so that the upstream slows down."""
        if not self.reading_paused and not self.transport.is_closing():
            self.reading_paused = True
            self.transport.pause_reading()
            self.deadline = NEVER

    def resume_reading(self) -> None:
        """The client caught up."""
        if self.reading_paused:
            self.reading_paused = False
            if not self.transport.is_closing():
                self.transport.resume_reading()
            self.deadline = monotonic() + self.pool.timeout_s

    # -- ends -------------------------------------------------------------------------------------------------------

    def connection_made(self, transport: Any) -> None:
        """Connected."""
        self.transport = transport
        self.write = transport.write
        self.idle_since = now = monotonic()
        self.deadline = now + IDLE_S_MAX
        self.pool.exchanges.add(self)

    def eof_received(self) -> None:
        """The upstream has ended its side: under TLS only its own word counts, since anyone on the way can cut the connection.

        One that is kept goes at once: until ``connection_lost``, in the next turn, another call could still take it.
        """
        self.is_ended = True
        if self.call is None:
            self.discard()

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection ended: for a call in progress that is its end too, or a reason to send it again."""
        self.deadline = NEVER
        self.pool.forget(self)
        call = self.call
        if call is None:
            return
        self.call = None
        if isinstance(self.reader, CloseReader) and self.is_ended and exc is None:
            self._respond_closed(call)
        elif not self._retry(call):
            self._give_up(call, Rejection("N502RE", "`the connection ended before the answer did`"))

    def _respond_closed(self, call: Call) -> None:
        call.upstream_ended = monotonic()
        call.exchange = None
        self._respond.end(call, b"")

    def _retry(self, call: Call) -> bool:
        """A kept connection that the upstream closed before its first octet came back: the request may go out again,
        when sending it twice does no harm and nothing of a body that is gone was sent."""
        if not self.is_reused or self.buffer or self.reader is not None or call.method not in SAFE_TO_REPEAT:
            return False
        if not self.request_replayable or self.interims or call.outcome:
            return False
        return self.pool.retry(call)

    def fail(self, rejection: Rejection) -> None:
        """Give this call up: refuse it, or cut its answer when that has begun; and never use the connection again."""
        call, self.call = self.call, None
        self.discard()
        if call is not None:
            self._give_up(call, rejection)

    def _give_up(self, call: Call, rejection: Rejection) -> None:
        call.exchange = None
        call.upstream_ended = monotonic()
        if call.outcome:
            return
        if self.reader is not None:
            self._respond.cut(call, by_client=False)
        else:
            self._respond.refuse(call, rejection)

    def drop(self) -> None:
        """The client gave up: the upstream need not go on."""
        if self.call is not None:
            self.call.exchange = None
            self.call = None
        self.discard()

    def expire(self) -> None:
        """The deadline passed: the upstream was silent for too long, or this connection was not used."""
        if self.call is None:
            self.discard()
        else:
            self.fail(Rejection("D504TO", f"after {self.pool.timeout_s:g} s"))
