"""The byte form of usage events and of journal segment files; pure. Written by gateway.dataplane.journal, read by the
shipper, by recovery and by the drill-down from an invoice line to its calls. What a tally is: marketplace.contracts.tally.

A segment is a magic, one header frame, frames of records, and, once sealed, one seal frame that carries the SHA-256 of all
bytes before it. A frame is its payload's length (2 bytes), the CRC-32 of the payload (4 bytes), and the payload, whose
first byte is its kind.
A record is EVENT (a finished call), OPENED (an answer that began to stream) or CLOSED (the end of such an answer; it
carries the whole event). OPENED is written again at the head of each later segment while the answer still streams, so the
newest segment of a worker alone tells which answers were open when it died.
"""

import hashlib
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple
from uuid import UUID, uuid5

from marketplace.contracts.limits import QuotaWindow
from marketplace.contracts.usage import UsageEvent

MAGIC = b"TGSEG\x00\x01\n"
"""File kind and version 1. A reader refuses any other."""

HEADER, EVENT, OPENED, CLOSED, SEAL = range(5)
RECORD_KINDS = (EVENT, OPENED, CLOSED)
COUNTED_KINDS = (EVENT, CLOSED)

FRAME = struct.Struct(">HI")
RECORD = struct.Struct(">B16sQ32s42s16sHQQQQIBBq")
"""kind, id, finished_at_us, caller, target, outcome, status, request and response bytes, latency_us, upstream_us, units,
complete, code of the quota window, start of the quota window (Unix s). ``caller`` is grant and app; ``target`` is Api,
operation and stage: both are constant for a grant and for a route, so writers keep them ready."""

_HEADER = struct.Struct(">B16sQQ32s")
_SEAL = struct.Struct(">BQQB32s")
_NIL = bytes(16)
NODE_BYTES_MAX = 80
OUTCOME_BYTES_MAX = 16
STAGE_BYTES_MAX = 10
RECORD_FRAME_BYTES = FRAME.size + RECORD.size
SEAL_FRAME_BYTES = FRAME.size + _SEAL.size
NO_DIGEST = bytes(32)

WINDOW_CODES: dict[QuotaWindow | None, int] = {None: 0, "hour": 1, "day": 2, "month": 3, "period": 4}
WINDOW_NAMES: dict[int, QuotaWindow | None] = {code: name for name, code in WINDOW_CODES.items()}


class SegmentCorrupt(ValueError):
    """The bytes are not what a journal writes: wrong magic, failed checksum, impossible length, or a broken hash chain."""


class RawRecord(NamedTuple):
    """One record as packed: ``caller``, ``target`` and ``outcome`` stay bytes, so that adding up a million of them is cheap."""

    kind: int
    id: bytes
    finished_at_us: int
    caller: bytes
    target: bytes
    outcome: bytes
    status: int
    request_bytes: int
    response_bytes: int
    latency_us: int
    upstream_us: int
    units: int
    complete: int
    window_code: int
    window_start: int


@dataclass(frozen=True, slots=True)
class SegmentHeader:
    """Which segment this is. ``previous_sha256`` is the digest of the same boot's segment before it (zeros for the first)."""

    node: str
    boot: UUID
    sequence: int
    opened_at_us: int
    previous_sha256: bytes = NO_DIGEST

    @property
    def segment_id(self) -> UUID:
        """The same id for the same (boot, sequence), so that shipping a segment twice inserts nothing."""
        return uuid5(self.boot, str(self.sequence))


@dataclass(frozen=True, slots=True)
class SegmentSeal:
    """The end of a segment: how many records are in it, when it was sealed and by whom, and the digest of what is before."""

    records: int
    sealed_at_us: int
    is_recovered: bool
    sha256: bytes


def frame(payload: bytes) -> bytes:
    """Return the payload with its length and checksum in front."""
    return FRAME.pack(len(payload), zlib.crc32(payload)) + payload


