"""The journal of one worker: an event is in the file before its answer leaves, and a disk that refuses stops the answers."""

import asyncio
import os
import subprocess
import sys
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from gateway.dataplane import journal as journal_module
from gateway.dataplane import recovery
from gateway.dataplane.journal import OPEN_SUFFIX, SEALED_SUFFIX, Journal, segment_path
from gateway.dataplane.journal_records import event_encode
from marketplace.contracts.segment import CLOSED, SegmentReader, event_build, sealed_read
from tests.gateway.state.parts import APP, OPERATION, call_make, disk_full
from tests.servers import ROOT
from tests.waiting import until


def journal_make(folder: Path, *, seal_s: float = 60.0) -> Journal:
    journal = Journal(folder, node="n", boot=uuid4(), seal_s=seal_s)
    journal.start()
    return journal


def ids_in(path: Path) -> list[bytes]:
    return [raw.id for raw in SegmentReader(path.read_bytes()).records()]


async def test_an_answer_leaves_only_when_its_event_is_in_the_file(tmp_path: Path) -> None:
    journal = journal_make(tmp_path)
    seen: list[bool] = []
    for _ in range(5):
        call = call_make()

        def answer(payload: bytes, call_id: bytes = call.request_id) -> None:
            seen.append(call_id in ids_in(segment_path(journal.folder, 0, OPEN_SUFFIX)))

        journal.commit(event_encode(call), answer, b"", lambda: None)
    assert seen == []
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert seen == [True] * 5 and journal.groups == 1  # one write for all calls of a turn
    journal.close()


async def test_an_event_says_what_the_call_was(tmp_path: Path) -> None:
    journal = journal_make(tmp_path)
    call = call_make(outcome="client_error", status=404)
    call.units = 1
    journal.commit(event_encode(call), lambda payload: None, b"", lambda: None)
    journal.close()
    reader, (raw,) = sealed_read(segment_path(journal.folder, 0, SEALED_SUFFIX).read_bytes())
    event = event_build(raw, reader.header)
    assert (event.id.bytes, event.app_id, event.operation_id) == (call.request_id, APP, OPERATION)
    assert (event.outcome, event.status, event.units, event.stage) == ("client_error", 404, 1, "release")
    assert (event.request_bytes, event.response_bytes, event.grant_id) == (10, 20, UUID(int=99))


async def test_when_the_disk_refuses_no_answer_goes_out_and_nothing_half_written_stays(tmp_path: Path) -> None:
    journal = journal_make(tmp_path)
    written: list[bytes] = []
    journal.commit(event_encode(call_make()), written.append, b"one", lambda: None)
    journal.flush()
    path = segment_path(journal.folder, 0, OPEN_SUFFIX)
    good = path.stat().st_size
    failed: list[str] = []
    with disk_full(good + 50):
        journal.commit(event_encode(call_make()), written.append, b"two", lambda: failed.append("two"))
        journal.commit(event_encode(call_make()), written.append, b"three", lambda: failed.append("three"))
        journal.flush()
        assert journal.is_failing and journal.failures == 2 and path.stat().st_size == good
        journal.seal()  # cannot be sealed either, and stays whole
        assert path.exists() and path.stat().st_size == good
    assert written == [b"one"] and failed == ["two", "three"]
    journal.commit(event_encode(call_make()), written.append, b"four", lambda: None)
    journal.flush()
    assert not journal.is_failing and written[-1] == b"four"
    journal.close()
    assert len(sealed_read(segment_path(journal.folder, 0, SEALED_SUFFIX).read_bytes())[1]) == 2


async def test_the_end_of_a_stream_that_the_disk_refused_is_recorded_when_it_accepts_again(tmp_path: Path) -> None:
    journal = journal_make(tmp_path)
    call, cut = call_make(), []
    journal.opened(call, lambda payload: None, b"", lambda: None)
    journal.flush()
    with disk_full(segment_path(journal.folder, 0, OPEN_SUFFIX).stat().st_size):
        journal.closed(call, lambda payload: None, b"", lambda: cut.append(True))
        journal.flush()
    assert cut == [True]
    journal.close()
    reader = SegmentReader(segment_path(journal.folder, 0, SEALED_SUFFIX).read_bytes())
    assert [event.id.bytes for event in reader.events()] == [call.request_id]


async def test_a_segment_is_not_sealed_before_the_ends_of_streams_that_it_owes_are_in_it(tmp_path: Path) -> None:
    """They are charged in this segment: in a later one they would be counted twice after a kill."""
    journal = journal_make(tmp_path)
    call = call_make()
    journal.opened(call, lambda payload: None, b"", lambda: None)
    journal.flush()
    path = segment_path(journal.folder, 0, OPEN_SUFFIX)
    with disk_full(path.stat().st_size):
        journal.closed(call, lambda payload: None, b"", lambda: None)
        journal.seal()
        assert journal.sequence == 0 and path.exists()
    journal.seal()
    assert journal.sequence == 1
    _, records = sealed_read(path.with_suffix(SEALED_SUFFIX).read_bytes())
    assert (records[-1].kind, records[-1].id) == (CLOSED, call.request_id)
    journal.close()


