"""Is the signed request fresh, and is its body the one that was signed? Two small judgements on values handed in.

The signature covers the Content-MD5 header, not the body: only this check ties the body to the signature. Reading the
body as it streams is the data plane's work.
"""

from base64 import b64encode
from enum import Enum
from hashlib import md5

TIMESTAMP_WINDOW_MS = 15 * 60 * 1_000
"""How far X-Ca-Timestamp may lie in the past or in the future, in milliseconds (docs/authentication.md)."""
TIMESTAMP_DIGITS_MAX = 15
"""Longest timestamp read, in digits: milliseconds until the year 33,000."""
EMPTY_MD5 = b"1B2M2Y8AsgTpgAmY7PhCfg=="
"""Base64 of the MD5 of nothing; npm aliyun-api-gateway sends it with an empty JSON body."""


class Freshness(Enum):
    """What X-Ca-Timestamp says about a request."""

    FRESH = "fresh"
    EXPIRED = "expired"
    MALFORMED = "malformed"


def timestamp_judge(value: bytes, now_ms: int) -> Freshness:
    """Judge X-Ca-Timestamp, Unix milliseconds in digits, against ``now_ms``; both ends of the window are still fresh."""
    if not value.isdigit() or len(value) > TIMESTAMP_DIGITS_MAX:
        return Freshness.MALFORMED
    return Freshness.FRESH if abs(int(value) - now_ms) <= TIMESTAMP_WINDOW_MS else Freshness.EXPIRED


def content_digest(body: bytes) -> bytes:
    """The Content-MD5 of ``body``: Base64 of its MD5."""
    return b64encode(md5(body, usedforsecurity=False).digest())


def content_matches(declared: bytes, body: bytes) -> bool:
    """True when Content-MD5 belongs to ``body``. For an empty body only EMPTY_MD5 does (docs/authentication.md)."""
    return declared == (content_digest(body) if body else EMPTY_MD5)


class BodyCheck:
    """Checks Content-MD5 of a body that streams. Its last piece is kept back until the whole is known to be right.

    An upstream therefore never gets a complete body that is not the signed one, and nothing but one piece is held.
    """

    __slots__ = ("_declared", "_digest", "_held")

    def __init__(self, declared: bytes) -> None:
        self._declared = declared
        self._digest = md5(usedforsecurity=False)
        self._held = b""

    def take(self, piece: bytes) -> bytes:
        """Take in the next piece and return what may go on: the piece before it."""
        self._digest.update(piece)
        if not piece:
            return b""
        ready, self._held = self._held, piece
        return ready

    def finish(self) -> bytes | None:
        """The piece that was kept back when the body is the signed one; None when it is not."""
        if b64encode(self._digest.digest()) != self._declared:
            return None
        ready, self._held = self._held, b""
        return ready
