"""Call: everything known about one request. Each field is written once, by the step named beside it.

Not here: decisions (steps/), sockets (http1.py, upstream.py), or the byte form of its usage event (journal.py).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gateway.core.http_head import RequestBlock
    from gateway.core.signatures.content import BodyCheck
    from gateway.dataplane.directory import Entry, GrantEntry
    from gateway.dataplane.exchange import Exchange
    from gateway.dataplane.http1 import ClientConnection
    from gateway.dataplane.leases import Bucket
    from gateway.dataplane.snapshot import Route


class Call:
    """One request on its way through the gateway.

    Written by http1: ``client`` (its connection), ``block`` (the checked header section, shared between calls),
    ``method`` (upper-case str), ``path`` (raw bytes before ``?``), ``query`` (raw bytes after ``?``, empty if none), ``peer``
    (client address as str), ``body_length`` (declared octets, -1 when chunked, 0 when none), ``body`` (bytes, only when it was
    held: a signed form on a route whose ``holds_form`` is set), ``received_at`` (Unix seconds, float), ``started``
    (time.monotonic()), ``request_id`` (16 bytes, UUIDv7), ``request_id_text`` (the same as upper-case UUID bytes).
    Written by match: ``route``, ``forward_path``. By authenticate: ``entry`` (the app, its organization and credential),
    ``body_check`` (what a streamed body must be: its pieces go through it before they are forwarded).
    By authorize: ``grant``. By limit and quota: ``taken`` (buckets whose unit this call holds),
    ``response_headers`` (whole lines, each with CRLF, that the answer carries).
    By upstream.py: ``waiting_since`` (time.monotonic(), when it began to wait for a connection).
    By forward: ``exchange``, ``upstream_head``, ``tries``, ``upstream_started``, ``upstream_ended`` (time.monotonic(); 0.0
    if never), ``status`` (answered status).
    By respond: ``outcome`` (empty until the answer is decided), ``request_bytes``, ``response_bytes``. By leases: ``units``,
    ``is_settled`` (what it took is spent or given back).
    """

    __slots__ = (
        "block",
        "body",
        "body_check",
        "body_length",
        "client",
        "entry",
        "exchange",
        "forward_path",
        "grant",
        "is_settled",
        "method",
        "outcome",
        "path",
        "peer",
        "query",
        "received_at",
        "request_bytes",
        "request_id",
        "request_id_text",
        "response_bytes",
        "response_headers",
        "route",
        "started",
        "status",
        "taken",
        "tries",
        "units",
        "upstream_ended",
        "upstream_head",
        "upstream_started",
        "waiting_since",
    )

    client: ClientConnection
    block: RequestBlock
    method: str
    path: bytes
    query: bytes
    peer: str
    body_length: int
    body: bytes
    body_check: BodyCheck | None
    received_at: float
    started: float
    request_id: bytes
    request_id_text: bytes
    route: Route | None
    forward_path: bytes
    entry: Entry | None
    grant: GrantEntry | None
    taken: list[Bucket] | None
    exchange: Exchange | None
    upstream_head: bytes
    tries: int
    upstream_started: float
    waiting_since: float
    upstream_ended: float
    status: int
    outcome: str
    request_bytes: int
    response_bytes: int
    units: int
    is_settled: bool
    response_headers: bytes

    def header(self, name: bytes) -> bytes | None:
        """The first value of the header ``name`` (lower case), or None."""
        return self.block.first.get(name)
