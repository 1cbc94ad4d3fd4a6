"""Every stored request of a real client is accepted; backend and WebSocket signatures come out the same."""

import json
from typing import Any

import pytest

from gateway.core.signatures.backend import backend_headers, backend_string
from gateway.core.signatures.canonical import head_make, pairs_decode, path_decode, signed_headers_parse
from gateway.core.signatures.content import content_digest, content_matches
from gateway.core.signatures.verify import SigningKey, mismatch_detail, request_mismatch
from tests.gateway.auth.vectors import Wire, encoded, label, vectors, wire

REQUESTS = vectors("request")
FALLBACK_ONLY = [vector for vector in REQUESTS if not vector["accepted_by"].startswith("strict")]


def mismatch(vector: dict[str, Any], sent: Wire, **changed: Any) -> bytes | None:
    """What the verifier says about a vector's request."""
    key = SigningKey(vector["app_secret"].encode(), vector["signature_method"].encode())
    request = {"method": sent.method, "fields": sent.fields, "path": sent.path, "query": sent.query, "form": sent.form}
    return request_mismatch(key, **{**request, **changed})


def test_the_file_holds_all_ninety_five_vectors() -> None:
    assert [len(vectors(kind)) for kind in ("request", "backend", "websocket")] == [90, 3, 2]


@pytest.mark.parametrize("plus", [False, True], ids=["percent20", "plus"])
@pytest.mark.parametrize("vector", REQUESTS, ids=label)
def test_a_request_of_a_real_client_is_accepted(vector: dict[str, Any], plus: bool) -> None:
    assert mismatch(vector, wire(vector, plus=plus)) is None


@pytest.mark.parametrize("vector", REQUESTS, ids=label)
def test_the_server_string_is_the_one_the_client_signed(vector: dict[str, Any]) -> None:
    sent = wire(vector)
    sent.fields[b"x-ca-signature"] = b"wrong"
    server = mismatch(vector, sent)
    assert server is not None
    if vector not in FALLBACK_ONLY:
        assert server.decode() == vector["string_to_sign"]


@pytest.mark.parametrize("vector", FALLBACK_ONLY, ids=label)
def test_a_client_that_needs_a_fallback_is_refused_when_fallbacks_are_off(vector: dict[str, Any]) -> None:
    assert mismatch(vector, wire(vector), variants=False) is not None


@pytest.mark.parametrize("vector", [v for v in REQUESTS if "Content-MD5" in v["headers"]], ids=label)
def test_content_md5_belongs_to_the_body(vector: dict[str, Any]) -> None:
    declared = vector["headers"]["Content-MD5"].encode()
    body = vector["body"].encode()
    assert content_matches(declared, body)
    assert not content_matches(declared, body + b"\n")


@pytest.mark.parametrize("vector", vectors("websocket"), ids=label)
def test_a_websocket_frame_is_signed_like_a_request(vector: dict[str, Any]) -> None:
    frame = json.loads(vector["websocket_frame"])
    fields = {name.encode(): values[0].encode() for name, values in frame["headers"].items()}
    sent = Wire(
        method=frame["method"].encode(),
        path=frame["path"].encode(),
        query=encoded(list(frame["querys"].items()), plus=False),
        fields=fields,
        form=frame["body"].encode() if fields[b"content-type"].startswith(b"application/x-www-form") else b"",
        body=frame["body"].encode(),
    )
    assert mismatch(vector, sent) is None
    assert mismatch(vector, sent, path=b"/elsewhere") is not None


@pytest.mark.parametrize("vector", vectors("backend"), ids=label)
def test_a_backend_signature_comes_out_as_the_official_verifier_expects(vector: dict[str, Any]) -> None:
    names = vector["signature_headers"].split(",")
    parts = {
        "method": vector["method"].encode(),
        "content_md5": content_digest(vector["body"].encode()) if vector["body"] else b"",
        "signed": {name.encode(): vector["headers"][name].encode() for name in names},
        "path": vector["path"].encode(),
        "parameters": [(key.encode(), value.encode()) for key, value in vector["query"]],
    }
    assert backend_string(**parts).decode() == vector["string_to_sign"]
    headers = dict(backend_headers(key=SigningKey(vector["app_secret"].encode()), **parts))
    assert headers[b"X-Ca-Proxy-Signature"].decode() == vector["signature"]
    assert set(headers[b"X-Ca-Proxy-Signature-Headers"].decode().split(",")) == set(names)


def test_the_parts_before_the_resource_are_as_documented() -> None:
    fields = {b"accept": b"*/*", b"x-ca-key": b"k"}
    head = head_make(signed_headers_parse(b"X-Ca-Key, Accept ,x-missing,"), b"GET", fields)
    assert head == b"GET\n*/*\n\n\n\nX-Ca-Key:k\nx-missing:\n"
    assert path_decode(b"/a+b%20c") == b"/a+b c"
    assert pairs_decode(b"a=1&&b&c=%2B+x") == [(b"a", b"1"), (b"b", b""), (b"c", b"+ x")]


def test_a_mismatch_is_one_header_safe_line() -> None:
    assert mismatch_detail(b"GET\n\n/p?q=\xe6\x9d\xad") == "`GET##/p?q=杭`"
    assert mismatch_detail(b"a\r\nX: y\x00\xff\x7f") == "`a%0D#X: y%00%FF%7F`"
    long = mismatch_detail("杭".encode() * 5_000)
    assert len(long.encode()) < 3_100
    assert long.endswith("杭…`")
