"""From sealed segments to PostgreSQL, once each, whatever is interrupted, repeated, torn or damaged."""

import asyncio
import hashlib
import os
import time
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import psycopg
import pytest

from gateway.dataplane import recovery
from gateway.dataplane.evidence import evidence_read
from gateway.dataplane.journal import OPEN_SUFFIX, SEALED_SUFFIX, Journal, segment_path
from gateway.dataplane.journal_records import event_encode
from gateway.dataplane.shipper import Shipper
from marketplace.contracts.segment import CLOSED, SegmentReader, header_encode, raw_encode, seal_encode, sealed_read
from marketplace.models import UsageSegment, UsageTally
from marketplace.selectors import evidence as selector
from tests.gateway.state.parts import call_make, write

pytestmark = pytest.mark.django_db(transaction=True)


def tallied() -> int:
    return sum(UsageTally.objects.values_list("calls", flat=True))


def segment_rebuild(content: bytes, *, opened_at_us: int | None = None, **changed: int) -> bytes:
    """The same calls, with fields ``changed``, in a well-formed segment that may say it was opened at another time."""
    reader, records = sealed_read(content)
    assert reader.seal is not None
    header = reader.header if opened_at_us is None else replace(reader.header, opened_at_us=opened_at_us)
    body = header_encode(header) + b"".join(raw_encode(raw._replace(**changed)) for raw in records)
    return body + seal_encode(replace(reader.seal, sha256=hashlib.sha256(body).digest()))


def test_a_segment_becomes_one_row_its_tallies_and_evidence_and_is_gone(shipper: Shipper) -> None:
    journal = write(shipper.journal_dir, calls=5, segments=2)
    shipper.round()
    first, second = UsageSegment.objects.order_by("sequence")
    assert (first.boot, first.events, second.events) == (journal.boot, 5, 5)
    assert second.previous_sha256 == first.sha256 and first.previous_sha256 == ""
    assert tallied() == 10
    kept = evidence_read(shipper.evidence_dir, first.evidence)
    assert len(sealed_read(kept)[1]) == 5 and len(kept) == first.size_bytes
    assert not list(journal.folder.glob("*" + SEALED_SUFFIX))


def test_shipping_a_segment_twice_inserts_nothing_the_second_time(shipper: Shipper) -> None:
    """Killed between the commit and the removal of the file: the file is still there and is shipped again."""
    journal = write(shipper.journal_dir)
    path = segment_path(journal.folder, 0, SEALED_SUFFIX)
    content = path.read_bytes()
    shipper.round()
    path.write_bytes(content)
    shipper.round()
    assert (shipper.shipped, shipper.repeated) == (1, 1)
    assert UsageSegment.objects.count() == 1 and tallied() == 3 and not path.exists()


def test_a_claim_before_the_write_never_loses_it_where_a_peer_billed_zero(shipper: Shipper, monkeypatch: Any) -> None:
    """The insert of tallies fails after the segment's row: both are rolled back, and the next try inserts both."""
    write(shipper.journal_dir)
    with monkeypatch.context() as patch:
        patch.setattr("gateway.dataplane.shipper_database._TALLY_COPY", "COPY no_such_table FROM STDIN")
        shipper.round()
        assert UsageSegment.objects.count() == 0
    time.sleep(shipper._back_off_s)
    shipper.round()
    assert UsageSegment.objects.count() == 1 and tallied() == 3


def test_a_damaged_segment_is_set_aside_and_said_not_billed_and_not_thrown_away(shipper: Shipper) -> None:
    journal = write(shipper.journal_dir, segments=2)
    path = segment_path(journal.folder, 0, SEALED_SUFFIX)
    content = bytearray(path.read_bytes())
    content[-200] ^= 4
    path.write_bytes(content)
    shipper.round()
    assert shipper.corrupt == 1 and path.with_suffix(recovery.CORRUPT_SUFFIX).read_bytes() == bytes(content)
    assert [segment.sequence for segment in UsageSegment.objects.all()] == [1]


