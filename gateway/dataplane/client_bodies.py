"""The client's connection, request bodies: read strictly, passed on as they come, held only for a signature over a form.

Second of three layers, between client_answers.py and http1.py. Framing rules are gateway.core.http_body's.
"""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING

from gateway.core.http_body import BodyInvalid, BodyReader, ChunkedReader, LengthReader
from gateway.core.rejections import Rejection
from gateway.dataplane.client_answers import BUSY, HOLDING, NEVER, ClientAnswers
from gateway.dataplane.pipeline import call_run, steps_run
from gateway.dataplane.steps.authenticate import FORM_INLINE_BYTES_MAX
from gateway.dataplane.steps.guard import body_limit
from gateway.dataplane.steps.match import match
from gateway.dataplane.steps.respond import CONTINUE

if TYPE_CHECKING:
    from gateway.dataplane.call import Call
    from gateway.dataplane.exchange import Exchange

HELD_BODY_BYTES_MAX = 2 << 20
"""Longest form that is kept in memory to check its signature, in octets."""
HELD_WORKER_BYTES_MAX = 64 << 20
"""Most octets of forms that one worker keeps. Above it those are refused that are longer than AHEAD_BYTES_MAX, which any
connection may use."""
RETRY_AFTER_HELD_S = 1
AHEAD_BYTES_MAX = 65_536
"""Most octets read ahead of what can be used now (pipelined requests, a body before its upstream is there)."""


