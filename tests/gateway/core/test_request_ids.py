"""Request ids are UUIDv7 that never repeat and never go back, whatever the clock does."""

from __future__ import annotations

from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from gateway.dataplane.request_ids import RequestIds


@given(st.lists(st.floats(1_700_000_000, 1_700_000_001), min_size=1, max_size=200))
def test_ids_rise_even_when_the_clock_is_set_back(times: list[float]) -> None:
    ids = RequestIds()
    minted = [ids.mint(now) for now in times]
    raws = [raw for raw, _ in minted]
    assert raws == sorted(set(raws))
    for raw, text in minted:
        identity = UUID(bytes=raw)
        assert identity.version == 7
        assert str(identity).upper() == text.decode()


def test_more_ids_than_one_millisecond_has_room_for_still_rise() -> None:
    ids = RequestIds()
    raws = [ids.mint(1_700_000_000.0)[0] for _ in range(10_000)]
    assert raws == sorted(set(raws))
