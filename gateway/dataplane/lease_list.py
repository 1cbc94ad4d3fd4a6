"""The list of counters at which a worker holds units, on disk beside its journal, so that recovery.py finds them when the worker dies.

A line is one JSON array: key, window code, and the bounds of the window. What is on the list and what is not: leases.py.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gateway.dataplane.quota_bucket import QuotaBucket

LIST_NAME, SCRATCH_SUFFIX = "leases", ".new"
SLACK = 10_000
"""The list is rewritten when it has this many lines more than there are buckets."""
_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC


class LeaseList:
    """One worker's list."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / LIST_NAME
        self._fd: int | None = None
        self._lines = 0
        self._is_torn = False

    def open(self) -> None:
        """Make the list. Raises OSError."""
        self._fd = os.open(self._path, _FLAGS, 0o640)

    def add(self, bucket: QuotaBucket) -> None:
        """Write a line. Raises OSError; what a refusing disk took of it ends with the next line and is skipped by readers."""
        if self._fd is None:
            return
        line = b"\n" * self._is_torn + _line(bucket)
        self._is_torn = True
        if os.write(self._fd, line) < len(line):
            raise OSError("the disk took a part of a line only")
        self._is_torn = False
        self._lines += 1

    def shorten(self, buckets: Collection[QuotaBucket]) -> None:
        """Drop the lines of windows that are over, when there are many. Raises OSError; then the list is as it was."""
        if self._fd is None or self._lines <= len(buckets) + SLACK:
            return
        scratch = self._path.with_suffix(SCRATCH_SUFFIX)
        fresh = os.open(scratch, _FLAGS | os.O_TRUNC, 0o640)
        try:
            with open(fresh, "wb", closefd=False) as file:
                file.write(b"".join(map(_line, buckets)))
            os.replace(scratch, self._path)
        except OSError:
            os.close(fresh)
            scratch.unlink(missing_ok=True)
            raise
        # Closing frees the blocks of the old list, which can take a disk longer than calls may wait.
        threading.Thread(target=os.close, args=(self._fd,), name="lease-list").start()
        self._fd, self._lines, self._is_torn = fresh, len(buckets), False

    def close(self, *, is_needed: bool) -> None:
        """End the list; when nothing is held any more, it goes."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None
        if not is_needed:
            self._path.unlink(missing_ok=True)


def keys_listed(path: Path) -> set[str]:
    """The counters on a list. Raises OSError."""
    keys = set()
    for line in path.read_bytes().splitlines():
        try:
            keys.add(str(json.loads(line)[0]))
        except (ValueError, IndexError, TypeError, KeyError):
            continue  # torn: its counter was not asked yet
    return keys


def _line(bucket: QuotaBucket) -> bytes:
    window = bucket.window
    return json.dumps([bucket.key, bucket.window_code, window.starts_at, window.ends_at]).encode() + b"\n"