def header_encode(header: SegmentHeader) -> bytes:
    """Return the first bytes of a segment file. A node name longer than NODE_BYTES_MAX is cut."""
    node = header.node.encode()[:NODE_BYTES_MAX]
    fixed = _HEADER.pack(HEADER, header.boot.bytes, header.sequence, header.opened_at_us, header.previous_sha256)
    return MAGIC + frame(fixed + node)


def seal_encode(seal: SegmentSeal) -> bytes:
    """Return the last frame of a sealed segment."""
    return frame(_SEAL.pack(SEAL, seal.records, seal.sealed_at_us, seal.is_recovered, seal.sha256))


def caller_pack(grant_id: bytes | None, app_id: bytes | None) -> bytes:
    """The part of a record that is the same for every call of a grant (or of an app without one)."""
    return (grant_id or _NIL) + (app_id or _NIL)


def target_pack(api_id: bytes | None, operation_id: bytes | None, stage: str) -> bytes:
    """The part of a record that is the same for every call of a route. Raises ValueError for a stage that does not fit."""
    name = stage.encode()
    if len(name) > STAGE_BYTES_MAX:
        raise ValueError(f"stage {stage!r} is longer than {STAGE_BYTES_MAX} bytes")
    return (api_id or _NIL) + (operation_id or _NIL) + name.ljust(STAGE_BYTES_MAX, b"\0")


def outcome_pack(outcome: str) -> bytes:
    """The outcome as a record carries it. Raises ValueError when it does not fit."""
    name = outcome.encode()
    if len(name) > OUTCOME_BYTES_MAX:
        raise ValueError(f"outcome {outcome!r} is longer than {OUTCOME_BYTES_MAX} bytes")
    return name


def record_encode(event: UsageEvent, *, kind: int, window: QuotaWindow | None = None, window_start: int = 0) -> bytes:
    """Return the frame of one record. ``window`` and ``window_start`` name the quota window whose units it used, if any.

    The journal's own fast path packs the same RECORD from prepared pieces.
    """
    payload = RECORD.pack(
        kind,
        event.id.bytes,
        event.finished_at_us,
        caller_pack(event.grant_id.bytes if event.grant_id else None, event.app_id.bytes),
        target_pack(
            event.api_id.bytes if event.api_id else None,
            event.operation_id.bytes if event.operation_id else None,
            event.stage,
        ),
        outcome_pack(event.outcome),
        event.status,
        event.request_bytes,
        event.response_bytes,
        event.latency_us,
        event.upstream_us,
        event.units,
        event.complete,
        WINDOW_CODES[window],
        window_start,
    )
    return frame(payload)


def raw_encode(raw: RawRecord) -> bytes:
    """Return the frame of a record that was read before, perhaps with fields replaced."""
    return frame(RECORD.pack(*raw))


def uuid_or_none(value: bytes) -> UUID | None:
    """The id in 16 bytes, or None for zeros."""
    return None if value == _NIL else UUID(bytes=value)


def event_build(raw: RawRecord, header: SegmentHeader) -> UsageEvent:
    """Return the UsageEvent of a record of the segment that ``header`` opens."""
    return UsageEvent(
        id=UUID(bytes=raw.id),
        finished_at_us=raw.finished_at_us,
        node=header.node,
        boot=header.boot,
        grant_id=uuid_or_none(raw.caller[:16]),
        app_id=UUID(bytes=raw.caller[16:]),
        api_id=uuid_or_none(raw.target[:16]),
        operation_id=uuid_or_none(raw.target[16:32]),
        stage=raw.target[32:].rstrip(b"\0").decode(),
        outcome=raw.outcome.rstrip(b"\0").decode(),
        status=raw.status,
        request_bytes=raw.request_bytes,
        response_bytes=raw.response_bytes,
        latency_us=raw.latency_us,
        upstream_us=raw.upstream_us,
        units=raw.units,
        complete=bool(raw.complete),
    )


