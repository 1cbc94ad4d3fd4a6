"""Rejections: every refusal that the gateway makes in one table: code, status, title and public text; and its one rendering.

Codes and texts follow docs/protocol.md, because market clients test for them. Codes that the protocol
lacks keep its shape: class letter, HTTP status, two letters. Steps raise ``Rejection``; respond sends what ``render`` makes.
"""

import json
import re
from typing import NamedTuple

MESSAGE_BYTES_MAX = 4096
"""Longest X-Ca-Error-Message, in octets: a string-to-sign can be long, and clients refuse heads above 8 KiB."""

_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f]+")


class Kind(NamedTuple):
    """One row of the table. Where ``text`` holds ``{detail}`` the protocol puts the detail into the message itself.

    Elsewhere clients compare the whole message, so that it stays as it is and the detail shows in the problem body only.
    """

    code: str
    status: int
    title: str
    text: str


REASONS = {
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    408: "Request Timeout",
    411: "Length Required",
    413: "Content Too Large",
    414: "URI Too Long",
    417: "Expectation Failed",
    429: "Too Many Requests",
    431: "Request Header Fields Too Large",
    499: "Client Closed Request",
    500: "Internal Server Error",
    501: "Not Implemented",
    502: "Bad Gateway",
    503: "Service Unavailable",
    504: "Gateway Timeout",
    505: "HTTP Version Not Supported",
    508: "Loop Detected",
}

_ROWS = (
    # What the client sent cannot be read as one HTTP request.
    Kind("I400HD", 400, "Invalid header", "Invalid Header {detail}"),
    Kind("I400MH", 400, "Header missing", "Header {detail} is Required"),
    Kind("I400BD", 400, "Invalid body", "Invalid Body: {detail}"),
    Kind("I400PA", 400, "Invalid path", "Invalid Request Path {detail}"),
    Kind("I400RU", 400, "Invalid request line", "Invalid Request Uri {detail}"),
    Kind("I405UM", 405, "Unsupported method", "Unsupported Method {detail}"),
    Kind("I408TO", 408, "Request timeout", "Request Timeout"),
    Kind("I413RL", 413, "Body too large", "Request body too Large"),
    # Clients know the code I413UL; HTTP says 414 for it (RFC 9110 section 15.5.15).
    Kind("I413UL", 414, "URL too large", "Request URL too Large"),
    Kind("I417EX", 417, "Unsupported expectation", "Unsupported Expect {detail}"),
    Kind("I431HL", 431, "Headers too large", "Request headers too Large {detail}"),
    Kind("I501UM", 501, "Unknown method", "Unsupported Method {detail}"),
    Kind("I501TE", 501, "Unsupported transfer coding", "Unsupported Transfer-Encoding {detail}"),
    Kind("I501UP", 501, "Upgrade not supported", "Unsupported Upgrade {detail}"),
    Kind("I505HV", 505, "Unsupported HTTP version", "Unsupported HTTP version {detail}"),
    Kind("I508LD", 508, "Loop detected", "Loop Detected"),
    Kind("I499CC", 499, "Client closed request", "Client closed the connection before the answer"),
    # What was asked for does not exist.
    Kind("I404NF", 404, "API not found", "API not found {detail}"),
    Kind("I400SG", 400, "Invalid stage", "Invalid Stage {detail}"),
    # Who asks.
    Kind("A400AC", 400, "Invalid AppCode", "Invalid AppCode {detail}"),
    Kind("A400IK", 400, "Invalid AppKey", "Invalid AppKey"),
    Kind("A400MA", 400, "Credential missing", "Need authorization, {detail}"),
    Kind("A403IS", 403, "Invalid signature", "Invalid Signature, Server StringToSign:{detail}"),
    Kind("A403EP", 403, "Authorization expired", "App authorization expired"),
    Kind("I403AA", 403, "Not authorized for this API", "Unauthorized"),
    Kind("I400I5", 400, "Invalid Content-MD5", "Invalid Content-MD5 {detail}"),
    Kind("I400NC", 400, "Nonce missing", "X-Ca-Nonce is required"),
    Kind("S403NU", 403, "Nonce used", "Nonce Used"),
    Kind("S403TE", 403, "Timestamp expired", "X-Ca-Timestamp is expired"),
    # How much.
    Kind("T429PA", 429, "Rate limit of the API", "Throttled by API Flow Control"),
    Kind("T429US", 429, "Rate limit of the organization", "Throttled by USER Flow Control"),
    Kind("T429AP", 429, "Rate limit of the app", "Throttled by APP Flow Control"),
    Kind("T429MR", 429, "Too many requests", "Too Many Requests, throttle by {detail}"),
    Kind("B403MQ", 403, "Quota exhausted", "Api Market Subscription quota exhausted"),
    # The gateway itself.
    Kind("X500ER", 500, "Internal error", "Service Internal Error"),
    Kind("X503BZ", 503, "Service busy", "Service Busy"),
    # The provider's server.
    Kind("D504RE", 504, "Upstream name not resolved", "Backend domain {detail} resolve failed"),
    Kind("D504IL", 504, "Upstream address not allowed", "Backend domain {detail} resolves to illegal address"),
    Kind("D504CO", 504, "Upstream connect failed", "Backend service connect failed {detail}"),
    Kind("D504CS", 504, "Upstream TLS failed", "Backend service SSL connect failed {detail}"),
    Kind("D504TO", 504, "Upstream timeout", "Backend service request timeout"),
    Kind("D503BB", 503, "Upstream busy", "Backend circuit breaker busy"),
    Kind("D503CB", 503, "Upstream circuit open", "Backend circuit breaker open, {detail}"),
    Kind("N502RE", 502, "Bad answer from upstream", "response transport error {detail}"),
)