def test_a_segment_that_no_table_takes_is_set_aside_and_the_others_go_on(shipper: Shipper) -> None:
    journal = write(shipper.journal_dir)
    path = segment_path(journal.folder, 0, SEALED_SUFFIX)
    path.write_bytes(segment_rebuild(path.read_bytes(), request_bytes=2**64 - 1))
    write(shipper.journal_dir, calls=2)
    shipper.round()
    assert shipper.corrupt == 1 and path.with_suffix(recovery.CORRUPT_SUFFIX).exists()
    assert tallied() == 2 and shipper.report()["database_up"]


def test_a_segment_that_cannot_be_set_aside_does_not_stop_the_others(
    shipper: Shipper, monkeypatch: pytest.MonkeyPatch
) -> None:
    damaged = segment_path(write(shipper.journal_dir).folder, 0, SEALED_SUFFIX)
    damaged.write_bytes(damaged.read_bytes()[:-1])
    write(shipper.journal_dir, calls=2)

    def refuse(*args: object) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(Path, "rename", refuse)
    shipper.round()
    assert damaged.exists() and tallied() == 2


def test_another_segment_under_a_number_that_was_shipped_is_set_aside_not_taken_for_a_second_try(
    shipper: Shipper,
) -> None:
    journal, other = (write(shipper.journal_dir) for _ in range(2))
    path = segment_path(journal.folder, 0, SEALED_SUFFIX)
    shipper.round()
    first = UsageSegment.objects.get(boot=journal.boot)
    kept = evidence_read(shipper.evidence_dir, first.evidence)
    content = segment_rebuild(kept, opened_at_us=int(first.opened_at.timestamp() * 1e6) + 40 * 86_400_000_000)
    path.write_bytes(content)
    shipper.round()
    assert shipper.corrupt == 1 and path.with_suffix(recovery.CORRUPT_SUFFIX).read_bytes() == content
    assert UsageSegment.objects.filter(boot=journal.boot).count() == 1 and tallied() == 6
    assert evidence_read(shipper.evidence_dir, first.evidence) == kept and other.boot != journal.boot


def test_a_segment_of_a_time_that_no_calendar_has_is_set_aside_and_the_others_go_on(shipper: Shipper) -> None:
    journal = write(shipper.journal_dir, segments=2)
    path = segment_path(journal.folder, 0, SEALED_SUFFIX)
    path.write_bytes(segment_rebuild(path.read_bytes(), opened_at_us=2**63))
    write(shipper.journal_dir)
    shipper.round()
    assert shipper.corrupt == 1 and tallied() == 6


def test_a_segment_that_does_not_continue_the_one_before_is_not_billed(shipper: Shipper) -> None:
    journal, other = (write(shipper.journal_dir, segments=2) for _ in range(2))
    forged = segment_path(other.folder, 1, SEALED_SUFFIX).read_bytes().replace(other.boot.bytes, journal.boot.bytes)
    segment_path(journal.folder, 1, SEALED_SUFFIX).write_bytes(forged)
    shipper.round()
    assert shipper.corrupt == 1 and UsageSegment.objects.filter(boot=journal.boot).count() == 1


def test_while_postgres_is_down_the_backlog_waits_and_nothing_is_dropped(shipper: Shipper) -> None:
    """Peers drop the oldest when a buffer is full, or after some retries. Ours is the disk, and it never gives up."""
    good = shipper.settings
    shipper.settings = replace(good, database_url="postgresql://nobody@/none?host=/nonexistent")
    write(shipper.journal_dir, calls=4, segments=30)
    for _ in range(5):
        shipper.round()
    report = shipper.report()
    assert report["backlog_files"] == 30 and report["backlog_bytes"] > 0 and not report["database_up"]
    shipper.settings = good
    shipper._connect_after = 0
    shipper.round()
    assert tallied() == 120 and shipper.report()["backlog_files"] == 0


