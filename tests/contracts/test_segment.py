"""The byte form of segments: what is written is read back, what is cut is a prefix, what is damaged is noticed."""

import hashlib
from uuid import UUID

from hypothesis import given, settings
from hypothesis import strategies as st

from marketplace.contracts import segment
from marketplace.contracts.segment import (
    CLOSED,
    COUNTED_KINDS,
    EVENT,
    OPENED,
    SegmentCorrupt,
    SegmentHeader,
    SegmentReader,
)
from marketplace.contracts.tally import tallies_sum
from marketplace.contracts.usage import UsageEvent

BOOT = UUID(int=7)
uuids = st.uuids(allow_nil=False)
events = st.builds(
    UsageEvent,
    id=uuids,
    finished_at_us=st.integers(0, 2**50),
    node=st.just("node-a"),
    boot=st.just(BOOT),
    grant_id=st.none() | uuids,
    app_id=uuids,
    api_id=st.none() | uuids,
    stage=st.sampled_from(["test", "pre", "release"]),
    operation_id=st.none() | uuids,
    outcome=st.sampled_from(["succeeded", "client_error", "upstream_failed", "rejected:B403MQ"]),
    status=st.integers(100, 599),
    request_bytes=st.integers(0, 2**40),
    response_bytes=st.integers(0, 2**40),
    latency_us=st.integers(0, 2**40),
    upstream_us=st.integers(0, 2**40),
    units=st.integers(0, 9),
    complete=st.booleans(),
)
kinds = st.sampled_from([EVENT, OPENED, CLOSED])
records = st.lists(st.tuples(kinds, events), max_size=6)


def sealed(entries: list[tuple[int, UsageEvent]], *, seal: bool = True) -> bytes:
    body = segment.header_encode(SegmentHeader("node-a", BOOT, 3, 1_000_000))
    body += b"".join(segment.record_encode(event, kind=kind) for kind, event in entries)
    if not seal:
        return body
    digest = hashlib.sha256(body).digest()
    return body + segment.seal_encode(segment.SegmentSeal(len(entries), 2_000_000, False, digest))


@given(records)
@settings(max_examples=60, deadline=None)
def test_what_was_written_is_read_back(entries: list[tuple[int, UsageEvent]]) -> None:
    content = sealed(entries)
    reader, raws = segment.sealed_read(content)
    assert reader.header == SegmentHeader("node-a", BOOT, 3, 1_000_000)
    assert [(raw.kind, segment.event_build(raw, reader.header)) for raw in raws] == entries
    assert list(SegmentReader(content).events()) == [event for kind, event in entries if kind in COUNTED_KINDS]
    assert b"".join(map(segment.raw_encode, raws)) in content


@given(records, st.data())
@settings(max_examples=80, deadline=None)
def test_any_cut_of_a_segment_reads_as_a_prefix_of_its_records(
    entries: list[tuple[int, UsageEvent]], data: st.DataObject
) -> None:
    content = sealed(entries, seal=False)
    cut = data.draw(st.integers(0, len(content)))
    try:
        reader = SegmentReader(content[:cut])
    except SegmentCorrupt:
        assert cut < len(sealed([], seal=False))
        return
    read = [segment.event_build(raw, reader.header) for raw in reader.records()]
    whole = [event for _, event in entries]
    assert read == whole[: len(read)]
    assert reader.valid_bytes <= cut < reader.valid_bytes + segment.RECORD_FRAME_BYTES
    assert (reader.fault is None) == (reader.valid_bytes == cut)


@given(records, st.data())
@settings(max_examples=120, deadline=None)
def test_any_flipped_bit_of_a_sealed_segment_is_noticed(
    entries: list[tuple[int, UsageEvent]], data: st.DataObject
) -> None:
    content = bytearray(sealed(entries))
    position = data.draw(st.integers(0, len(content) * 8 - 1))
    content[position // 8] ^= 1 << (position % 8)
    try:
        segment.sealed_read(bytes(content))
    except SegmentCorrupt:
        return
    raise AssertionError(f"bit {position} was flipped and nobody noticed")


@given(records)
@settings(max_examples=60, deadline=None)
def test_tallies_add_up_to_the_finished_calls_and_count_no_opened_one(entries: list[tuple[int, UsageEvent]]) -> None:
    _, raws = segment.sealed_read(sealed(entries))
    counted = [event for kind, event in entries if kind in COUNTED_KINDS]
    tallies = tallies_sum(raws)
    assert sum(tally.calls for tally in tallies.values()) == len(counted)
    assert sum(tally.units for tally in tallies.values()) == sum(event.units for event in counted)
    assert all(sum(tally.latency_histogram) == tally.calls for tally in tallies.values())
    assert {(key.grant_id, key.app_id, key.operation_id, key.outcome, key.hour) for key in tallies} == {
        (e.grant_id, e.app_id, e.operation_id, e.outcome, e.finished_at_us // 3_600_000_000 * 3_600) for e in counted
    }


def test_a_segment_keeps_its_id_so_that_it_ships_once() -> None:
    first = SegmentHeader("node-a", BOOT, 3, 1)
    again = SegmentHeader("node-b", BOOT, 3, 2)
    assert first.segment_id == again.segment_id != SegmentHeader("node-a", BOOT, 4, 1).segment_id