class SegmentReader:
    """Reads one segment from memory (segments have a size limit far below memory; see the journal).

    Iterate ``records()`` once; afterwards ``valid_bytes`` says how far the bytes are good, ``fault`` why reading stopped
    before the end (None: it did not), ``seal`` the seal if there was one, and ``records_read`` how many records were read.
    Raises SegmentCorrupt from the constructor when even the header cannot be read.
    """

    def __init__(self, content: bytes) -> None:
        self.content = content
        self.seal: SegmentSeal | None = None
        self.fault: str | None = None
        self.records_read = 0
        if content[: len(MAGIC)] != MAGIC:
            raise SegmentCorrupt("not a journal segment of version 1")
        payload = self._frame_at(len(MAGIC))
        if isinstance(payload, str):
            raise SegmentCorrupt(f"header: {payload}")
        if payload[0] != HEADER or len(payload) < _HEADER.size:
            raise SegmentCorrupt("the first frame is not a header")
        _, boot, sequence, opened_at_us, previous = _HEADER.unpack_from(payload)
        node = payload[_HEADER.size :].decode(errors="replace")
        self.header = SegmentHeader(node, UUID(bytes=boot), sequence, opened_at_us, previous)
        self.valid_bytes = len(MAGIC) + FRAME.size + len(payload)

    def _frame_at(self, at: int) -> bytes | str:
        """The payload of the frame at an offset, or what is wrong with it."""
        content = self.content
        if len(content) - at < FRAME.size:
            return "the frame is cut off"
        length, checksum = FRAME.unpack_from(content, at)
        payload = content[at + FRAME.size : at + FRAME.size + length]
        if length == 0 or len(payload) != length:
            return "the frame is cut off"
        if zlib.crc32(payload) != checksum:
            return "the checksum of a frame is wrong"
        return payload

    def records(self) -> Iterator[RawRecord]:
        """Yield the records in order; stop at the seal, at the end, or before the first frame that is not whole."""
        at, size, unpack, make = self.valid_bytes, len(self.content), RECORD.unpack, RawRecord._make
        while at < size:
            payload = self._frame_at(at)
            if isinstance(payload, str):
                self.fault = payload
                return
            if len(payload) == RECORD.size and payload[0] in RECORD_KINDS:
                at += RECORD_FRAME_BYTES
                self.valid_bytes = at
                self.records_read += 1
                yield make(unpack(payload))
            else:
                self._seal_read(payload, at)
                return

    def _seal_read(self, payload: bytes, at: int) -> None:
        if len(payload) != _SEAL.size or payload[0] != SEAL:
            self.fault = "a frame is neither a record nor a seal"
            return
        _, records, sealed_at_us, is_recovered, digest = _SEAL.unpack(payload)
        self.seal = SegmentSeal(records, sealed_at_us, bool(is_recovered), digest)
        if records != self.records_read or digest != hashlib.sha256(self.content[:at]).digest():
            self.fault = "the seal does not match what is before it"
        elif at + SEAL_FRAME_BYTES != len(self.content):
            self.fault = "bytes follow the seal"

    def events(self) -> Iterator[UsageEvent]:
        """Yield the finished calls of this segment (OPENED records are not calls)."""
        for raw in self.records():
            if raw.kind in COUNTED_KINDS:
                yield event_build(raw, self.header)


def sealed_read(content: bytes) -> tuple[SegmentReader, list[RawRecord]]:
    """Read a sealed segment whole. Raises SegmentCorrupt when anything in it is not as its seal says."""
    reader = SegmentReader(content)
    records = list(reader.records())
    if reader.fault is not None:
        raise SegmentCorrupt(f"segment {reader.header.boot} {reader.header.sequence}: {reader.fault}")
    if reader.seal is None:
        raise SegmentCorrupt(f"segment {reader.header.boot} {reader.header.sequence}: it has no seal")
    return reader, records
