"""Call: everything known about one request. Each field is written once, by the step named beside it.

Not here: decisions (steps/), sockets (http1.py, upstream.py), or the byte form of its usage event (journal.py).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gateway.dataplane.directory import Entry, GrantEntry
    from gateway.dataplane.leases import Bucket
    from gateway.dataplane.snapshot import Route


class Call:
    """One request on its way through the gateway.

    Written by http1: ``method`` (upper-case str), ``target`` (raw bytes of the request target, forwarded untouched),
    ``path`` (raw bytes before ``?``), ``query`` (raw bytes after ``?``, empty if none), ``headers`` (list of
    (lower-case name bytes, value bytes) in wire order), ``names`` (list of the names as sent), ``peer`` (client address as
    str), ``body_length`` (declared octets, -1 when chunked, 0 when none), ``body`` (bytes, only when a step asked to hold
    it: routes whose ``holds_form`` is set, and a form content type), ``received_at`` (Unix seconds, float),
    ``started`` (loop.time()), ``request_id`` (16 bytes, UUIDv7).
    Written by match: ``route``. By authenticate: ``entry`` (the app, its organization and credential).
    By authorize: ``grant``. By limit and quota: ``taken`` (buckets whose unit this call holds).
    By forward: ``upstream_started``, ``upstream_ended`` (loop.time(); 0.0 if never), ``status`` (answered status).
    By respond: ``outcome``, ``request_bytes``, ``response_bytes``, ``units``.
    """

    __slots__ = (
        "body",
        "body_length",
        "entry",
        "extra",
        "grant",
        "headers",
        "method",
        "names",
        "outcome",
        "path",
        "peer",
        "query",
        "received_at",
        "request_bytes",
        "request_id",
        "response_bytes",
        "response_headers",
        "route",
        "started",
        "status",
        "taken",
        "target",
        "units",
        "upstream_ended",
        "upstream_started",
    )

    method: str
    target: bytes
    path: bytes
    query: bytes
    headers: list[tuple[bytes, bytes]]
    names: list[bytes]
    peer: str
    body_length: int
    body: bytes
    received_at: float
    started: float
    request_id: bytes
    route: Route | None
    entry: Entry | None
    grant: GrantEntry | None
    taken: list[Bucket] | None
    upstream_started: float
    upstream_ended: float
    status: int
    outcome: str
    request_bytes: int
    response_bytes: int
    units: int
    response_headers: list[tuple[bytes, bytes]] | None
    extra: dict[str, Any] | None

    def header(self, name: bytes) -> bytes | None:
        """The first value of the header ``name`` (lower case), or None."""
        for key, value in self.headers:
            if key == name:
                return value
        return None
