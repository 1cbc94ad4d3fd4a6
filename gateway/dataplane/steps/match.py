"""Step match: which Api, stage and operation a call is for. It runs before the route's own steps, because it finds them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gateway.dataplane.call import Call
    from gateway.dataplane.snapshot import Route, Snapshot


def match(call: Call, snapshot: Snapshot) -> Route:
    """Write ``route`` and ``forward_path``. Raises Rejection I400SG, I400PA, I404NF or I405UM."""
    key = (call.block.stage, call.method, call.path)
    route, call.forward_path = snapshot.seen.get(key) or snapshot.match(*key)
    call.route = route
    return route
