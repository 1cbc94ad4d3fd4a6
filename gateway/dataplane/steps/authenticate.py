"""Step authenticate: who calls. An AppCode or a signature becomes ``call.entry``; what the caller may do is authorize.py's.

Signature headers come before an AppCode when a request has both. A failed authentication leaves ``entry`` unset, so it is
counted but not journaled. The ordinary call, whose credential is cached, never waits.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Mapping
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from gateway.core.headers import APP_CODE_PARAMETERS
from gateway.core.rejections import Rejection
from gateway.core.signatures.canonical import SignatureFault, pairs_decode
from gateway.core.signatures.content import EMPTY_MD5, BodyCheck, Freshness, content_matches, timestamp_judge
from gateway.core.signatures.verify import METHOD_DEFAULT, METHODS, SigningKey, mismatch_detail, request_mismatch
from gateway.dataplane.auth_watch import watch_of
from gateway.dataplane.resp import StoreDown

if TYPE_CHECKING:
    from gateway.dataplane.call import Call
    from gateway.dataplane.directory import Entry
    from gateway.dataplane.pipeline import Step
    from gateway.dataplane.plane import Plane
    from gateway.dataplane.snapshot import Route

APP_KEY_BYTES_MAX = 64
APP_CODE_BYTES_MAX = 128
"""Longest AppKey and AppCode that are looked up, in bytes."""
FORM_INLINE_BYTES_MAX = 16_384
"""Longest signed form, in octets, that is checked on the event loop, in some milliseconds at worst; longer ones go aside."""
RETRY_AFTER_STORE_DOWN_S = 1
SCHEME = b"appcode"

_Pending = Coroutine[Any, Any, None]


def compile(route: Route, plane: Plane) -> Step | None:
    """None for an anonymous Api: there credentials are neither needed nor read."""
    if route.auth == "anonymous":
        return None
    whole = _Authenticate(route, plane)
    if route.policies.app_code == "disable":
        return whole
    slow = whole.__call__

    def authenticate(call: Call) -> _Pending | None:
        """A head that was seen before, with an AppCode that is still good, needs no hashing and no look-up."""
        entry: Entry | None = call.block.memo
        if entry is not None and not entry.is_stale:
            expires_at = entry.expires_at
            if expires_at is None or expires_at > call.received_at:
                call.entry = entry
                return None
        return slow(call)

    return authenticate


def compile_form_guard(route: Route, plane: Plane) -> Step:
    """What is asked before a form that does not come at once is kept in memory: is its AppKey one of ours?"""
    return _Authenticate(route, plane).form_guard


class _Authenticate:
    """The step of one route."""

    __slots__ = ("_aside", "_code_places", "_directory", "_methods", "_variants", "_watch")

    def __init__(self, route: Route, plane: Plane) -> None:
        self._aside = plane.aside
        self._code_places = route.policies.app_code
        self._methods = {name.encode() for name in route.policies.signature_methods} & METHODS.keys()
        self._directory = plane.directory
        self._watch = watch_of(plane)
        self._variants = plane.settings.signature_variants

    def __call__(self, call: Call) -> _Pending | None:
        first = call.block.first
        if b"x-ca-signature" in first:
            return self._signed(call, first)
        code = self._code(call, first)
        if code is not None:
            return self._coded(call, code)
        self._watch.failures += 1
        if b"x-ca-key" in first:
            raise Rejection("I400MH", "`X-Ca-Signature`")
        raise Rejection("A400MA", self._what_to_send())

    def _what_to_send(self) -> str:
        if self._code_places == "disable":
            return "sign the request with X-Ca-Key and X-Ca-Signature"
        return "send the header `Authorization: APPCODE <code>`, or sign the request with X-Ca-Key and X-Ca-Signature"

    # -- AppCode ----------------------------------------------------------------------------------------------------

    def _code(self, call: Call, first: Mapping[bytes, bytes]) -> bytes | None:
        """The AppCode of a request, from the places that the Api allows; None when there is none."""
        if self._code_places == "disable":
            return None
        code = _header_code(first)
        if code is not None:
            return code
        if self._code_places != "header_query" or not call.query:
            return None
        if b"%" not in call.query and b"appcode" not in call.query.lower():
            return None
        return _query_code(call.query)

    def _coded(self, call: Call, code: bytes) -> _Pending | None:
        if not code or len(code) > APP_CODE_BYTES_MAX:
            raise self._failed(call, "A400AC", "`not exists`")
        code_hash = sha256(code).hexdigest()
        entry = self._directory.cached_by_code(code_hash)
        if entry is None:
            self._lookup_allow(call)
            return self._coded_later(call, code_hash)
        self._coded_finish(call, entry)
        return None

    async def _coded_later(self, call: Call, code_hash: str) -> None:
        try:
            entry = await self._directory.load_by_code(code_hash)
        except StoreDown:
            raise _store_down() from None
        self._coded_finish(call, entry)

    def _coded_finish(self, call: Call, entry: Entry | None) -> None:
        if entry is None:
            raise self._failed(call, "A400AC", "`not exists`")
        if entry.expires_at is not None and entry.expires_at <= call.received_at:
            raise self._failed(call, "A400AC", "`expired`")
        call.entry = entry
        if _header_code(call.block.first) is not None:  # never one from the query: heads without it would share it
            call.block.memo = entry

    # -- signature --------------------------------------------------------------------------------------------------

    def form_guard(self, call: Call) -> _Pending | None:
        """Raises Rejection when the form could never be accepted, whatever its signature is: then none of it is kept."""
        _, key = self._key(call, call.block.first)
        wait_s = self._watch.form_wait_s(call.peer, key, call.started)
        if wait_s:
            raise _throttled("wrong signatures of this AppKey from this address", wait_s)
        if self._directory.cached_by_key(key) is not None:
            return None
        self._lookup_allow(call)
        return self._known_later(call, key)

    async def _known_later(self, call: Call, key: str) -> None:
        if await self._load(key) is None:
            raise self._failed(call, "A400IK")

    def _key(self, call: Call, first: Mapping[bytes, bytes]) -> tuple[bytes, str]:
        """The signature method and the AppKey. Raises Rejection I400HD, I400MH or A400IK."""
        method = first.get(b"x-ca-signature-method", METHOD_DEFAULT)
        if method not in self._methods:
            allowed = " or ".join(sorted(name.decode() for name in self._methods))
            raise Rejection("I400HD", f"`X-Ca-Signature-Method` this API takes {allowed}")
        key = first.get(b"x-ca-key", b"")
        if not key:
            raise Rejection("I400MH", "`X-Ca-Key`")
        if len(key) > APP_KEY_BYTES_MAX or not key.isascii():
            raise self._failed(call, "A400IK")
        return method, key.decode()

    def _signed(self, call: Call, first: Mapping[bytes, bytes]) -> _Pending | None:
        method, key = self._key(call, first)
        entry = self._directory.cached_by_key(key)
        if entry is None:
            self._lookup_allow(call)
            return self._signed_later(call, key, method)
        return self._signed_finish(call, entry, method)

    async def _signed_later(self, call: Call, key: str, method: bytes) -> None:
        pending = self._signed_finish(call, await self._load(key), method)
        if pending is not None:
            await pending

    async def _load(self, key: str) -> Entry | None:
        try:
            return await self._directory.load_by_key(key)
        except StoreDown:
            raise _store_down() from None

    def _signed_finish(self, call: Call, entry: Entry | None, method: bytes) -> _Pending | None:
        if entry is None or entry.secret is None:
            raise self._failed(call, "A400IK")
        if entry.expires_at is not None and entry.expires_at <= call.received_at:
            raise self._failed(call, "A400IK")
        fields = call.block.fields()
        timestamp = fields.get(b"x-ca-timestamp")
        if timestamp is not None:
            self._timestamp_check(call, timestamp)
        key = _signing_key(entry, entry.secret, method)
        if len(call.body) > FORM_INLINE_BYTES_MAX:
            return self._judge_aside(call, entry, key, fields)
        self._judge(call, entry, fields, self._mismatch(call, key, fields))
        return None

    def _mismatch(self, call: Call, key: SigningKey, fields: Mapping[bytes, bytes]) -> bytes | None:
        try:
            return request_mismatch(
                key,
                method=call.method.encode(),
                fields=fields,
                path=call.path,
                query=call.query,
                form=call.body if call.block.is_form else b"",
                variants=self._variants,
            )
        except SignatureFault as fault:
            raise Rejection("I400HD", f"`X-Ca-Signature` {fault}") from None

    async def _judge_aside(self, call: Call, entry: Entry, key: SigningKey, fields: Mapping[bytes, bytes]) -> None:
        """A long form would hold up all other calls: it is decoded and signed beside the event loop."""
        loop = asyncio.get_running_loop()
        self._judge(call, entry, fields, await loop.run_in_executor(self._aside, self._mismatch, call, key, fields))

    def _judge(self, call: Call, entry: Entry, fields: Mapping[bytes, bytes], server: bytes | None) -> None:
        if server is not None:
            key = fields[b"x-ca-key"].decode("ascii", "replace")
            self._watch.signature_failed(call.peer, key, call.started, form_bytes=len(call.body))
            raise Rejection("A403IS", mismatch_detail(server))
        declared = fields.get(b"content-md5")
        if declared:
            _content_check(call, declared)
        call.entry = entry

    def _timestamp_check(self, call: Call, timestamp: bytes) -> None:
        freshness = timestamp_judge(timestamp, int(call.received_at * 1_000))
        if freshness is Freshness.EXPIRED:
            raise self._failed(call, "S403TE")
        if freshness is Freshness.MALFORMED:
            raise Rejection("I400HD", "`X-Ca-Timestamp` must be Unix milliseconds in digits")

    # -- failures ---------------------------------------------------------------------------------------------------

    def _failed(self, call: Call, code: str, detail: str = "") -> Rejection:
        self._watch.failed(call.peer, call.started)
        return Rejection(code, detail)

    def _lookup_allow(self, call: Call) -> None:
        """Refuse a look-up in Valkey to an address that failed too often."""
        wait_s = self._watch.wait_s(call.peer, call.started)
        if wait_s:
            raise _throttled("failed authentications of this address", wait_s)


def _header_code(first: Mapping[bytes, bytes]) -> bytes | None:
    """The AppCode of ``Authorization: APPCODE <code>``; None when that header is not there or says something else."""
    authorization = first.get(b"authorization", b"")
    if authorization[:7].lower() != SCHEME or authorization[7:8] not in (b" ", b""):
        return None
    return authorization[8:].strip()


def _query_code(query: bytes) -> bytes | None:
    try:
        pairs = pairs_decode(query)
    except SignatureFault as fault:
        raise Rejection("I400RU", f"`{fault}`") from None
    for key, value in pairs:
        if key in APP_CODE_PARAMETERS:
            return value
    return None


def _signing_key(entry: Entry, secret: bytes, method: bytes) -> SigningKey:
    marks = entry.marks
    if marks is None:
        marks = entry.marks = {}
    key = marks.get(f"authenticate:{method!r}")
    if key is None:
        key = marks[f"authenticate:{method!r}"] = SigningKey(secret, method)
    return key


def _content_check(call: Call, declared: bytes) -> None:
    """Tie the body to the signature: at once when it is here, else while it streams (client_bodies.py asks ``body_check``)."""
    if call.body:
        if not content_matches(declared, call.body):
            raise Rejection("I400I5", "it is not the MD5 of the body")
    elif call.body_length:
        call.body_check = BodyCheck(declared)
    elif declared != EMPTY_MD5:
        raise Rejection("I400I5", "the body is empty")


def _throttled(by: str, wait_s: int) -> Rejection:
    return Rejection("T429MR", by, headers=(("Retry-After", str(wait_s)),))


def _store_down() -> Rejection:
    headers = (("Retry-After", str(RETRY_AFTER_STORE_DOWN_S)),)
    return Rejection("X503BZ", "credentials cannot be looked up now, try again", headers=headers)
