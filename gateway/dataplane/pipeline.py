"""The pipeline: what a step is, and the two ways in which a call waits for one. http1.py runs the steps that a route carries.

A step is synchronous and returns None, or raises Rejection. A step that must wait returns a Later, when one answer of the
store is all it needs, or an awaitable, for which alone a task is made. The ordinary call returns neither.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gateway.core.rejections import Rejection
    from gateway.dataplane.call import Call
    from gateway.dataplane.plane import Plane
    from gateway.dataplane.snapshot import Route


class Later:
    """One answer that a call waits for: it goes on in the very turn that brings the answer.

    A step's own subclass has ``set_result`` and ``set_exception`` (resp.py's Waiter), which end in ``go_on``; ``rest`` are
    the steps that follow, given by the connection. A task with its future would cost a signed call a tenth of its time.
    """

    __slots__ = ("call", "rest")

    rest: Iterator[Step]

    def __init__(self, call: Call) -> None:
        self.call: Call | None = call

    def go_on(self, rejection: Rejection | None) -> None:
        """Run the steps that follow, or refuse the call."""
        call, self.call = self.call, None
        if call is not None:
            call.client.resume(call, self.rest, rejection)

    def done(self) -> bool:
        """Whether nobody waits any more: the call went on, or was given up."""
        return self.call is None

    def cancel(self) -> None:
        """Give the call up; an answer that still comes changes nothing."""
        self.call = None


Step = Callable[["Call"], Awaitable[None] | Later | None]
Compile = Callable[["Route", "Plane"], Step | None]
