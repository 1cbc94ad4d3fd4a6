"""What a worker remembers about failed authentications: how many, and from which addresses too many.

An address that fails often is no longer given look-ups in Valkey, so that a flood of wrong keys costs nobody else anything.
Credentials in the cache go on working from that address: neighbours behind one NAT are not locked out. Wrong signatures are
also counted by AppKey and address, a long form as many, and then long forms of that key from there are refused unread.
Deciding what a failure is, is steps/authenticate.py's.
"""

from __future__ import annotations

from ipaddress import ip_address
from typing import TYPE_CHECKING

from gateway.core.gcra import MICROSECONDS, Pace, admit, pace
from marketplace.contracts.limits import RateLimit

if TYPE_CHECKING:
    from gateway.dataplane.plane import Plane

ADDRESSES_MAX = 10_000
"""Addresses whose failures are remembered; when there are more, those that have recovered are dropped, then all."""
BURST_S = 10
"""How many seconds' worth of failures an address may have at once."""
FORM_BYTES_PER_FAILURE = 16_384
"""A wrong signature over a form counts once more for each such part of it: that is what checking it costs."""


class AuthWatch:
    """Failures of one worker. ``failures``, ``throttled`` and ``nonces_unchecked`` count for the metrics."""

    __slots__ = ("_pace", "_tat_us", "failures", "nonces_unchecked", "throttled")

    def __init__(self, failures_per_s: int) -> None:
        """``failures_per_s``: failures of one address that a worker bears, per second; 0 does not limit them."""
        limit = RateLimit(calls=failures_per_s, period_s=1, burst=failures_per_s * BURST_S)
        self._pace: Pace | None = pace(limit) if failures_per_s else None
        self._tat_us: dict[str, int] = {}
        self.failures = 0
        self.throttled = 0
        self.nonces_unchecked = 0

    def failed(self, peer: str, now: float) -> None:
        """Note a failed authentication of ``peer`` at ``now`` (monotonic seconds)."""
        self.failures += 1
        self._note(_network(peer), now, 1)

    def signature_failed(self, peer: str, app_key: str, now: float, *, form_bytes: int) -> None:
        """Note a wrong signature for a known ``app_key`` over a form of so many octets (0: none); ``now`` as for ``failed``."""
        self.failed(peer, now)
        self._note(f"{_network(peer)} {app_key}", now, 1 + form_bytes // FORM_BYTES_PER_FAILURE)

    def _note(self, who: str, now: float, weight: int) -> None:
        if self._pace is None:
            return
        now_us = int(now * MICROSECONDS)
        if who not in self._tat_us and len(self._tat_us) >= ADDRESSES_MAX:
            self._forget(now_us)
        tat_us = self._tat_us.get(who, 0)
        verdict = admit(tat_us=tat_us, now_us=now_us, wanted=1, pace=self._pace)
        debt_us = (weight - 1) * self._pace.interval_us if verdict.admitted else 0
        self._tat_us[who] = verdict.tat_us + debt_us

    def wait_s(self, peer: str, now: float) -> int:
        """0 when ``peer`` may have another look-up; else after how many whole seconds it may, and the refusal is counted."""
        return self._wait_s(_network(peer), now) if self._tat_us else 0

    def form_wait_s(self, peer: str, app_key: str, now: float) -> int:
        """0 when a long form of ``app_key`` from ``peer`` may be read; else after how many whole seconds, and it is counted."""
        return self._wait_s(f"{_network(peer)} {app_key}", now) if self._tat_us else 0

    def _wait_s(self, who: str, now: float) -> int:
        tat_us = self._tat_us.get(who)
        if tat_us is None or self._pace is None:
            return 0
        verdict = admit(tat_us=tat_us, now_us=int(now * MICROSECONDS), wanted=1, pace=self._pace)
        if verdict.admitted:
            return 0
        self.throttled += 1
        return -(-verdict.retry_after_us // MICROSECONDS)

    def report(self) -> dict[str, int]:
        """The counts, for the metrics."""
        return {
            "failures": self.failures,
            "throttled": self.throttled,
            "nonces_unchecked": self.nonces_unchecked,
        }

    def _forget(self, now_us: int) -> None:
        self._tat_us = {peer: tat_us for peer, tat_us in self._tat_us.items() if tat_us > now_us}
        if len(self._tat_us) >= ADDRESSES_MAX:
            self._tat_us.clear()


def watch_of(plane: Plane) -> AuthWatch:
    """The worker's one AuthWatch: all routes and all snapshots share it."""
    if plane.auth_watch is None:
        plane.auth_watch = AuthWatch(plane.settings.auth_failures_per_s)
    return plane.auth_watch


def _network(peer: str) -> str:
    """An IPv4 address as it is; of an IPv6 address the /64 that one customer has."""
    return ip_address(peer.partition("%")[0]).packed[:8].hex() if ":" in peer else peer