def test_a_torn_last_record_is_cut_off_and_every_record_before_it_is_billed(shipper: Shipper) -> None:
    journal = write(shipper.journal_dir, segments=0, close=False)

    async def die() -> None:
        journal._loop = asyncio.get_running_loop()
        for _ in range(7):
            journal.commit(event_encode(call_make()), lambda payload: None, b"", lambda: None)
        journal.flush()
        journal._timer.cancel()  # type: ignore[union-attr]

    asyncio.run(die())
    path = segment_path(journal.folder, 0, OPEN_SUFFIX)
    whole = path.read_bytes()
    path.write_bytes(whole[:-30])
    shipper.round()
    assert UsageSegment.objects.count() == 0  # its worker lives: nobody touches its open segment
    os.close(journal._lock)  # type: ignore[arg-type]
    shipper.round()
    shipper.round()
    assert tallied() == 6
    assert sealed_read(evidence_read(shipper.evidence_dir, UsageSegment.objects.get().evidence))[0].seal.is_recovered  # type: ignore[union-attr]


@pytest.mark.parametrize("cut", ["nothing", "the next segment's head", "before the seal"])
def test_an_answer_that_streams_over_segments_counts_once_wherever_its_worker_dies(shipper: Shipper, cut: str) -> None:
    ids: list[bytes] = []

    async def run() -> Journal:
        journal = Journal(shipper.journal_dir, node="n", boot=uuid4(), seal_s=60)
        journal.start()
        ended, cut_short = call_make(), call_make()
        ids.extend([ended.request_id, cut_short.request_id])
        for call in (ended, cut_short):
            journal.opened(call, lambda payload: None, b"", lambda: None)
        for size in (100, 200):
            cut_short.client.sent = size
            journal.commit(event_encode(call_make()), lambda payload: None, b"", lambda: None)
            journal.seal()
        journal.closed(ended, lambda payload: None, b"", lambda: None)
        journal.flush()
        journal._timer.cancel()  # type: ignore[union-attr]
        os.close(journal._lock)  # type: ignore[arg-type]
        return journal

    journal = asyncio.run(run())
    if cut == "the next segment's head":  # died while it made segment 2: segment 1 is sealed but not yet renamed
        segment_path(journal.folder, 2, OPEN_SUFFIX).write_bytes(b"TGSEG\x00")
        os.rename(segment_path(journal.folder, 1, SEALED_SUFFIX), segment_path(journal.folder, 1, OPEN_SUFFIX))
    if cut == "before the seal":
        path = segment_path(journal.folder, 1, SEALED_SUFFIX)
        path.write_bytes(path.read_bytes()[:-20])
        os.rename(path, segment_path(journal.folder, 1, OPEN_SUFFIX))
    shipper.round()
    shipper.round()
    events = [
        event
        for row in UsageSegment.objects.order_by("sequence")
        for event in SegmentReader(evidence_read(shipper.evidence_dir, row.evidence)).events()
    ]
    assert sorted(event.id.bytes for event in events if event.id.bytes in ids) == sorted(ids)
    by_id = {event.id.bytes: event for event in events}
    sent = 100 if cut == "the next segment's head" else 200  # a lower bound: what was recorded last
    assert not by_id[ids[1]].complete and by_id[ids[1]].response_bytes == sent and by_id[ids[1]].units == 1
    assert tallied() == 4 and shipper.corrupt == 0


def test_answers_that_stream_count_once_also_when_a_kill_tore_the_head_of_the_next_segment(shipper: Shipper) -> None:
    """A kill ends a long write after a page of it: some of the answers are in the next segment, the others in the one before."""
    calls = [call_make() for _ in range(3)]

    async def run() -> Journal:
        journal = Journal(shipper.journal_dir, node="n", boot=uuid4(), seal_s=60)
        journal.start()
        for call in calls:
            journal.opened(call, lambda payload: None, b"", lambda: None)
        journal.flush()
        fd, head = journal._segment_create(1, journal._hash.digest())
        os.ftruncate(fd, len(head) - 200)
        for held in (fd, journal._fd, journal._lock):
            os.close(held)  # type: ignore[arg-type]
        journal._timer.cancel()  # type: ignore[union-attr]
        return journal

    journal = asyncio.run(run())
    assert len(list(journal.folder.glob(f"*{OPEN_SUFFIX}"))) == 2
    shipper.round()
    shipper.round()
    assert tallied() == len(calls) and shipper.corrupt == 0


