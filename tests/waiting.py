"""Waiting for what another process, thread or task does: up to a bound, where a sleep would be too long or too short.

Where the bound is a promise, the test names it; else ``WAIT_S_MAX`` is only how long a slow machine is borne.
"""

import asyncio
import time
from collections.abc import Callable

WAIT_S_MAX = 20.0
POLL_S = 0.02


def eventually(claim: Callable[[], object], *, within_s: float = WAIT_S_MAX) -> bool:
    """Whether the claim comes true in time: ``assert eventually(lambda: …), "what is shown when not"``."""
    deadline = time.monotonic() + within_s
    while not claim():
        if time.monotonic() > deadline:
            return False
        time.sleep(POLL_S)
    return True


async def until(claim: Callable[[], object], *, within_s: float = WAIT_S_MAX) -> None:
    """The same for what happens in the test's own event loop, which goes on meanwhile; fails when it did not come true."""
    deadline = time.monotonic() + within_s
    while not claim():
        assert time.monotonic() < deadline, "it did not become true"
        await asyncio.sleep(POLL_S)
