"""Step guard: bodies above the limit and protocols that we do not speak are refused before anything is looked up.

Limits on heads are http_head.py's; a chunked body is counted while it streams, by client_bodies.py, against ``body_limit``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.core.rejections import Rejection

if TYPE_CHECKING:
    from gateway.dataplane.call import Call
    from gateway.dataplane.pipeline import Step
    from gateway.dataplane.plane import Plane
    from gateway.dataplane.snapshot import Route

FORWARDS_MAX = 16
"""Most ``Via`` members of a request: more of them is a loop."""


def body_limit(route: Route, plane: Plane) -> int:
    """The longest body of a route in octets: the provider's limit, never above the gateway's own."""
    own = plane.settings.body_bytes_max
    return min(own, route.body_bytes_max) if route.body_bytes_max else own


def compile(route: Route, plane: Plane) -> Step:
    """Never None: every route has a limit."""
    limit = body_limit(route, plane)

    def guard(call: Call) -> None:
        if call.body_length > limit:
            raise Rejection("I413RL", f"at most {limit} octets")
        block = call.block
        # An offer of HTTP/2 may be left unanswered (RFC 9110 section 7.8); some clients make it on every first request.
        if block.upgrade and b"websocket" in block.upgrade:
            raise Rejection("I501UP", "`websocket`")
        if b"via" in block.first and _forwards(call) > FORWARDS_MAX:
            raise Rejection("I508LD")

    return guard


def _forwards(call: Call) -> int:
    return sum(value.count(b",") + 1 for name, value in call.block.headers if name == b"via")
