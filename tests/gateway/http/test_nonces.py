"""Nonces outlive what could make their request fresh again: clocks that differ, and a store that lost its data."""

from __future__ import annotations

import base64
import hmac
import time
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
import redis

from gateway.core.signatures.content import Freshness, timestamp_judge
from gateway.dataplane.steps.replay import NONCE_MARGIN_S, nonce_kept_s
from tests.gateway.http import stand as stands
from tests.gateway.http.stand import Stand, header_values, standing, status_of
from tests.gateway.http.test_signed_forms import BOBS_KEY, SECRET, key_add

SIGNED = b"X-Ca-Key,X-Ca-Nonce,X-Ca-Timestamp"


@pytest.fixture
def own(monkeypatch: pytest.MonkeyPatch) -> Iterator[Stand]:
    """A stand with an Api that demands nonces, and a key pair of Bob's."""
    ordinary = stands.apis_of

    def apis_of(upstream: Any) -> list[Any]:
        once = stands.api(12, "/once", f"http://127.0.0.1:{upstream.port}", nonce_required=True)
        return [*ordinary(upstream), once]

    monkeypatch.setattr(stands, "apis_of", apis_of)
    with standing() as stand:
        key_add(stand)
        yield stand


def request(nonce: bytes, *, path: bytes = b"/once/x") -> bytes:
    """A signed GET of this moment."""
    stamp = str(int(time.time() * 1_000)).encode()
    parts = (b"X-Ca-Key:" + BOBS_KEY.encode(), b"X-Ca-Nonce:" + nonce, b"X-Ca-Timestamp:" + stamp)
    text = b"\n".join((b"GET", b"", b"", b"", b"", *parts, path))
    signature = base64.b64encode(hmac.digest(SECRET, text, "sha256"))
    ours = (b"X-Ca-Signature-Headers:" + SIGNED, b"X-Ca-Signature:" + signature)
    return stands.request(b"GET " + path, *parts, *ours)


def test_a_store_that_lost_its_nonces_lets_no_used_one_pass_again(own: Stand) -> None:
    used = request(b"n1")
    assert status_of(own.send(used)) == 200
    assert header_values(own.send(used), "x-ca-error-code") == [b"S403NU"]
    with redis.Redis(unix_socket_path=str(own.valkey.socket)) as client:
        client.delete(*client.scan_iter("tg:n:*"))
    answer = own.send(used)
    assert header_values(answer, "x-ca-error-code") == [b"S403TE"]
    assert b"sign the request again" in answer
    assert status_of(own.send(request(b"n2"))) == 200


def test_a_nonce_is_known_for_longer_than_a_gateway_whose_clock_is_behind_takes_its_request() -> None:
    now = 1_000_000
    stamp = str(now * 1_000).encode()
    call: Any = SimpleNamespace(block=SimpleNamespace(first={b"x-ca-timestamp": stamp}), received_at=float(now))
    forgotten_at = now + nonce_kept_s(call)
    behind_ms = (forgotten_at - NONCE_MARGIN_S) * 1_000
    assert timestamp_judge(stamp, behind_ms) is Freshness.EXPIRED


@pytest.mark.parametrize("path", [b"/once/x", b"/shop/x"])
def test_a_list_of_signed_headers_that_is_sent_in_two_lines_hides_no_nonce(own: Stand, path: bytes) -> None:
    used = request(b"split-" + path[1:5], path=path)
    whole = b"X-Ca-Signature-Headers:" + SIGNED
    halves = b"X-Ca-Signature-Headers:X-Ca-Key,X-Ca-Timestamp\r\nX-Ca-Signature-Headers:X-Ca-Nonce"
    assert whole in used
    assert status_of(own.send(used)) == 200
    assert header_values(own.send(used.replace(whole, halves)), "x-ca-error-code") == [b"S403NU"]