def test_an_ended_stream_is_one_call_of_its_whole_size(shipper: Shipper) -> None:
    async def run() -> None:
        journal = Journal(shipper.journal_dir, node="n", boot=uuid4(), seal_s=60)
        journal.start()
        call = call_make()
        journal.opened(call, lambda payload: None, b"", lambda: None)
        journal.seal()
        call.response_bytes = 5_000
        journal.closed(call, lambda payload: None, b"", lambda: None)
        journal.close()

    asyncio.run(run())
    shipper.round()
    tally = UsageTally.objects.get()
    assert (tally.calls, tally.response_bytes, tally.units) == (1, 5_000, 1)


def test_a_streamed_answer_in_flight_is_recorded_as_what_was_sent(shipper: Shipper) -> None:
    """The closed record of a worker that drains with an answer still open says that it is incomplete."""

    async def run() -> None:
        journal = Journal(shipper.journal_dir, node="n", boot=uuid4(), seal_s=60)
        journal.start()
        call = call_make()
        journal.opened(call, lambda payload: None, b"", lambda: None)
        journal.flush()
        call.client.sent = 321
        journal.close()

    asyncio.run(run())
    shipper.round()
    content = evidence_read(shipper.evidence_dir, UsageSegment.objects.get().evidence)
    (closed,) = [raw for raw in SegmentReader(content).records() if raw.kind == CLOSED]
    assert (closed.complete, closed.response_bytes, closed.units) == (0, 321, 1)


def test_two_shippers_of_one_database_write_each_segment_once(shipper: Shipper) -> None:
    journal = write(shipper.journal_dir)
    path = segment_path(journal.folder, 0, SEALED_SUFFIX)
    content = path.read_bytes()
    first = shipper._database()
    assert first is not None
    with psycopg.connect(shipper.settings.database_url) as second:
        assert shipper.ship(first, path)
        path.write_bytes(content)
        assert not shipper.ship(second, path)
    assert tallied() == 3


def test_the_calls_behind_an_hour_are_read_back_from_verified_evidence(shipper: Shipper, monkeypatch: Any) -> None:
    """The drill-down of an invoice line: as many calls as the tallies claim, and none from a file that was exchanged."""
    write(shipper.journal_dir, calls=4, segments=3)
    shipper.round()
    monkeypatch.setattr(
        selector, "settings", SimpleNamespace(TOLLGATE=SimpleNamespace(evidence_dir=shipper.evidence_dir))
    )
    tally = UsageTally.objects.first()
    assert tally is not None and tally.grant_id is not None
    query = selector.EvidenceQuery(tally.grant_id, tally.hour, tally.hour + timedelta(hours=2), outcomes=("succeeded",))
    events = list(selector.evidence_events(query))
    assert len(events) == selector.evidence_count(query) == 12
    assert len({event.id for event in events}) == 12 and {event.grant_id for event in events} == {tally.grant_id}
    assert list(selector.evidence_events(replace(query, outcomes=("client_error",)))) == []
    assert list(selector.evidence_events(replace(query, grant_id=uuid4()))) == []
    first, second, _ = UsageSegment.objects.order_by("sequence")
    (shipper.evidence_dir / first.evidence).write_bytes((shipper.evidence_dir / second.evidence).read_bytes())
    with pytest.raises(selector.EvidenceMissing):
        list(selector.evidence_events(query))
    with pytest.raises(ValueError, match="at most"):
        next(selector.evidence_events(replace(query, ends_at=tally.hour + timedelta(days=40))))