REJECTIONS: dict[str, Kind] = {row.code: row for row in _ROWS}


class Rejection(Exception):
    """A refusal with a stable ``code`` of REJECTIONS.

    ``detail`` fills the public text (never a secret: the caller reads it), ``headers`` are added to the answer
    (name, value), such as ``Retry-After``. Raises KeyError when the code is not in the table.
    """

    def __init__(self, code: str, detail: str = "", *, headers: tuple[tuple[str, str], ...] = ()) -> None:
        super().__init__(code, detail)
        self.kind = REJECTIONS[code]
        self.code = code
        self.detail = detail
        self.headers = headers

    @property
    def status(self) -> int:
        """The HTTP status of the answer."""
        return self.kind.status

    @property
    def message(self) -> str:
        """The public text on one line, as X-Ca-Error-Message carries it."""
        if self.detail:
            return self.kind.text.replace("{detail}", _CONTROLS.sub(" ", self.detail))
        return " ".join(self.kind.text.replace("{detail}", "").split()).rstrip(" :,")

    @property
    def explanation(self) -> str:
        """The message with its detail, whether or not the message shows it; for the problem body."""
        if not self.detail or "{detail}" in self.kind.text:
            return self.message
        return f"{self.message}: {self.detail}"


def render(rejection: Rejection, *, request_id: str, help_url: str) -> tuple[bytes, bytes]:
    """Return (header lines, body) of the answer: an RFC 9457 problem and the protocol's X-Ca headers.

    The header lines end with CRLF each and hold neither the status line nor Connection. ``request_id`` is the upper-case
    UUID; ``help_url`` is the public address that serves ``/errors/<code>``.
    """
    kind = rejection.kind
    problem = {
        "type": f"{help_url}/errors/{kind.code}",
        "title": kind.title,
        "status": kind.status,
        "detail": rejection.explanation,
        "code": kind.code,
        "request_id": request_id,
    }
    body = json.dumps(problem, ensure_ascii=False).encode("utf-8", "replace")
    extra = "".join(f"{name}: {value}\r\n" for name, value in rejection.headers)
    shown = rejection.message.encode("utf-8", "replace")[:MESSAGE_BYTES_MAX].decode("utf-8", "ignore").encode()
    head = (
        f"Content-Type: application/problem+json\r\nContent-Length: {len(body)}\r\n"
        f"X-Ca-Error-Code: {kind.code}\r\nX-Ca-Request-Id: {request_id}\r\n{extra}X-Ca-Error-Message: "
    ).encode("latin-1", "replace")
    return b"".join((head, shown, b"\r\n")), body


def status_line(status: int) -> bytes:
    """The HTTP/1.1 status line of a refusal, with CRLF."""
    return b"HTTP/1.1 %d %s\r\n" % (status, REASONS.get(status, "Error").encode())
