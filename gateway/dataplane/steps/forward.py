"""Step forward: writes the head of the upstream request and hands the call to the upstream's pool. Answers are respond.py's."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from gateway.core.headers import APP_CODE_PARAMETERS
from gateway.core.routes import PathInvalid, percent_decode

if TYPE_CHECKING:
    from gateway.dataplane.call import Call
    from gateway.dataplane.pipeline import Step
    from gateway.dataplane.plane import Plane
    from gateway.dataplane.snapshot import Route

_MAYBE_APP_CODE = re.compile(rb"(?i:appcode)|%")
_EXPECTS = b"Expect: 100-continue\r\n"
_CHUNKED = b"Transfer-Encoding: chunked\r\n"
METHODS = ("GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS")
_BODILESS = frozenset(("GET", "HEAD", "DELETE", "OPTIONS"))


def query_strip(query: bytes) -> bytes:
    """The raw query without AppCode parameters, everything else untouched."""
    if not _MAYBE_APP_CODE.search(query):
        return query
    return b"&".join([part for part in query.split(b"&") if not _is_app_code(part)])


def _is_app_code(part: bytes) -> bool:
    name = part.split(b"=", 1)[0]
    try:
        return percent_decode(name.replace(b"+", b" ")).strip() in APP_CODE_PARAMETERS
    except PathInvalid:
        return False


def framing(call: Call) -> bytes:
    """The header lines that frame the forwarded body."""
    if call.body:
        # A held body is here already, whatever its framing was, so there is nothing to expect.
        return b"Content-Length: %d\r\n" % len(call.body)
    lines = _CHUNKED if call.body_length < 0 else b"Content-Length: %d\r\n" % call.body_length
    return lines + _EXPECTS if call.block.expects_continue else lines


def compile(route: Route, plane: Plane) -> Step:
    """Never None: every call is forwarded. Raises ValueError when the upstream's URL cannot be used."""
    pool = plane.upstreams.pool(route.upstream)
    prefix = pool.path_prefix
    submit = pool.submit
    after_target = (
        b" HTTP/1.1\r\nHost: "
        + (route.upstream.host.encode() or pool.authority)
        + b"\r\nVia: 1.1 tollgate\r\nX-Ca-Request-Id: "
    )

    starts = {method: f"{method} ".encode() + prefix for method in METHODS}
    idle = pool.idle

    def forward(call: Call) -> None:
        query = call.query
        if query:
            query = query_strip(query)
        method = call.method
        is_bodiless = not call.body_length and method in _BODILESS
        call.upstream_head = b"".join(
            (
                starts[method],
                call.forward_path or b"/",
                b"?" + query if query else b"",
                after_target,
                call.request_id_text,
                call.client.forwarded,
                call.block.forward,
                b"\r\n" if is_bodiless else framing(call) + b"\r\n",
            )
        )
        if idle and is_bodiless:
            idle.pop().start(call)  # the ordinary call; what else there is to consider, submit does
        else:
            submit(call)

    return forward
