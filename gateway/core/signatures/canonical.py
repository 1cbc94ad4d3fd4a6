"""The string to sign of a request, byte for byte as Alibaba Cloud API Gateway clients make it.

Everything is bytes: clients sign the UTF-8 of decoded text, which is what percent-decoding a request target gives.
Comparing digests is verify.py. What the protocol does not cover stays uncovered: of a repeated parameter only the first
value is signed, and of a parameter that is both in query and form only the form's.
"""

from collections.abc import Iterator, Mapping
from functools import lru_cache
from urllib.parse import unquote_to_bytes

SIGNED_HEADERS_BYTES_MAX = 2_048
"""Longest X-Ca-Signature-Headers that is read, in bytes."""
SIGNED_HEADERS_MAX = 64
"""Most names in X-Ca-Signature-Headers."""
PARAMETERS_MAX = 1_000
"""Most query parameters, and most form fields, that a signed request may have: sorting them holds up the worker."""
HEADER_LISTS_CACHED = 512
"""Parsed header lists that are kept: a client sends the same list with every request."""

NEVER_SIGNED = frozenset(
    {b"x-ca-signature", b"x-ca-signature-headers", b"accept", b"content-md5", b"content-type", b"date"}
)
_TOKEN = frozenset(b"!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
_FIRST_BYTE_BEYOND_BMP = 0xF0
"""UTF-8 of a character above U+FFFF starts here; only those sort differently in UTF-16 (Java, JavaScript) and UTF-8."""

Pairs = list[tuple[bytes, bytes]]


class SignatureFault(ValueError):
    """The request cannot have a string to sign; the message says why, for the caller of the API."""


class SignedHeadersInvalid(SignatureFault):
    """X-Ca-Signature-Headers is too long, names too many headers, or holds something that is no header name."""


class ParametersTooMany(SignatureFault):
    """More than PARAMETERS_MAX query parameters or form fields."""


class SignedHeaders:
    """One parsed X-Ca-Signature-Headers: ``names`` in lower case, in signed order, and the template of the string."""

    __slots__ = ("names", "template")

    def __init__(self, written: list[bytes]) -> None:
        self.names = tuple(name.lower() for name in written)
        block = b"".join(name.replace(b"%", b"%%") + b":%b\n" for name in written)
        self.template = b"%b\n%b\n%b\n%b\n%b\n" + block


@lru_cache(maxsize=HEADER_LISTS_CACHED)
def signed_headers_parse(value: bytes) -> SignedHeaders:
    """Read X-Ca-Signature-Headers: names keep their letter case, are sorted by code point, and six are dropped.

    Wire order does not matter: the Java core SDK sends hash-map order but signs sorted. Raises SignedHeadersInvalid.
    """
    if len(value) > SIGNED_HEADERS_BYTES_MAX:
        raise SignedHeadersInvalid(f"longer than {SIGNED_HEADERS_BYTES_MAX} bytes")
    written = [name for name in (piece.strip() for piece in value.split(b",")) if name]
    if len(written) > SIGNED_HEADERS_MAX:
        raise SignedHeadersInvalid(f"names more than {SIGNED_HEADERS_MAX} headers")
    if not all(_TOKEN.issuperset(name) for name in written):
        raise SignedHeadersInvalid("names something that cannot be a header")
    return SignedHeaders(sorted(name for name in written if name.lower() not in NEVER_SIGNED))


def head_make(signed: SignedHeaders, method: bytes, fields: Mapping[bytes, bytes]) -> bytes:
    """Parts 1 to 6 of the string to sign, with their line feeds; ``fields`` maps lower-case names to values.

    A header that is missing counts as empty. Header bytes are UTF-8; what is not valid UTF-8 is taken as ISO-8859-1.
    """
    get = fields.get
    head = signed.template % (
        method,
        get(b"accept", b""),
        get(b"content-md5", b""),
        get(b"content-type", b""),
        get(b"date", b""),
        *[get(name, b"") for name in signed.names],
    )
    if head.isascii():
        return head
    texts = {name: _utf8(value) for name, value in fields.items()}
    return head if texts == fields else head_make(signed, method, texts)


def _utf8(value: bytes) -> bytes:
    try:
        value.decode()
    except UnicodeDecodeError:
        return value.decode("latin-1").encode()
    return value


def pairs_decode(raw: bytes) -> Pairs:
    """Split a query or a form body into decoded (key, value); ``+`` is a space. Raises ParametersTooMany."""
    if not raw:
        return []
    if raw.count(b"&") >= PARAMETERS_MAX:
        raise ParametersTooMany(f"a signed request may have {PARAMETERS_MAX} parameters in its query, and in its form")
    if b"+" in raw:
        raw = raw.replace(b"+", b" ")
    split = [piece.partition(b"=") for piece in raw.split(b"&") if piece]
    if b"%" in raw:
        return [(unquote_to_bytes(key), unquote_to_bytes(value)) for key, _, value in split]
    return [(key, value) for key, _, value in split]


def path_decode(path: bytes) -> bytes:
    """The path as it is signed: percent-decoded, ``+`` kept."""
    return unquote_to_bytes(path) if b"%" in path else path


def resource_make(path: bytes, query: Pairs, form: Pairs) -> bytes:
    """Part 7 by the plain rule: form wins over query, and the first value counts."""
    if not query and not form:
        return path
    first = dict(reversed(query))
    if form:
        first.update(reversed(form))
    return path + b"?" + b"&".join([key + b"=" + first[key] if first[key] else key for key in sorted(first)])


def resource_variants(path: bytes, query: Pairs, form: Pairs) -> Iterator[bytes]:
    """What else clients sign when a key occurs more than once, in the order of docs/authentication.md.

    Yields nothing when there is nothing to doubt. Keys with characters above U+FFFF are also tried in UTF-16 order,
    in which Java and JavaScript sort.
    """
    keys = [key for key, _ in query] + [key for key, _ in form]
    beyond_bmp = any(key and max(key) >= _FIRST_BYTE_BEYOND_BMP for key in keys)
    if len(set(keys)) == len(keys) and not beyond_bmp:
        return
    for utf16 in (False, True) if beyond_bmp else (False,):
        for winner, loser in ((form, query), (query, form)):
            for joined in (False, True):
                yield _resource_variant(path, winner, loser, joined=joined, utf16=utf16)


def _resource_variant(path: bytes, winner: Pairs, loser: Pairs, *, joined: bool, utf16: bool) -> bytes:
    values = _grouped(loser) | _grouped(winner)
    shown = {key: b",".join(all_of_key) if joined else all_of_key[0] for key, all_of_key in values.items()}
    order = sorted(shown, key=_utf16_order) if utf16 else sorted(shown)
    return path + b"?" + b"&".join([key + b"=" + shown[key] if shown[key] else key for key in order])


def _grouped(pairs: Pairs) -> dict[bytes, list[bytes]]:
    groups: dict[bytes, list[bytes]] = {}
    for key, value in pairs:
        groups.setdefault(key, []).append(value)
    return groups


def _utf16_order(key: bytes) -> bytes:
    return key.decode("utf-8", "surrogateescape").encode("utf-16-be", "surrogatepass")
