"""Step respond: what the client reads: outcome, answer bytes, and the usage event that must be written before them.

Every answer of a known app goes out through the journal (docs/journal.md): ``journal.commit`` writes the event, then the
answer. Refusals before authentication, and anonymous calls, are counted in metrics only.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from time import monotonic
from typing import TYPE_CHECKING

from gateway.core.http_body import CHUNKED_END, chunk_frame
from gateway.core.rejections import Rejection, render, status_line
from gateway.dataplane.journal_records import event_encode
from gateway.dataplane.usage import outcome_of

if TYPE_CHECKING:
    from gateway.core.http_response_head import ResponseHead
    from gateway.dataplane.call import Call
    from gateway.dataplane.plane import Plane

ENDING_LAST = b"\r\nConnection: close\r\n\r\n"
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
_KEEP = b"\r\nConnection: keep-alive\r\n\r\n"
_END = b"\r\n\r\n"
_ID = b"X-Ca-Request-Id: "
_CHUNKED = b"Transfer-Encoding: chunked\r\n"
BODILESS_STATUSES = frozenset((204, 304))


class Respond:
    """Answers calls of one worker."""

    __slots__ = ("_commit", "_count", "_plane", "_settle")

    def __init__(self, plane: Plane) -> None:
        self._plane = plane
        self._commit = plane.journal.commit
        self._settle = plane.leases.settle
        self._count = plane.metrics.finished

    # -- answers of upstreams ---------------------------------------------------------------------------------------

    def whole(self, call: Call, head: ResponseHead, body: bytes) -> None:
        """Answer with an upstream's answer that is complete: one event, one write. This runs once a call."""
        status = head.status
        lines = head.framed
        if head.length is None or status == 204:
            lines = head.forward
            if status != 204 and status != 304 and call.method != "HEAD":
                lines = b"%bContent-Length: %d\r\n" % (lines, len(body))
        client = call.client
        ending = _END if client.is_ordinary and not self._plane.draining else self._ending(call)
        payload = b"".join((lines, call.response_headers, _ID, call.request_id_text, ending, body))
        call.status = status
        call.response_bytes = len(payload)
        call.outcome = "succeeded" if status < 400 else outcome_of(status)
        self._count(call)
        if call.entry is None:
            self._send(call, payload)
        else:
            self._settle(call)
            self._commit(event_encode(call), client.answer, payload, client.unrecorded)

    def begin(self, call: Call, head: ResponseHead, *, length: int | None) -> None:
        """Start a streamed answer: its head waits for the "opened" event. ``length``: of the body, None when unknown."""
        client = call.client
        framing = b""
        if length is not None:
            framing = b"Content-Length: %d\r\n" % length
        elif client.is_old:
            # HTTP/1.0 knows no chunks: the end of the connection is the end of the answer.
            client.closing = True
        else:
            framing = _CHUNKED
            client.chunks = True
        payload = b"".join(
            (head.forward, framing, call.response_headers, _ID, call.request_id_text, self._ending(call))
        )
        call.status = head.status
        call.response_bytes = len(payload)
        client.stream_open(len(payload))
        if call.entry is None:
            client.stream_opened(payload)
            return
        self._plane.journal.opened(call, client.stream_opened, payload, partial(client.unopened, call))

    def piece(self, call: Call, content: bytes) -> None:
        """Pass on a piece of a streamed body."""
        client = call.client
        client.stream_piece(chunk_frame(content) if client.chunks else content)
        call.response_bytes = client.sent

    def end(self, call: Call, content: bytes) -> None:
        """Finish a streamed answer: its last octets wait for the "closed" event."""
        client = call.client
        if client.chunks:
            content = chunk_frame(content) + CHUNKED_END if content else CHUNKED_END
        payload = client.stream_end(content)
        self._end(call, outcome_of(call.status), client.answer, payload)

    def cut(self, call: Call, *, by_client: bool) -> None:
        """A streamed answer broke off: by the client, who had the use of what it read, or by the upstream, which failed."""
        self._end(call, outcome_of(call.status) if by_client else "upstream_failed", call.client.abort, b"")

    def _end(self, call: Call, outcome: str, write: Callable[[bytes], object], payload: bytes) -> None:
        call.response_bytes = call.client.sent
        call.upstream_ended = call.upstream_ended or monotonic()
        call.outcome = outcome
        self._count(call)
        self._settle(call)
        if call.entry is None:
            write(payload)
        else:
            self._plane.journal.closed(call, write, payload, call.client.abort)

    def _ending(self, call: Call) -> bytes:
        client = call.client
        is_last = client.peer_done and not client.buffer
        if client.closing or is_last or client.owes_body or self._plane.draining:
            client.closing = True
            return ENDING_LAST
        return _KEEP if client.is_old else _END

    # -- answers of the gateway -------------------------------------------------------------------------------------

    def refuse(self, call: Call, rejection: Rejection) -> None:
        """Answer with a refusal. That of a known app is an event; others are only counted."""
        self._reject(call, rejection)
        payload = refusal(call, rejection, ending=self._ending(call), public_url=self._plane.settings.public_url)
        call.response_bytes = len(payload)
        self._send(call, payload)

    def abandon(self, call: Call) -> None:
        """The client went away before its answer began: nothing is charged, but a known app's call is an event."""
        self._reject(call, Rejection("I499CC"))
        self._settle(call)
        if call.entry is not None:
            self._commit(event_encode(call), _nowhere, b"")

    def _reject(self, call: Call, rejection: Rejection) -> None:
        kind = rejection.kind
        call.status = kind.status
        call.outcome = "upstream_failed" if kind.code[0] in "DN" else f"rejected:{kind.code}"
        self._plane.metrics.rejected(call, kind.code)

    def _send(self, call: Call, payload: bytes) -> None:
        """Settle what the call holds, journal its event, if there is one, and then answer: in that order."""
        client = call.client
        self._settle(call)
        if call.entry is None:
            client.answer(payload)
        else:
            self._commit(event_encode(call), client.answer, payload, client.unrecorded)


def refusal(call: Call, rejection: Rejection, *, ending: bytes, public_url: str) -> bytes:
    """The bytes of a refusal. HEAD gets the head alone."""
    lines, body = render(rejection, request_id=call.request_id_text.decode(), help_url=public_url)
    return b"".join(
        (
            status_line(rejection.status),
            call.response_headers,
            lines[:-2],
            ending,
            b"" if call.method == "HEAD" else body,
        )
    )


def _nowhere(payload: bytes) -> None:
    """The write of an answer that nobody reads."""
    del payload
