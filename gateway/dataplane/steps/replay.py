"""Step replay: the nonce of a signed request is accepted once, over all workers and nodes. Signatures are authenticate.py's.

A nonce that is sent is always checked; an Api may demand one. It counts only when the signature covers it: otherwise
whoever repeats the request could put another in its place. AppCode calls carry no nonce and are not looked at.

Should the store lose its data, nonces are forgotten that were used. So it also keeps since when it knows them: an Api that
demands a nonce takes no request that is older than that.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from hashlib import blake2b
from time import time
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
    from gateway.dataplane.store import Store

NONCE_PREFIX = b"tg:n:"
SINCE_KEY = NONCE_PREFIX + b"since"
"""Unix milliseconds since which the store knows all nonces. Written when it is absent, so it is lost with them."""
NONCE_BYTES_MAX = 128
"""Longest X-Ca-Nonce, in bytes; clients send a UUID."""
NONCE_MARGIN_S = 60
"""How far the clocks of gateways may lie apart: a nonce is kept for longer than its request is fresh anywhere, in seconds."""
NONCE_KEPT_S = TIMESTAMP_WINDOW_MS // 1_000 + NONCE_MARGIN_S
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
        fields = call.block.fields()  # what the signature was checked with
        nonce = fields.get(b"x-ca-nonce", b"")
        covered = signed_headers_parse(fields.get(b"x-ca-signature-headers", b"")).names
        if self._is_required:
            _demand(fields, covered)
        if not nonce or b"x-ca-nonce" not in covered:
            return None
        if len(nonce) > NONCE_BYTES_MAX:
            raise Rejection("I400HD", f"`X-Ca-Nonce` is longer than {NONCE_BYTES_MAX} bytes")
        return self._remember(call, nonce_key(call.block.first[b"x-ca-key"], nonce))

    def _remember(self, call: Call, key: bytes) -> Later | None:
        """Ask the store to keep the nonce if it is new: one command, sent with all others of this turn."""
        answer = _DemandedAnswer(call, self) if self._is_required else _NonceAnswer(call, self)
        try:
            self._ask(answer, "SET", key, b"1", "NX", "EX", nonce_kept_s(call))
            if self._is_required:  # after the nonce: data that are lost in between do not pass for complete
                self._ask(answer, *since_command(call.received_at))
        except StoreDown:
            answer.cancel()
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


class _DemandedAnswer(_NonceAnswer):
    """The same where a nonce is demanded: a second answer says since when nonces are known; None: since this very call."""

    __slots__ = ("_answers",)

    def __init__(self, call: Call, replay: _Replay) -> None:
        super().__init__(call, replay)
        self._answers: list[object] = []

    def set_result(self, answer: object, /) -> None:
        """The first: as above; the second: the mark that was there before."""
        self._answers.append(answer)
        call = self.call
        if len(self._answers) < 2 or call is None:
            return
        is_new, since = self._answers
        since_ms = int(since) if isinstance(since, bytes) else int(call.received_at * 1_000)
        if is_new is None:
            self.go_on(Rejection("S403NU"))
        elif int(call.block.first[b"x-ca-timestamp"]) < since_ms:
            self.go_on(Rejection("S403TE", "nonces from before then were lost, sign the request again"))
        else:
            self.go_on(None)


class _Unheeded:
    """Nobody waits for the answer."""

    def done(self) -> bool:
        """Always."""
        return True

    def set_result(self, result: object, /) -> None:
        """Never called."""

    def set_exception(self, exception: object, /) -> None:
        """Never called."""


def since_command(now: float) -> tuple[bytes | str | int, ...]:
    """Writes since when nonces are known, at ``now`` (Unix seconds), unless it stands there, and returns what stood there."""
    return ("SET", SINCE_KEY, int(now * 1_000), "NX", "GET")


def since_mark(store: Store) -> None:
    """Call it when the store is connected: then the first calls after a start, or a loss, are not older than the mark."""
    with suppress(StoreDown):
        store.ask(_Unheeded(), *since_command(time()))


def _demand(fields: Mapping[bytes, bytes], covered: tuple[bytes, ...]) -> None:
    """An Api that demands a nonce also demands a timestamp: nonces are forgotten, so an old request must be refused by time."""
    if not fields.get(b"x-ca-nonce") or b"x-ca-nonce" not in covered:
        raise Rejection("I400NC")
    if not fields.get(b"x-ca-timestamp") or b"x-ca-timestamp" not in covered:
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
