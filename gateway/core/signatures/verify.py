"""Is this request signed with that secret? Digests, the comparison, and the text of a mismatch.

Building the string is canonical.py. Nothing here knows apps, time or replay.
"""

import hashlib
from binascii import b2a_base64
from collections.abc import Mapping
from hmac import compare_digest
from typing import Final

from gateway.core.signatures.canonical import (
    Pairs,
    head_make,
    pairs_decode,
    path_decode,
    resource_make,
    resource_variants,
    signed_headers_parse,
)

METHOD_DEFAULT: Final = b"HmacSHA256"
METHODS: Final = {b"HmacSHA256": "sha256", b"HmacSHA1": "sha1"}
"""X-Ca-Signature-Method values and the digest behind each."""
MISMATCH_BYTES_MAX: Final = 3_072
"""Longest server string that a mismatch shows, in bytes; the rest is cut and marked with an ellipsis."""
VARIANTS_BYTES_MAX: Final = 65_536
"""Longest query and form together, in bytes, for which variants are tried: each costs as much again as the plain rule."""

_BLOCK: Final = 64
"""Block size of SHA-1 and SHA-256 in bytes (RFC 2104)."""
_INNER: Final = bytes(byte ^ 0x36 for byte in range(256))
_OUTER: Final = bytes(byte ^ 0x5C for byte in range(256))


class SigningKey:
    """An AppSecret prepared for HMAC with one digest: both key blocks are hashed once, not on every request.

    Equal to ``hmac.digest``, three times as fast; a property test holds the two together.
    """

    __slots__ = ("_inner", "_outer")

    def __init__(self, secret: bytes, method: bytes = METHOD_DEFAULT) -> None:
        """``method`` is a key of METHODS; raises KeyError for any other."""
        digest = METHODS[method]
        block = (hashlib.new(digest, secret).digest() if len(secret) > _BLOCK else secret).ljust(_BLOCK, b"\0")
        self._inner = hashlib.new(digest, block.translate(_INNER), usedforsecurity=True)
        self._outer = hashlib.new(digest, block.translate(_OUTER), usedforsecurity=True)

    def sign(self, message: bytes) -> bytes:
        """Base64 of HMAC(secret, message), as it stands in X-Ca-Signature."""
        inner = self._inner.copy()
        inner.update(message)
        outer = self._outer.copy()
        outer.update(inner.digest())
        return b2a_base64(outer.digest(), newline=False)


def request_mismatch(
    key: SigningKey,
    *,
    method: bytes,
    fields: Mapping[bytes, bytes],
    path: bytes,
    query: bytes = b"",
    form: bytes = b"",
    variants: bool = True,
) -> bytes | None:
    """None when X-Ca-Signature of ``fields`` is right; else the server's string to sign, by the plain rule.

    ``fields`` maps lower-case header names to values; ``path`` and ``query`` are raw, as in the request target; ``form``
    is the raw body when its Content-Type is a form. ``variants`` False accepts the plain rule only, as it is for what is
    longer than VARIANTS_BYTES_MAX. Raises SignatureFault.
    """
    head = head_make(signed_headers_parse(fields.get(b"x-ca-signature-headers", b"")), method, fields)
    given = fields.get(b"x-ca-signature", b"")
    decoded_path = path_decode(path)
    decoded_query = pairs_decode(query)
    decoded_form: Pairs = pairs_decode(form.strip(b"\r\n")) if form else []
    string = head + resource_make(decoded_path, decoded_query, decoded_form)
    if compare_digest(key.sign(string), given):
        return None
    if variants and len(query) + len(form) <= VARIANTS_BYTES_MAX:
        for resource in resource_variants(decoded_path, decoded_query, decoded_form):
            if compare_digest(key.sign(head + resource), given):
                return None
    return string


def mismatch_detail(string: bytes) -> str:
    """The server's string as A403IS shows it: one line, line feeds as ``#``, in backticks.

    Safe as a header value: text stays UTF-8, while control characters and bytes that are no UTF-8 are shown as ``%XX``,
    so nobody can break the line. Longer strings than MISMATCH_BYTES_MAX are cut.
    """
    cut = string[:MISMATCH_BYTES_MAX]
    if len(string) > MISMATCH_BYTES_MAX:
        cut = cut.decode(errors="ignore").encode() if _is_utf8(string) else cut
    text = cut.decode(errors="surrogateescape").replace("\n", "#")
    shown = "".join([_show(character) for character in text]) if not text.isprintable() else text
    tail = "…" if len(string) > MISMATCH_BYTES_MAX else ""
    return f"`{shown}{tail}`"


def _is_utf8(value: bytes) -> bool:
    try:
        value.decode()
    except UnicodeDecodeError:
        return False
    return True


def _show(character: str) -> str:
    if character.isprintable():
        return character
    return "".join(f"%{byte:02X}" for byte in character.encode(errors="surrogateescape"))
