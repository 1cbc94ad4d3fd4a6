"""The pipeline: what a step is, and how a call goes on when one has to wait. http1.py runs the steps that a route carries.

A step is synchronous and returns None, or raises Rejection. A step that must wait returns an awaitable; only then is a
task made, which awaits it and goes on with the remaining steps. The ordinary call never gets there.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gateway.dataplane.call import Call
    from gateway.dataplane.plane import Plane
    from gateway.dataplane.snapshot import Route

Step = Callable[["Call"], Awaitable[None] | None]
Compile = Callable[["Route", "Plane"], Step | None]


async def run_rest(call: Call, pending: Awaitable[None], steps: Iterator[Step]) -> None:
    """Await the step that has to wait, then run those after it. Raises Rejection when one of them refuses the call."""
    await pending
    for step in steps:
        waiting = step(call)
        if waiting is not None:
            await waiting
