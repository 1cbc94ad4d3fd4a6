"""The pipeline: runs the steps that a route carries. Rendering a Rejection is http1's and rejections.py's work.

A step is synchronous and returns None, or raises Rejection. A step that must wait returns an awaitable; only then is a
task made, which awaits it and goes on with the remaining steps. The ordinary call never gets there.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gateway.dataplane.call import Call
    from gateway.dataplane.plane import Plane
    from gateway.dataplane.snapshot import Route

Step = Callable[["Call"], Awaitable[None] | None]
Compile = Callable[["Route", "Plane"], Step | None]


def run(call: Call, steps: tuple[Step, ...]) -> Coroutine[Any, Any, None] | None:
    """Run ``steps`` in order. Returns None when all are done, or a coroutine that finishes them when one has to wait.

    Raises Rejection, from here or from the coroutine, when a step refuses the call.
    """
    for position, step in enumerate(steps):
        pending = step(call)
        if pending is not None:
            return _run_rest(call, pending, steps[position + 1 :])
    return None


async def _run_rest(call: Call, pending: Awaitable[None], steps: tuple[Step, ...]) -> None:
    await pending
    for step in steps:
        waiting = step(call)
        if waiting is not None:
            await waiting