async def test_an_answer_that_begins_and_ends_in_a_refused_turn_is_never_billed(tmp_path: Path) -> None:
    journal = journal_make(tmp_path)
    call, told = call_make(), list[str]()
    with disk_full(0):
        journal.opened(call, lambda payload: None, b"", lambda: told.append("opened"))
        journal.closed(call, lambda payload: None, b"", lambda: told.append("closed"))
        journal.flush()
    assert told == ["opened"]
    journal.commit(event_encode(call_make()), lambda payload: None, b"", lambda: None)
    journal.close()
    assert call.request_id not in ids_in(segment_path(journal.folder, 0, SEALED_SUFFIX))


async def test_a_torn_end_that_could_not_be_cut_is_cut_before_the_segment_is_sealed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = journal_make(tmp_path)
    journal.commit(event_encode(call_make()), lambda payload: None, b"", lambda: None)
    journal.flush()
    path = segment_path(journal.folder, 0, OPEN_SUFFIX)
    with monkeypatch.context() as patch, disk_full(path.stat().st_size + 40):
        patch.setattr(os, "ftruncate", refuse)
        journal.commit(event_encode(call_make()), lambda payload: None, b"", lambda: None)
        journal.flush()
    with monkeypatch.context() as patch:
        patch.setattr(os, "ftruncate", refuse)
        journal.seal()
        assert journal.sequence == 0 and path.exists()
    journal.seal()
    assert len(sealed_read(path.with_suffix(SEALED_SUFFIX).read_bytes())[1]) == 1
    journal.close()


async def test_a_segment_that_cannot_be_renamed_is_complete_and_renamed_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = journal_make(tmp_path, seal_s=0.02)
    with monkeypatch.context() as patch:
        patch.setattr(os, "rename", refuse)
        for number in range(2):
            journal.commit(event_encode(call_make()), lambda payload: None, b"", lambda: None)
            await until(lambda number=number: journal.sequence == number + 1)  # type: ignore[misc]
        assert journal._fd is None  # what comes next must not go into somebody else's descriptor
        assert [path.name for path in sorted(journal.folder.glob("0*"))] == [f"{number:012d}.open" for number in (0, 1)]
    await until(lambda: len(recovery.segments_list(journal.folder, SEALED_SUFFIX)) == 2)
    for path in recovery.segments_list(journal.folder, SEALED_SUFFIX):
        assert len(sealed_read(path.read_bytes())[1]) == 1
    journal.close()


def refuse(*args: object) -> None:
    raise OSError(5, "Input/output error")


async def test_an_idle_worker_makes_no_segments(tmp_path: Path) -> None:
    journal = journal_make(tmp_path, seal_s=0.05)
    await asyncio.sleep(0.2)
    assert not list(journal.folder.glob("[0-9]*"))
    journal.commit(event_encode(call_make()), lambda payload: None, b"", lambda: None)
    await asyncio.sleep(0.4)
    assert [path.name for path in journal.folder.glob("[0-9]*")] == ["000000000000.sealed"]
    journal.close()


async def test_a_segment_is_sealed_at_its_size_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal_module, "SEGMENT_BYTES_MAX", 1_000)
    journal = journal_make(tmp_path)
    for _ in range(20):
        journal.commit(event_encode(call_make()), lambda payload: None, b"", lambda: None)
        journal.flush()
    journal.close()
    sealed = recovery.segments_list(journal.folder, SEALED_SUFFIX)
    assert len(sealed) > 2 and sum(len(ids_in(path)) for path in sealed) == 20


CHILD = """
import asyncio, os, signal, sys
from pathlib import Path
from uuid import uuid4
from gateway.dataplane.journal import Journal
from gateway.dataplane.journal_records import event_encode
from tests.gateway.state.parts import call_make

async def main():
    journal = Journal(Path(sys.argv[1]), node="n", boot=uuid4(), seal_s=0.02)
    journal.start()
    while True:
        for _ in range(7):
            call = call_make()
            journal.commit(event_encode(call), lambda payload: os.write(1, payload), call.request_id.hex().encode() + b"\\n")
        await asyncio.sleep(0.001)

asyncio.run(main())
"""


def test_no_answered_call_is_lost_when_its_worker_is_killed_where_peers_keep_events_in_memory(
    tmp_path: Path,
) -> None:
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD, str(tmp_path)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
    )
    assert child.stdout is not None
    answered = [child.stdout.readline() for _ in range(300)]
    child.kill()
    answered += child.stdout.read().splitlines(keepends=True)
    child.stdout.close()
    child.wait()
    (folder,) = recovery.boot_folders(tmp_path)
    with recovery.dead_locked(folder) as is_dead:
        assert is_dead
        recovery.segments_recover(folder)
    recorded = [raw.hex() for path in recovery.segments_list(folder, SEALED_SUFFIX) for raw in ids_in(path)]
    assert len(recorded) == len(set(recorded)) > 300
    assert {line.strip().decode() for line in answered if line.endswith(b"\n")} <= set(recorded)
