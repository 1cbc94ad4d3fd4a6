"""The client side of HTTP/1.1: one ClientConnection per accepted socket reads heads, and keeps requests in order.

Third of three layers, above client_bodies.py and client_answers.py. Heads are parsed by gateway.core.http_head. One call is
in progress at a time: pipelined requests wait in order, in a bounded buffer.
"""

from __future__ import annotations

from time import monotonic, time
from typing import TYPE_CHECKING

from gateway.core.http_head import REQUEST_LINE, REQUEST_LINE_BYTES_MAX, partial_check, request_line_parse
from gateway.core.rejections import Rejection
from gateway.dataplane.call import Call
from gateway.dataplane.client_answers import BUSY, IDLE, LINGER_BYTES_MAX, LINGERING, NEVER, WAITING
from gateway.dataplane.client_bodies import AHEAD_BYTES_MAX, ClientBodies
from gateway.dataplane.pipeline import call_run
from gateway.dataplane.steps.respond import ENDING_LAST, refusal

if TYPE_CHECKING:
    from gateway.core.http_head import RequestBlock

_METHODS = {name.encode(): name for name in ("GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS")}
_MATCH_LINE = REQUEST_LINE.match


class ClientConnection(ClientBodies):
    """One client's socket."""

    __slots__ = ()

    def data_received(self, data: bytes) -> None:
        """Octets from the client: of a head, of a body, of later requests, or too late."""
        state = self.state
        if state == IDLE:
            if self.buffer:
                data = self.buffer + data
                self.buffer = b""
            self._head_received(data)
        elif state == LINGERING:
            self.lingered += len(data)
            if self.lingered > LINGER_BYTES_MAX:
                self.transport.abort()
        elif self.owes_body:
            self.body_received(data)
        else:
            self.read_ahead(data)

    def eof_received(self) -> bool:
        """The client will send no more. Calls whose requests are complete are still answered."""
        if self.state == IDLE or self.state == LINGERING:
            return False
        self.is_ordinary = False
        self.peer_done = True
        if self.owes_body:
            self.body_refuse(Rejection("I400BD", "the connection ended before the body did"))
        return True

    def next(self) -> None:
        """Turn to the next request, if it is here already."""
        if self.state != WAITING or self.writing_paused:
            return
        self.state = IDLE
        if self.buffer:
            data, self.buffer = self.buffer, b""
            self._head_received(data)
        if len(self.buffer) <= AHEAD_BYTES_MAX:
            self.resume_reading()
        if self.peer_done and self.state == IDLE:
            self.transport.close()

    def overdue(self) -> None:
        """The client took too long: to begin (it is closed), or to go on (408)."""
        if self.state == IDLE and not self.buffer:
            self.transport.close()
        elif self.state == IDLE:
            self._malformed(Rejection("I408TO", "the request head took too long"))
        elif self.owes_body:
            self.body_refuse(Rejection("I408TO", "the request body took too long"))

    # -- heads ------------------------------------------------------------------------------------------------------

    def _head_received(self, data: bytes) -> None:
        end = data.find(b"\r\n\r\n")
        if end < 0 or data.startswith(b"\r\n"):
            self._head_partial(data)
            return
        started = monotonic()
        try:
            line = _MATCH_LINE(data)
            if line is None or line.end() > REQUEST_LINE_BYTES_MAX:
                call = self._head_unusual(data, end)
            else:
                line_end = line.end()
                raw = data[line_end : end + 2]
                block = self.worker.blocks.get(raw) or self.worker.parser.parse(raw)
                if block.host is None:
                    raise Rejection("I400MH", "`Host`")
                method, path, query = line.groups()
                call = Call()
                call.method = _METHODS[method]
                call.path = path
                call.query = query or b""
                self.is_old = False
                self.closing = block.close
                self.is_ordinary = block.is_ordinary and not self.peer_done
                self._call_open(call, block)
        except Rejection as rejection:
            self._malformed(rejection)
            return
        call.started = started
        call.request_bytes = end + 4
        self.call = call
        self.state = BUSY
        self.deadline = NEVER
        rest = data[end + 4 :] if len(data) > end + 4 else b""
        if call.body_length:
            self.body_begin(call, rest)
        else:
            self.buffer = rest
            call_run(call)

    def _head_partial(self, data: bytes) -> None:
        """Keep the beginning of a head. One empty line before a request is allowed (RFC 9112 section 2.2)."""
        if data.startswith(b"\r\n") and len(data) > 2:
            if data.startswith(b"\r\n\r\n"):
                self._malformed(Rejection("I400RU", "`empty request`"))
            else:
                self._head_received(data[2:])
            return
        if not self.buffer and self.deadline - monotonic() > self.worker.settings.header_timeout_s:
            self.deadline = monotonic() + self.worker.settings.header_timeout_s
        try:
            partial_check(data)
        except Rejection as rejection:
            self._malformed(rejection)
            return
        self.buffer = data

    def _head_unusual(self, data: bytes, end: int) -> Call:
        """A request line that the ordinary pattern does not take: HTTP/1.0, absolute-form, ``*``, or a faulty one."""
        line_end = data.find(b"\r\n")
        line = request_line_parse(data[:line_end])
        block = self.worker.parser.parse(data[line_end + 2 : end + 2])
        if block.host is None and line.minor:
            raise Rejection("I400MH", "`Host`")
        if line.authority is not None and block.host != line.authority:
            # RFC 9112 section 3.2.2 lets the target win; two different hosts are a sign of confusion, so we refuse.
            raise Rejection("I400HD", "`Host` is not the host of the request target")
        if not line.minor and block.chunked:
            raise Rejection("I400HD", "`Transfer-Encoding` does not exist in HTTP/1.0")
        call = Call()
        call.method = line.method
        call.path = line.path
        call.query = line.query
        self.is_old = not line.minor
        self.is_ordinary = False
        self.closing = block.close or (self.is_old and not block.keep_alive)
        self._call_open(call, block)
        return call

    def _call_open(self, call: Call, block: RequestBlock) -> None:
        call.client = self
        call.block = block
        call.peer = self.peer
        call.body_length = -1 if block.chunked else block.content_length or 0
        call.body = b""
        call.body_check = None
        call.received_at = now = time()
        call.request_id, call.request_id_text = self.worker.ids.mint(now)
        call.route = None
        call.entry = None
        call.grant = None
        call.taken = None
        call.exchange = None
        call.tries = 0
        call.upstream_started = 0.0
        call.upstream_ended = 0.0
        call.status = 0
        call.outcome = ""
        call.response_bytes = 0
        call.units = 0
        call.is_settled = False
        call.response_headers = b""

    def _malformed(self, rejection: Rejection) -> None:
        """Answer what is not a request: the status, and the end of the connection. Nothing is forwarded."""
        self.worker.metrics.malformed(rejection.code)
        call = Call()
        call.method = ""
        call.response_headers = b""
        call.request_id, call.request_id_text = self.worker.ids.mint(time())
        self.write(refusal(call, rejection, ending=ENDING_LAST, public_url=self.worker.public_url))
        self.linger()
