"""The pipeline: what a step is, how a call runs those that its route carries, and the two ways in which it waits for one.

A step is synchronous and returns None, or raises Rejection. A step that must wait returns a Later, when one answer of the
store is all it needs, or an awaitable, for which alone a task is made. The ordinary call returns neither.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator
from typing import TYPE_CHECKING

from gateway.core.rejections import Rejection
from gateway.dataplane.steps.match import match

if TYPE_CHECKING:
    from gateway.dataplane.call import Call
    from gateway.dataplane.plane import Plane
    from gateway.dataplane.snapshot import Route

log = logging.getLogger("tollgate.gateway")


class Later:
    """One answer that a call waits for: it goes on in the very turn that brings the answer.

    A step's own subclass has ``set_result`` and ``set_exception`` (resp.py's Waiter), which end in ``go_on``; ``rest`` are
    the steps that follow, given when the call begins to wait. A task with its future would cost a signed call a tenth of its time.
    """

    __slots__ = ("call", "rest")

    rest: Iterator[Step]

    def __init__(self, call: Call) -> None:
        self.call: Call | None = call

    def go_on(self, rejection: Rejection | None) -> None:
        """Run the steps that follow, or refuse the call."""
        call, self.call = self.call, None
        if call is not None:
            _resume(call, self.rest, rejection)

    def done(self) -> bool:
        """Whether nobody waits any more: the call went on, or was given up."""
        return self.call is None

    def cancel(self) -> None:
        """Give the call up; an answer that still comes changes nothing."""
        self.call = None


Step = Callable[["Call"], Awaitable[None] | Later | None]
Compile = Callable[["Route", "Plane"], Step | None]


def call_run(call: Call) -> None:
    """Find the call's route and run its steps. All of the body that they need is here."""
    client = call.client
    try:
        route = call.route or match(call, client.worker.plane.snapshot)
        if not client.is_ordinary:
            route.guard(call)
    except Rejection as rejection:
        client.worker.respond.refuse(call, rejection)
        return
    steps_run(call, iter(route.steps))


def steps_run(call: Call, steps: Iterator[Step]) -> None:
    """Run ``steps`` until one has to wait, and the rest when it has what it waited for."""
    try:
        for step in steps:
            pending = step(call)
            if pending is not None:
                _wait(call, pending, steps)
                return
    except Rejection as rejection:
        call.client.worker.respond.refuse(call, rejection)
    except Exception:  # a fault of ours must not leave the client without an answer
        log.exception("a step failed")
        call.client.worker.respond.refuse(call, Rejection("X500ER"))


def _wait(call: Call, pending: Awaitable[None] | Later, steps: Iterator[Step]) -> None:
    if isinstance(pending, Later):
        pending.rest = steps
        call.client.pending_step = pending
    else:
        call.client.pending_step = asyncio.get_running_loop().create_task(_await(call, pending, steps))


async def _await(call: Call, pending: Awaitable[None], steps: Iterator[Step]) -> None:
    refused = None
    try:
        await pending
    except Rejection as rejection:
        refused = rejection
    except Exception:  # a fault of ours must not leave the client without an answer
        log.exception("a step failed")
        refused = Rejection("X500ER")
    _resume(call, steps, refused)


def _resume(call: Call, steps: Iterator[Step], rejection: Rejection | None) -> None:
    """What a step waited for is there: refuse the call, or run the steps after it."""
    call.client.pending_step = None
    if rejection is None:
        steps_run(call, steps)
    elif not call.outcome:
        call.client.worker.respond.refuse(call, rejection)
