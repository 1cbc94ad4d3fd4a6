"""Worker reports: what a worker tells its master each second, in memory that both hold: that its event loop turns, and its counts.

Not through a file: replacing one frees the blocks of the one before, and a file system that discards them at once holds the
event loop up for as long as its disk takes, 0.1 to 0.7 s as measured. What the master makes of a report is exposition.py's.
Silence is counted in looks of the master, not in time, so that a machine that slept, or a master that was held up, blames nobody.
"""

from __future__ import annotations

import json
import os
import struct
import zlib
from contextlib import suppress
from typing import Any

Report = dict[str, Any]

LOOK_S = 1.0
"""How often the master looks; a worker tells as often (worker.METRICS_S)."""
UNREADY_LOOKS = 5
"""After this many looks in a row that saw nothing new, a worker is not ready."""
DEAD_LOOKS = 30
"""After this many it is killed: its connections are lost either way."""
READS_MAX = 3
"""How often a report is read that was being written just then."""
_HEAD = struct.Struct("<QQL")
"""The number of the report, the length of its JSON, and its CRC-32, by which one that is half written is known."""


class ReportRead:
    """The master's end for one life of one worker. ``memory`` is the file descriptor that the worker inherits.

    The memory outlives the worker, so that what it last said still counts when it was killed.
    """

    def __init__(self) -> None:
        self.memory = os.memfd_create("tollgate-report")
        self._number = 0
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
        head = os.pread(self.memory, _HEAD.size, 0)
        number = _HEAD.unpack(head)[0] if len(head) == _HEAD.size else 0
        if number != self._number:
            self._number = number
            self.silent_looks = 0
        elif self._number:
            self.silent_looks += 1

    def read(self) -> Report | None:
        """What the worker last said; None when it has said nothing yet."""
        for _ in range(READS_MAX):
            content = os.pread(self.memory, os.fstat(self.memory).st_size, 0)
            if len(content) < _HEAD.size:
                return None
            _, length, checksum = _HEAD.unpack_from(content)
            body = content[_HEAD.size : _HEAD.size + length]
            if len(body) == length and zlib.crc32(body) == checksum:
                report: Report = json.loads(body)
                return report
        return None

    def close(self) -> None:
        """The worker has ended, and what it said was read."""
        os.close(self.memory)


class ReportWrite:
    """The worker's end. ``memory`` is None for a worker that nobody looks after."""

    def __init__(self, memory: int | None) -> None:
        self._memory = memory
        self._number = 0

    def tell(self, report: Report) -> None:
        """Say this from now on. What cannot be said costs the metrics, never a call."""
        if self._memory is None:
            return
        self._number += 1
        body = json.dumps(report).encode()
        with suppress(OSError):
            os.pwrite(self._memory, _HEAD.pack(self._number, len(body), zlib.crc32(body)) + body, 0)
