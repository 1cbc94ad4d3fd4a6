"""Request ids: UUIDv7 (RFC 9562) minted cheaply, one generator a worker. A request id is also the id of its usage event."""

from __future__ import annotations

import os

_SEQUENCES = 4096
_SEQUENCE_RAW = tuple((0x7000 | number).to_bytes(2, "big") for number in range(_SEQUENCES))
_SEQUENCE_TEXT = tuple(b"-7%03X-" % number for number in range(_SEQUENCES))


class RequestIds:
    """Mints ids that never repeat and never go back: millisecond, then a counter, then 62 bits drawn at the start of the worker."""

    __slots__ = ("_milliseconds", "_raw", "_sequence", "_tail_raw", "_tail_text", "_text")

    def __init__(self) -> None:
        tail = (int.from_bytes(os.urandom(8), "big") & ((1 << 62) - 1)) | (1 << 63)
        self._tail_raw = tail.to_bytes(8, "big")
        text = b"%016X" % tail
        self._tail_text = text[:4] + b"-" + text[4:]
        self._milliseconds = 0
        self._sequence = 0
        self._raw = b""
        self._text = b""

    def mint(self, now: float) -> tuple[bytes, bytes]:
        """Return (16 bytes, upper-case text) of the next id; ``now`` in Unix seconds."""
        milliseconds = int(now * 1000)
        if milliseconds > self._milliseconds:
            self._advance(milliseconds)
        else:
            # The same millisecond, or a clock that was set back: count on.
            self._sequence += 1
            if self._sequence == _SEQUENCES:
                self._advance(self._milliseconds + 1)
        sequence = self._sequence
        return (
            self._raw + _SEQUENCE_RAW[sequence] + self._tail_raw,
            self._text + _SEQUENCE_TEXT[sequence] + self._tail_text,
        )

    def _advance(self, milliseconds: int) -> None:
        self._milliseconds = milliseconds
        self._sequence = 0
        self._raw = milliseconds.to_bytes(6, "big")
        text = b"%012X" % milliseconds
        self._text = text[:8] + b"-" + text[8:]
