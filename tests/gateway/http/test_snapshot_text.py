"""The text of a snapshot is read in pieces: as json reads it, or refused, and never so that calls stand still for all of it."""

from __future__ import annotations

import json
import threading
import time
from dataclasses import asdict
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.dataplane.snapshot import snapshot_checksum
from gateway.dataplane.snapshot_text import snapshot_read
from tests.gateway.http.stand import api

APIS = 1_500
SHARE_MAX = 0.2
"""Of the time that reading takes, how much may pass in one go."""

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


def document(apis: list[Any]) -> dict[str, Any]:
    return {"version": 7, "checksum": snapshot_checksum(apis), "apis": apis, "more": {"a": [1, []]}, "none": []}


@given(st.lists(values, max_size=4), st.sampled_from([None, 1]), st.booleans())
def test_a_snapshot_reads_as_json_does_however_it_is_laid_out(
    apis: list[Any], indent: int | None, is_ascii: bool
) -> None:
    whole = document(apis)
    assert snapshot_read(json.dumps(whole, indent=indent, ensure_ascii=is_ascii).encode()) == whole


def test_the_checksum_is_that_of_the_canonical_text_of_the_whole_list() -> None:
    assert snapshot_checksum([{"b": "天", "a": 1}, {}]) == (
        "7d77ef87f464e864bd22f948f9938b530d65486678f4498a894afbffad9661bd"
    )


@pytest.mark.parametrize(
    "text", ["", "[]", "{", '{"apis":[}', '{"apis":[1 2]}', '{"apis":[1,]}', "{1:2}", "{} {}", '{"a":1']
)
def test_what_is_no_whole_document_is_refused(text: str) -> None:
    with pytest.raises((ValueError, KeyError)):
        snapshot_read(text.encode())


def test_other_threads_go_on_while_a_large_snapshot_is_read() -> None:
    raw = json.dumps(
        document([asdict(api(number, f"/a{number}", "http://a.example")) for number in range(APIS)])
    ).encode()
    reader = threading.Thread(target=snapshot_read, args=(raw,))
    reader.start()
    started = last = time.process_time()
    longest = 0.0
    while reader.is_alive():
        time.sleep(0.0005)
        now = time.process_time()
        longest, last = max(longest, now - last), now
    assert longest < SHARE_MAX * (last - started)
