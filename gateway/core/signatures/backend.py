"""The gateway's own signature on what it sends to an upstream: X-Ca-Proxy-Signature (the backend signature of Alibaba Cloud).

Not the client's signature (canonical.py): four parts, lower-case names in the block, ``key=`` for an empty value. It is held to
the protocol's vectors; no policy of an Api asks for it yet, so the data plane does not call it.
"""

from collections.abc import Mapping

from gateway.core.signatures.canonical import Pairs
from gateway.core.signatures.verify import SigningKey

SECRET_KEY_HEADER = b"X-Ca-Proxy-Signature-Secret-Key"
"""Carries the id of the key pair, never the secret, so that an upstream can hold several pairs and roll them."""


def backend_string(
    *, method: bytes, content_md5: bytes, signed: Mapping[bytes, bytes], path: bytes, parameters: Pairs
) -> bytes:
    """The string to sign: method, Content-MD5, ``signed`` headers and the resource.

    ``signed`` maps names as written to values; they are sorted as written and shown in lower case. ``path`` is the
    decoded path as sent upstream; ``parameters`` are the decoded query and form fields; the first value of a key counts.
    """
    block = b"".join(name.lower() + b":" + signed[name] + b"\n" for name in sorted(signed))
    first = dict(reversed(parameters))
    resource = path + b"?" + b"&".join(key + b"=" + first[key] for key in sorted(first)) if first else path
    return b"%b\n%b\n%b%b" % (method, content_md5, block, resource)


def backend_headers(
    *, key: SigningKey, method: bytes, content_md5: bytes, signed: Mapping[bytes, bytes], path: bytes, parameters: Pairs
) -> list[tuple[bytes, bytes]]:
    """The two headers that carry the signature; ``signed`` must hold SECRET_KEY_HEADER, which is sent like the others."""
    string = backend_string(method=method, content_md5=content_md5, signed=signed, path=path, parameters=parameters)
    return [
        (b"X-Ca-Proxy-Signature-Headers", b",".join(sorted(signed))),
        (b"X-Ca-Proxy-Signature", key.sign(string)),
    ]
