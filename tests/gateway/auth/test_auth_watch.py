"""Failed authentications of one address are bounded, of many addresses too."""

import pytest

from gateway.dataplane import auth_watch
from gateway.dataplane.auth_watch import BURST_S, FORM_BYTES_PER_FAILURE, AuthWatch

NOW = 1_700_000_000.0


def test_an_address_that_fails_too_often_waits_and_recovers() -> None:
    watch = AuthWatch(2)
    for _ in range(2 * BURST_S):
        assert watch.wait_s("192.0.2.1", NOW) == 0
        watch.failed("192.0.2.1", NOW)
    assert watch.wait_s("192.0.2.1", NOW) == 1
    assert watch.wait_s("192.0.2.2", NOW) == 0
    assert watch.wait_s("192.0.2.1", NOW + 0.5) == 0
    assert (watch.failures, watch.throttled) == (20, 1)


def test_addresses_of_one_ipv6_network_count_together() -> None:
    watch = AuthWatch(1)
    for number in range(BURST_S):
        watch.failed(f"2001:db8:1:2::{number:x}", NOW)
    assert watch.wait_s("2001:db8:1:2:ffff::1", NOW) == 1
    assert watch.wait_s("2001:db8:1:3::1", NOW) == 0
    assert watch.wait_s("fe80::1%eth0", NOW) == 0


def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(auth_watch, "ADDRESSES_MAX", 50)
    watch = AuthWatch(1)
    for number in range(500):
        watch.failed(f"198.51.100.{number}", NOW + number / 1000)
        assert len(watch._tat_us) <= 50


def test_zero_switches_the_limit_off() -> None:
    watch = AuthWatch(0)
    for _ in range(1_000):
        watch.failed("192.0.2.1", NOW)
    assert watch.wait_s("192.0.2.1", NOW) == 0
    assert watch.failures == 1_000


def test_wrong_signatures_over_long_forms_hold_up_long_forms_of_that_key_and_address_alone() -> None:
    watch = AuthWatch(2)
    for _ in range(2):
        assert watch.form_wait_s("192.0.2.1", "bobs-key", NOW) == 0
        watch.signature_failed("192.0.2.1", "bobs-key", NOW, form_bytes=15 * FORM_BYTES_PER_FAILURE)
    assert watch.form_wait_s("192.0.2.1", "bobs-key", NOW) > 1
    assert watch.form_wait_s("192.0.2.1", "carols-key", NOW) == 0
    assert watch.form_wait_s("192.0.2.2", "bobs-key", NOW) == 0
    assert watch.wait_s("192.0.2.1", NOW) == 0
    assert watch.form_wait_s("192.0.2.1", "bobs-key", NOW + 32 / 2) == 0
