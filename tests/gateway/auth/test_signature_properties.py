"""Properties of signature checking, against a signer written independently from the protocol's prose."""

import base64
import hashlib
import hmac
from collections.abc import Callable
from dataclasses import dataclass, replace
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from gateway.core.signatures.canonical import (
    PARAMETERS_MAX,
    SIGNED_HEADERS_BYTES_MAX,
    ParametersTooMany,
    SignedHeadersInvalid,
    pairs_decode,
    signed_headers_parse,
)
from gateway.core.signatures.content import (
    EMPTY_MD5,
    TIMESTAMP_WINDOW_MS,
    BodyCheck,
    Freshness,
    content_digest,
    content_matches,
    timestamp_judge,
)
from gateway.core.signatures.verify import SigningKey, request_mismatch

FORM = "application/x-www-form-urlencoded; charset=utf-8"
SECRET = "secret-of-the-properties"
TEXT = st.text(st.characters(exclude_categories=("Cs", "Cc")), max_size=8)
KEY = st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=1, max_size=6)
VALUE = st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=8)
NAME = st.from_regex(r"(X-Ca-|x-ca-|X-|a-)[A-Za-z_]{1,6}", fullmatch=True)


@dataclass(frozen=True)
class Request:
    """A request in decoded text, before it is signed and sent."""

    method: str
    path: str
    query: dict[str, str]
    form: dict[str, str]
    accept: str
    date: str
    md5: str
    headers: dict[str, str]
    algorithm: str

    @property
    def content_type(self) -> str:
        return FORM if self.form else "application/json"


def reference_signature(request: Request) -> str:
    """Protocol sections 1.1 and 1.2, followed to the letter with text and the standard library only."""
    parameters = {**request.query, **request.form}
    shown = "&".join(f"{key}={parameters[key]}" if parameters[key] else key for key in sorted(parameters))
    block = "".join(f"{name}:{request.headers[name]}\n" for name in sorted(request.headers))
    lines = [request.method, request.accept, request.md5, request.content_type, request.date]
    string = "\n".join(lines) + "\n" + block + request.path + (f"?{shown}" if parameters else "")
    digest = {"HmacSHA256": hashlib.sha256, "HmacSHA1": hashlib.sha1}[request.algorithm]
    return base64.b64encode(hmac.new(SECRET.encode(), string.encode(), digest).digest()).decode()


def verdict(
    request: Request, signature: str, *, coder: Callable[..., str] = quote, names: str | None = None
) -> bytes | None:
    """Send ``request`` to the verifier with a signature made for it, or for another."""
    fields = {name.lower(): value for name, value in request.headers.items()}
    fields |= {"accept": request.accept, "date": request.date, "content-md5": request.md5}
    fields |= {"content-type": request.content_type, "x-ca-signature": signature}
    fields["x-ca-signature-headers"] = ",".join(reversed(list(request.headers))) if names is None else names

    def encode(pairs: dict[str, str]) -> bytes:
        return "&".join(f"{coder(k, safe='')}={coder(v, safe='')}" for k, v in pairs.items()).encode()

    return request_mismatch(
        SigningKey(SECRET.encode(), request.algorithm.encode()),
        method=request.method.encode(),
        fields={name.encode(): value.encode() for name, value in fields.items()},
        path=quote(request.path, safe="/").encode(),
        query=encode(request.query),
        form=encode(request.form),
    )


REQUESTS = st.builds(
    Request,
    method=st.sampled_from(["GET", "POST", "PUT", "DELETE"]),
    path=st.text(st.characters(exclude_categories=("Cs", "Cc")), max_size=12).map(lambda text: "/" + text),
    query=st.dictionaries(KEY, TEXT, max_size=3),
    form=st.dictionaries(KEY, TEXT, max_size=3),
    accept=VALUE,
    date=VALUE,
    md5=VALUE,
    headers=st.dictionaries(NAME, TEXT, max_size=4).filter(lambda d: len({n.lower() for n in d}) == len(d)),
    algorithm=st.sampled_from(["HmacSHA256", "HmacSHA1"]),
)


@settings(max_examples=150, deadline=None)
@given(REQUESTS, st.sampled_from([quote, quote_plus]))
def test_any_request_of_an_independent_signer_verifies(request: Request, coder: Callable[..., str]) -> None:
    assert verdict(request, reference_signature(request), coder=coder) is None


CHANGES: dict[str, Callable[[Request, str], Request]] = {
    "method": lambda r, x: replace(r, method=r.method + x),
    "path": lambda r, x: replace(r, path=r.path + x),
    "accept": lambda r, x: replace(r, accept=r.accept + x),
    "date": lambda r, x: replace(r, date=x + r.date),
    "md5": lambda r, x: replace(r, md5=r.md5 + x),
    "query value": lambda r, x: replace(r, query={**r.query, "q": r.query.get("q", "") + x}),
    "query key": lambda r, x: replace(r, query={**r.query, "new" + x: ""}),
    "form value": lambda r, x: replace(r, form={**r.form, "f": r.form.get("f", "") + x}),
    "header value": lambda r, x: replace(r, headers={**r.headers, "X-Ca-Nonce": r.headers["X-Ca-Nonce"] + x}),
}


