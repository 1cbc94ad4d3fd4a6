"""Headers: which fields a gateway keeps, drops and sets. Pure; the byte parsing is http_head.py's."""

from __future__ import annotations

FORWARD, DROP, HOST, LENGTH, CODING, CONNECTION, EXPECT, UPGRADE, AUTHORIZATION, STAGE, SIGNATURE, FORM = range(12)
"""What a request header line means to the gateway. FORWARD goes upstream as it came; DROP never does."""

_HOP_BY_HOP = frozenset(
    (b"keep-alive", b"proxy-connection", b"proxy-authenticate", b"proxy-authorization", b"te", b"trailer")
)

_STRANGERS_WORD = frozenset(
    (
        b"forwarded",
        b"x-forwarded",
        b"x-forwarded-by",
        b"x-forwarded-for",
        b"x-forwarded-host",
        b"x-forwarded-port",
        b"x-forwarded-prefix",
        b"x-forwarded-proto",
        b"x-forwarded-scheme",
        b"x-forwarded-server",
        b"x-forwarded-ssl",
        b"x-original-url",
        b"x-rewrite-url",
        b"x-real-ip",
        b"x-client-ip",
        b"x-ca-request-id",
        b"x-ca-proxy-signature",
        b"x-ca-proxy-signature-headers",
        b"x-ca-proxy-signature-secret-key",
    )
)
"""Claims about the way so far: set by us, never believed from a client."""

APP_CODE_PARAMETERS = frozenset((b"AppCode", b"appcode", b"appCode", b"APPCODE", b"APPCode"))
"""Not headers: the spellings of the query parameter that carries an AppCode. A credential too, so it never goes upstream."""

_CREDENTIALS = frozenset(
    (
        b"x-ca-key",
        b"x-ca-nonce",
        b"x-ca-signature",
        b"x-ca-signature-headers",
        b"x-ca-signature-method",
        b"x-ca-timestamp",
    )
)

_REQUEST_ROLES = {
    b"host": HOST,
    b"content-length": LENGTH,
    b"transfer-encoding": CODING,
    b"connection": CONNECTION,
    b"expect": EXPECT,
    b"upgrade": UPGRADE,
    b"authorization": AUTHORIZATION,
    b"x-ca-stage": STAGE,
    b"x-ca-signature": SIGNATURE,
    b"content-type": FORM,
}

_RESPONSE_ROLES = {
    b"content-length": LENGTH,
    b"transfer-encoding": CODING,
    b"connection": CONNECTION,
    b"upgrade": DROP,
    b"x-ca-request-id": DROP,
    b"x-ca-error-code": DROP,
    b"x-ca-error-message": DROP,
}

_FRAMING = frozenset((b"host", b"content-length", b"transfer-encoding", b"connection", b"expect", b"upgrade"))


def request_role(name: bytes) -> int:
    """What to do with a request header of this lower-case name.

    Underscores count as hyphens for what is dropped: many upstreams (WSGI, CGI) cannot tell the two apart.
    """
    role = _REQUEST_ROLES.get(name)
    if role is not None:
        return role
    alike = name.replace(b"_", b"-")
    if alike in _HOP_BY_HOP or alike in _STRANGERS_WORD or alike in _CREDENTIALS or alike in _FRAMING:
        return DROP
    return FORWARD


def response_role(name: bytes) -> int:
    """What to do with a response header of this lower-case name. X-Ca-Error-* mean "the gateway answered", so are ours."""
    if name in _HOP_BY_HOP:
        return DROP
    return _RESPONSE_ROLES.get(name, FORWARD)


def tokens(value: bytes) -> list[bytes]:
    """The lower-case members of a comma-separated header value, empty ones left out."""
    return [token for part in value.lower().split(b",") if (token := part.strip(b" \t"))]
