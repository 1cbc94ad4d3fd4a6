"""Journal records: what is written down about one call, in the byte form of marketplace.contracts.segment. Who writes them: journal.py."""

from __future__ import annotations

import struct
import time
import zlib
from typing import TYPE_CHECKING, Any

from gateway.dataplane.usage import outcome_of, units_of
from marketplace.contracts import segment
from marketplace.contracts.segment import EVENT, FRAME, OPENED, RECORD

if TYPE_CHECKING:
    from gateway.dataplane.call import Call

_FRAME_PACK, _RECORD_PACK, _RECORD_SIZE = FRAME.pack, RECORD.pack, RECORD.size
_RECORD_HEAD = _RECORD_SIZE.to_bytes(2, "big")
_CHECKSUM_PACK = struct.Struct(">I").pack
_OUTCOMES: dict[str, bytes] = {}
_NO_CALLER = segment.caller_pack(None, None)
_NO_TARGET = segment.target_pack(None, None, "")
OUTCOMES_CACHED_MAX = 256


def event_encode(call: Call) -> bytes:
    """Return the record of a finished call. Its outcome is known and its leases are settled by now.

    The ordinary call, of a known grant on a known route, is packed right here: this runs once a call.
    """
    grant, route, outcome = call.grant, call.route, _OUTCOMES.get(call.outcome)
    if grant is None or route is None or outcome is None or not route.journal_prefix:
        return record_encode(EVENT, call, call.outcome, call.response_bytes, 1)
    window_code = window_start = 0
    if call.taken:
        last = call.taken[-1]
        window_code, window_start = last.window_code, last.window_start
    payload = _RECORD_PACK(
        EVENT,
        call.request_id,
        int(time.time() * 1e6),
        grant.journal_prefix,
        route.journal_prefix,
        outcome,
        call.status,
        call.request_bytes,
        call.response_bytes,
        int((time.monotonic() - call.started) * 1e6),
        int((call.upstream_ended - call.upstream_started) * 1e6) if call.upstream_ended else 0,
        call.units,
        1,
        window_code,
        window_start,
    )
    return _RECORD_HEAD + _CHECKSUM_PACK(zlib.crc32(payload)) + payload


def opened_encode(call: Call) -> bytes:
    """The record of an answer that streams: what it is so far, so that it counts as that if its end is never recorded."""
    return record_encode(OPENED, call, outcome_of(call.status), call.client.sent, 0)


def record_encode(kind: int, call: Call, outcome_name: str, response_bytes: int, complete: int) -> bytes:
    """A record of any kind and of any call, also one of an unknown grant or route. ``complete``: 0 when the answer was cut."""
    route, grant, taken = call.route, call.grant, call.taken
    holder = grant if grant is not None else call.entry
    caller = holder.journal_prefix if holder is not None else _NO_CALLER
    target = _NO_TARGET if route is None else (route.journal_prefix or _route_prefix(route))
    outcome = _OUTCOMES.get(outcome_name) or _outcome(outcome_name)
    units = units_of(outcome_name, taken)
    window_code = window_start = 0
    if taken:
        window_code, window_start = taken[-1].window_code, taken[-1].window_start
    upstream_s = call.upstream_ended - call.upstream_started
    latency_s = time.monotonic() - call.started
    payload = _RECORD_PACK(
        kind,
        call.request_id,
        int(time.time() * 1e6),
        caller,
        target,
        outcome,
        call.status,
        call.request_bytes,
        response_bytes,
        int(latency_s * 1e6) if latency_s > 0 else 0,
        int(upstream_s * 1e6) if upstream_s > 0 else 0,
        units,
        complete,
        window_code,
        window_start,
    )
    return _FRAME_PACK(_RECORD_SIZE, zlib.crc32(payload)) + payload


def _route_prefix(route: Any) -> bytes:
    prefix = segment.target_pack(route.api_id_bytes, route.operation_id_bytes, route.stage)
    route.journal_prefix = prefix
    return prefix


def _outcome(outcome: str) -> bytes:
    packed = segment.outcome_pack(outcome)
    if len(_OUTCOMES) < OUTCOMES_CACHED_MAX:
        _OUTCOMES[outcome] = packed
    return packed
