"""Endless tasks: what goes wrong in one round is logged and counted, and the next round comes.

What each round does is the worker's, or the master's. A task that ends all the same ends the worker: time-outs that nobody
looks at, or routes that nobody renews, are worse than a restart by the master.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine

log = logging.getLogger("tollgate.gateway")


class Background:
    """The tasks. ``faults`` counts rounds that failed; ``on_death`` is called when a task has ended by itself."""

    def __init__(self, on_death: Callable[[], None]) -> None:
        self.faults = 0
        self._on_death = on_death
        self._last = ""
        self._tasks: list[asyncio.Task[None]] = []

    def start(self, work: Coroutine[None, None, None]) -> None:
        """Run ``work`` until ``cancel``."""
        task = asyncio.get_running_loop().create_task(work)
        task.add_done_callback(self._ended)
        self._tasks.append(task)

    def every(self, seconds: float, act: Callable[[], None]) -> None:
        """Run ``act`` on a beat until ``cancel``."""
        self.start(self._beat(seconds, act))

    async def _beat(self, seconds: float, act: Callable[[], None]) -> None:
        while True:
            await asyncio.sleep(seconds)
            self.guard(act)

    def guard(self, act: Callable[[], None]) -> None:
        """Run ``act``; what it raises is counted, and logged when it is not the same as the last time."""
        try:
            act()
        except Exception as fault:  # one bad round must not be the last one
            self.faults += 1
            if repr(fault) != self._last:
                self._last = repr(fault)
                log.exception("a round of background work failed")

    def _ended(self, task: asyncio.Task[None]) -> None:
        if task.cancelled():
            return
        log.critical("a background task ended, the worker is started again", exc_info=task.exception())
        self._on_death()

    def cancel(self) -> None:
        """End all tasks."""
        for task in self._tasks:
            task.cancel()
