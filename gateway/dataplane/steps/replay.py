"""Step replay: the nonce of a signed request is accepted once, over all workers and nodes. Signatures are authenticate.py's.

A nonce that is sent is always checked; an Api may demand one. It counts only when the signature covers it: otherwise
whoever repeats the request could put another in its place. AppCode calls carry no nonce and are not looked at.
"""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import blake2b
from typing import TYPE_CHECKING

from gateway.core.rejections import Rejection
from gateway.core.signatures.canonical import signed_headers_parse
from gateway.core.signatures.content import TIMESTAMP_WINDOW_MS
from gateway.dataplane.auth_watch import watch_of
from gateway.dataplane.pipeline import Later
from gateway.dataplane.resp import StoreDown

if TYPE_CHECKING:
    from gateway.dataplane.call import Call
    from gateway.dataplane.pipeline import Step
    from gateway.dataplane.plane import Plane
    from gateway.dataplane.snapshot import Route

NONCE_PREFIX = b"tg:n:"
NONCE_BYTES_MAX = 128
"""Longest X-Ca-Nonce, in bytes; clients send a UUID."""
NONCE_KEPT_S = TIMESTAMP_WINDOW_MS // 1_000
"""How long a nonce is remembered at least, in seconds; longer when the request's timestamp stays fresh for longer."""
NONCE_HASH_BYTES = 16
RETRY_AFTER_STORE_DOWN_S = 1


def compile(route: Route, plane: Plane) -> Step | None:
    """None for an anonymous Api."""
    if route.auth == "anonymous":
        return None
    signed = _Replay(is_required=route.policies.nonce_required, plane=plane).__call__

    def replay(call: Call) -> Later | None:
        return signed(call) if call.block.signed else None

    return replay


class _Replay:
    """The step of one route. ``is_open``: go on without the check while the store is down."""

    __slots__ = ("_ask", "_is_open", "_is_required", "_watch")

    def __init__(self, *, is_required: bool, plane: Plane) -> None:
        mode = plane.settings.nonce_store_down
        self._is_required = is_required
        self._is_open = mode == "allow" or (mode == "route" and not is_required)
        self._ask = plane.store.ask
        self._watch = watch_of(plane)

    def __call__(self, call: Call) -> Later | None:
        entry = call.entry
        if entry is None or entry.secret is None:
            return None
        first = call.block.first
        nonce = first.get(b"x-ca-nonce", b"")
        covered = signed_headers_parse(first.get(b"x-ca-signature-headers", b"")).names
        if self._is_required:
            _demand(first, covered)
        if not nonce or b"x-ca-nonce" not in covered:
            return None
        if len(nonce) > NONCE_BYTES_MAX:
            raise Rejection("I400HD", f"`X-Ca-Nonce` is longer than {NONCE_BYTES_MAX} bytes")
        return self._remember(call, nonce_key(first[b"x-ca-key"], nonce))

    def _remember(self, call: Call, key: bytes) -> Later | None:
        """Ask the store to keep the nonce if it is new: one command, sent with all others of this turn."""
        answer = _NonceAnswer(call, self)
        try:
            self._ask(answer, "SET", key, b"1", "NX", "EX", nonce_kept_s(call))
        except StoreDown:
            rejection = self.unchecked()
            if rejection is not None:
                raise rejection from None
            return None
        return answer

    def unchecked(self) -> Rejection | None:
        """The store cannot say whether the nonce is new: None when the call goes on without the check, and it is counted."""
        self._watch.nonces_unchecked += 1
        if self._is_open:
            return None
        headers = (("Retry-After", str(RETRY_AFTER_STORE_DOWN_S)),)
        return Rejection("X503BZ", "nonces cannot be checked now, try again", headers=headers)


class _NonceAnswer(Later):
    """What the store says about one nonce."""

    __slots__ = ("_replay",)

    def __init__(self, call: Call, replay: _Replay) -> None:
        self.call = call
        self._replay = replay

    def set_result(self, is_new: object, /) -> None:
        """OK when it was kept, None when it was there already."""
        self.go_on(Rejection("S403NU") if is_new is None else None)

    def set_exception(self, fault: Exception, /) -> None:
        """StoreDown or StoreFault."""
        del fault
        self.go_on(self._replay.unchecked())


def _demand(first: Mapping[bytes, bytes], covered: tuple[bytes, ...]) -> None:
    """An Api that demands a nonce also demands a timestamp: nonces are forgotten, so an old request must be refused by time."""
    if not first.get(b"x-ca-nonce") or b"x-ca-nonce" not in covered:
        raise Rejection("I400NC")
    if not first.get(b"x-ca-timestamp") or b"x-ca-timestamp" not in covered:
        raise Rejection("I400MH", "`X-Ca-Timestamp`")


def nonce_key(app_key: bytes, nonce: bytes) -> bytes:
    """Where a nonce of an AppKey is kept: a short hash, since every signed call leaves one."""
    return NONCE_PREFIX + blake2b(app_key + b"\0" + nonce, digest_size=NONCE_HASH_BYTES).digest()


def nonce_kept_s(call: Call) -> int:
    """How long to remember the nonce, in seconds: a timestamp in the future keeps its request alive for longer."""
    timestamp = call.block.first.get(b"x-ca-timestamp")
    if timestamp is None:
        return NONCE_KEPT_S
    ahead_s = int(timestamp) // 1_000 + 1 - int(call.received_at)
    return NONCE_KEPT_S + max(0, ahead_s)
