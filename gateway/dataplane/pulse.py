"""Pulse: a worker tells its master each second, through a pipe, that its event loop turns. What the master does then is its own.

Not by the report file: a disk that refuses is no reason to end a worker. Silence is counted in looks of the master, not in
time, so that a machine that slept, or a master that was held up, blames nobody.
"""

from __future__ import annotations

import os
from contextlib import suppress

LOOK_S = 1.0
"""How often the master looks; a worker tells as often (worker.METRICS_S)."""
UNREADY_LOOKS = 5
"""After this many looks in a row that saw nothing, a worker is not ready."""
DEAD_LOOKS = 30
"""After this many it is killed: its connections are lost either way."""
_READ_BYTES = 4_096


class Pulse:
    """The master's end for one life of one worker. ``told`` is the file descriptor that the worker inherits."""

    def __init__(self) -> None:
        self._heard, self.told = os.pipe()
        os.set_blocking(self._heard, False)
        os.set_blocking(self.told, False)
        self._has_begun = False
        self.silent_looks = 0

    @property
    def is_silent(self) -> bool:
        """Whether the worker said nothing for some seconds."""
        return self.silent_looks >= UNREADY_LOOKS

    @property
    def is_dead(self) -> bool:
        """Whether nothing can be hoped for any more."""
        return self.silent_looks >= DEAD_LOOKS

    def look(self) -> None:
        """See whether something came since the last look. A worker that is still starting is not judged."""
        try:
            heard = os.read(self._heard, _READ_BYTES)
        except BlockingIOError:
            heard = b""
        if heard:
            self._has_begun = True
            self.silent_looks = 0
        elif self._has_begun:
            self.silent_looks += 1

    def close(self) -> None:
        """The worker has ended."""
        os.close(self._heard)
        os.close(self.told)


def tell(told: int | None) -> None:
    """The worker's side. A master that does not read, or none, is no concern of a worker."""
    if told is not None:
        with suppress(OSError):
            os.write(told, b".")