class ClientBodies(ClientAnswers):
    """Reads the body of the call in progress."""

    __slots__ = ()

    @property
    def held_bytes(self) -> int:
        """Octets of a form that this connection keeps in memory."""
        call = self.call
        if call is None:
            return 0
        return self.received if self.state == HOLDING else len(call.body)

    def read_ahead(self, data: bytes) -> None:
        """Keep octets of later requests; above a limit the client has to wait."""
        if self.closing:
            return
        self.buffer += data
        if len(self.buffer) > AHEAD_BYTES_MAX:
            self.pause_reading()

    def body_begin(self, call: Call, rest: bytes) -> None:
        """A head with a body was read; ``rest`` are the octets after it."""
        self.reader = ChunkedReader() if call.body_length < 0 else LengthReader(call.body_length)
        self.received = 0
        self.ahead = []
        self.deadline = monotonic() + self.worker.settings.body_timeout_s
        block = call.block
        try:
            # What came with the head is checked before anything goes upstream.
            content = self._read(call, self.reader, rest) if rest else b""
            route = match(call, self.worker.plane.snapshot)
            limit = body_limit(route, self.worker.plane)
            if max(self.received, call.body_length) > limit:
                raise Rejection("I413RL", f"at most {limit} octets")
            if route.holds_form and block.signed and block.is_form:
                self._hold_begin(call, content)
                return
        except Rejection as rejection:
            self.worker.respond.refuse(call, rejection)
            return
        if content:
            self.ahead.append(content)
        self.ahead_size = len(content)
        call_run(call)

    def _hold_begin(self, call: Call, content: bytes) -> None:
        """A form is signed: it is needed before anybody can be authenticated, but not before its AppKey is known."""
        limit = min(HELD_BODY_BYTES_MAX, body_limit(call.route, self.worker.plane))  # type: ignore[arg-type]
        if call.body_length > limit:
            raise Rejection("I413RL", f"a signed form has at most {limit} octets")
        self.state = HOLDING
        self.ahead = [content]
        self.worker.held_bytes += len(content)
        if not self.owes_body and len(content) <= FORM_INLINE_BYTES_MAX:
            self._hold_check(call)
            return
        self.pause_reading()
        steps_run(call, iter((call.route.form_guard, self._hold_go_on)))  # type: ignore[union-attr]

    def _hold_go_on(self, call: Call) -> None:
        """The step after ``form_guard``: read the rest."""
        self.resume_reading()
        if call.block.expects_continue and not self.received:
            self.interim(CONTINUE)
        self._hold_check(call)

    def body_received(self, data: bytes) -> None:
        """Octets of the body, and perhaps of the next request after it."""
        reader, call = self.reader, self.call
        if reader is None or call is None:
            return
        try:
            content = self._read(call, reader, data)
        except Rejection as rejection:
            self.body_refuse(rejection)
            return
        if call.outcome:
            return
        if self.state == HOLDING:
            self._hold(call, content)
        else:
            self._forward(call, content)

    def _read(self, call: Call, reader: BodyReader, data: bytes) -> bytes:
        """Take the framing off; octets of later requests are kept. Raises Rejection I400BD."""
        try:
            content = reader.feed(data)
        except BodyInvalid as fault:
            raise Rejection("I400BD", str(fault)) from None
        rest, reader.rest = reader.rest, b""
        call.request_bytes += len(data) - len(rest)
        self.received += len(content)
        if reader.done:
            if not self.writing_paused:
                self.deadline = NEVER
            if rest:
                self.read_ahead(rest)
        elif not self.reading_paused and not self.writing_paused and self.state != HOLDING:
            self.deadline = monotonic() + self.worker.settings.body_timeout_s
        return content

    def _hold(self, call: Call, content: bytes) -> None:
        self.ahead.append(content)
        self.worker.held_bytes += len(content)
        if self.pending_step is None:  # else its AppKey is being looked up
            self._hold_check(call)

    def _hold_check(self, call: Call) -> None:
        """Refuse a form that is too long, or one too many; run the steps when it is whole."""
        rejection = None
        if self.received > HELD_BODY_BYTES_MAX:
            rejection = Rejection("I413RL", f"a signed form has at most {HELD_BODY_BYTES_MAX} octets")
        elif self.received > AHEAD_BYTES_MAX and self.worker.held_bytes > HELD_WORKER_BYTES_MAX:
            headers = (("Retry-After", str(RETRY_AFTER_HELD_S)),)
            rejection = Rejection("X503BZ", "too many long forms are being checked, try again", headers=headers)
        if rejection is not None:
            self.state = BUSY
            self.body_refuse(rejection)
        elif not self.owes_body:
            call.body = b"".join(self.ahead)
            self.ahead = []
            self.state = BUSY
            call_run(call)

    def _forward(self, call: Call, content: bytes) -> None:
        limit = body_limit(call.route, self.worker.plane)  # type: ignore[arg-type]
        if self.received > limit:
            self.body_refuse(Rejection("I413RL", f"at most {limit} octets"))
            return
        exchange = call.exchange
        if exchange is not None:
            self._pass(call, exchange, content)
            return
        self.ahead.append(content)
        self.ahead_size += len(content)
        if self.ahead_size > AHEAD_BYTES_MAX:
            self.pause_reading()

    def _pass(self, call: Call, exchange: Exchange, content: bytes) -> None:
        is_last = not self.owes_body
        check = call.body_check
        if check is not None:
            content = check.take(content)
            if is_last:
                held = check.finish()
                if held is None:
                    self.body_refuse(Rejection("I400I5", "it is not the MD5 of the body"))
                    return
                content += held
        exchange.body_send(content, is_last=is_last)

    def body_attach(self, call: Call, exchange: Exchange) -> None:
        """An upstream connection is there: pass on what was read ahead, and read on."""
        content, self.ahead, self.ahead_size = b"".join(self.ahead), [], 0
        self.resume_reading()
        if content or not self.owes_body:
            self._pass(call, exchange, content)

    def body_refuse(self, rejection: Rejection) -> None:
        """The body turned out bad while it came: give the upstream up, and answer if nothing was answered yet."""
        call = self.call
        self.closing = True
        self.is_ordinary = False
        if call is None or call.outcome:
            return
        exchange = call.exchange
        if exchange is not None and exchange.call is call:
            exchange.drop()
        if self.pending_step is not None:
            self.pending_step.cancel()
            self.pending_step = None
        if self.streaming:
            self.worker.respond.cut(call, by_client=True)
        else:
            self.worker.respond.refuse(call, rejection)