@pytest.mark.parametrize("part", CHANGES)
@settings(max_examples=40, deadline=None)
@given(request=REQUESTS, byte=st.characters(min_codepoint=48, max_codepoint=122, categories=("L", "N")))
def test_a_changed_byte_of_a_covered_part_is_refused(part: str, request: Request, byte: str) -> None:
    lower = {name.lower() for name in request.headers}
    assume("x-ca-nonce" not in lower and "q" not in request.form and "new" + byte not in request.form)
    signed = replace(request, headers={**request.headers, "X-Ca-Nonce": "n"}, form={**request.form, "form": "1"})
    changed = CHANGES[part](signed, byte)
    assume(changed != signed)
    assert verdict(signed, reference_signature(signed)) is None
    assert verdict(changed, reference_signature(signed)) is not None


@settings(max_examples=60, deadline=None)
@given(REQUESTS, st.integers(0, 43), st.binary(min_size=1, max_size=1))
def test_a_changed_byte_of_the_signature_is_refused(request: Request, position: int, byte: bytes) -> None:
    right = reference_signature(request).encode()
    position %= len(right)
    wrong = right[:position] + byte + right[position + 1 :]
    assume(wrong != right and wrong.isascii())
    assert verdict(request, wrong.decode()) is not None


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=200), st.binary(max_size=300), st.sampled_from(["sha256", "sha1"]))
def test_the_prepared_key_is_plain_hmac(secret: bytes, message: bytes, digest: str) -> None:
    method = {"sha256": b"HmacSHA256", "sha1": b"HmacSHA1"}[digest]
    expected = base64.b64encode(hmac.digest(secret, message, digest))
    assert SigningKey(secret, method).sign(message) == expected


def test_keys_beyond_the_basic_plane_verify_in_utf16_order_too() -> None:
    request = Request("GET", "/p", {"😀": "1", "\uff21": "2"}, {}, "", "", "", {}, "HmacSHA256")
    as_java_sorts = "GET\n\n\napplication/json\n\n/p?😀=1&\uff21=2"
    signature = base64.b64encode(hmac.digest(SECRET.encode(), as_java_sorts.encode(), "sha256")).decode()
    assert verdict(request, signature) is None
    assert verdict(request, reference_signature(request)) is None


def test_a_latin1_header_value_verifies_as_the_text_it_shows() -> None:
    string = "GET\n\n\n\n\nX-Ca-Name:café\n/p"
    signature = base64.b64encode(hmac.digest(SECRET.encode(), string.encode(), "sha256"))
    for sent in ("café".encode(), "café".encode("latin-1")):
        fields = {b"x-ca-name": sent, b"x-ca-signature-headers": b"X-Ca-Name", b"x-ca-signature": signature}
        assert request_mismatch(SigningKey(SECRET.encode()), method=b"GET", fields=fields, path=b"/p") is None


@pytest.mark.parametrize("hostile", [b"X-Ca-Key," * 65, b"x" * (SIGNED_HEADERS_BYTES_MAX + 1), b"a:b", b"a b", b"\xff"])
def test_a_hostile_header_list_is_refused_with_a_reason(hostile: bytes) -> None:
    with pytest.raises(SignedHeadersInvalid):
        signed_headers_parse(hostile)


def test_a_query_with_too_many_parameters_is_refused() -> None:
    assert len(pairs_decode(b"&".join([b"a=1"] * PARAMETERS_MAX))) == PARAMETERS_MAX
    with pytest.raises(ParametersTooMany):
        pairs_decode(b"&".join([b"a=1"] * (PARAMETERS_MAX + 1)))


@pytest.mark.parametrize(
    ("offset_ms", "expected"),
    [
        (0, Freshness.FRESH),
        (TIMESTAMP_WINDOW_MS, Freshness.FRESH),
        (-TIMESTAMP_WINDOW_MS, Freshness.FRESH),
        (TIMESTAMP_WINDOW_MS + 1, Freshness.EXPIRED),
        (-TIMESTAMP_WINDOW_MS - 1, Freshness.EXPIRED),
    ],
)
def test_a_timestamp_is_fresh_for_fifteen_minutes_both_ways(offset_ms: int, expected: Freshness) -> None:
    now_ms = 1_700_000_000_000
    assert timestamp_judge(str(now_ms + offset_ms).encode(), now_ms) is expected


@pytest.mark.parametrize("malformed", [b"", b"-1", b"1.5", b"17e9", b" 1", b"9" * 16, "１７".encode()])
def test_a_malformed_timestamp_is_told_apart_from_an_expired_one(malformed: bytes) -> None:
    assert timestamp_judge(malformed, 0) is Freshness.MALFORMED


def test_content_md5_of_nothing_belongs_to_an_empty_body_only() -> None:
    assert content_matches(EMPTY_MD5, b"")
    assert not content_matches(EMPTY_MD5, b"x")
    assert not content_matches(content_digest(b"x"), b"")


@settings(max_examples=80, deadline=None)
@given(st.lists(st.binary(max_size=6), min_size=1, max_size=6), st.binary(min_size=1, max_size=3))
def test_a_streamed_body_goes_on_whole_when_right_and_never_whole_when_wrong(pieces: list[bytes], more: bytes) -> None:
    body = b"".join(pieces)

    def streamed(check: BodyCheck) -> tuple[bytes, bytes | None]:
        return b"".join(check.take(piece) for piece in pieces), check.finish()

    passed, last = streamed(BodyCheck(content_digest(body)))
    assert passed + (last or b"") == body
    passed, last = streamed(BodyCheck(content_digest(body + more)))
    assert last is None
    assert not body or passed != body
