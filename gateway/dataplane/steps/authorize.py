"""Step authorize: whether the app may call this Api on this stage now. Who the app is, is authenticate.py's question."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.core.rejections import Rejection

if TYPE_CHECKING:
    from gateway.dataplane.call import Call
    from gateway.dataplane.pipeline import Step
    from gateway.dataplane.plane import Plane
    from gateway.dataplane.snapshot import Route


def compile(route: Route, plane: Plane) -> Step | None:
    """None for an anonymous Api: it needs no grant."""
    if route.auth == "anonymous":
        return None
    wanted = (route.api_id, route.stage)
    used = plane.used.ids.add
    leases = plane.leases

    def authorize(call: Call) -> None:
        entry = call.entry
        if entry is None:
            raise Rejection("A400MA", "no app is known")
        used(entry.credential_id)
        if entry.suspended:
            raise Rejection("I403AA", "the app is suspended")
        grant = entry.grants.get(wanted)
        if grant is None:
            raise Rejection("I403AA", "the app has no grant for this API on this stage; subscribe to a plan first")
        now = call.received_at
        if grant.ends_at is not None and grant.ends_at <= now:
            raise Rejection("A403EP")
        if grant.starts_at > now:
            raise Rejection("I403AA", "the authorization has not begun yet")
        if grant.turns_at <= now:
            grant.turned(leases)
        call.grant = grant

    return authorize
