"""Signed forms are needed in memory before anybody is known: whose they are, how many, and how long their check takes is bounded."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hmac
import json
import select
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
import redis

from gateway.core.http_head import RequestParser
from gateway.core.rejections import Rejection
from gateway.core.signatures.verify import VARIANTS_BYTES_MAX, SigningKey, request_mismatch
from gateway.core.store_keys import APP_KEY_PREFIX
from gateway.dataplane.call import Call
from gateway.dataplane.client_bodies import HELD_BODY_BYTES_MAX, HELD_WORKER_BYTES_MAX
from gateway.dataplane.directory import Entry
from gateway.dataplane.settings import settings_read
from gateway.dataplane.snapshot import Route
from gateway.dataplane.steps import authenticate
from gateway.dataplane.steps.authenticate import FORM_INLINE_BYTES_MAX
from gateway.dataplane.worker import Worker
from marketplace.core.secrets import KeyRing
from tests import harness
from tests.gateway.http.stand import BOBS_APP, READ_S_MAX, Stand, api, header_values, read_all, standing, status_of

BOBS_KEY, CAROLS_KEY = "bobs-key", "carols-key"
SECRET = b"sesame"
FORM = b"Content-Type: application/x-www-form-urlencoded\r\n"
LONG = b"a=" + b"%E4%BD%A0" * 20_000


@pytest.fixture(scope="module")
def own() -> Iterator[Stand]:
    """A stand where Bob and Carol have key pairs."""
    with standing(TOLLGATE_AUTH_FAILURES_PER_S="1") as stand:
        key_add(stand)
        yield stand


def key_add(stand: Stand) -> None:
    """Give Bob's app two key pairs, one of them in Carol's hands."""
    ring = KeyRing.parse(harness.TEST_SECRETS["TOLLGATE_SECRET_KEYS"])
    with redis.Redis(unix_socket_path=str(stand.valkey.socket)) as client:
        name = next(iter(client.scan_iter("tg:dir:code:*")))
        entry: dict[str, Any] = json.loads(client.get(name))  # type: ignore[arg-type]
        entry.update(kind="key_pair", secret=ring.encrypt(SECRET.decode()))
        for key in (BOBS_KEY, CAROLS_KEY):
            client.set(APP_KEY_PREFIX + key, json.dumps(entry))
        client.set("tg:dir:complete", "1")


def head(form: bytes, *, key: str = BOBS_KEY, signed: bytes = b"") -> bytes:
    """The head of a form POST, signed for ``signed`` (decoded), or wrongly."""
    text = b"POST\n\n\napplication/x-www-form-urlencoded\n\n/shop/form?" + signed
    signature = base64.b64encode(hmac.digest(SECRET, text, "sha256"))
    lines = (b"POST /shop/form HTTP/1.1", b"Host: a", b"X-Ca-Key: " + key.encode(), b"X-Ca-Signature: " + signature)
    return b"\r\n".join(lines) + b"\r\n" + FORM + b"Connection: close\r\nContent-Length: %d\r\n\r\n" % len(form)


def code_of(answer: bytes) -> bytes:
    return header_values(answer, "x-ca-error-code")[0]


def test_a_long_form_that_is_signed_arrives_whole(own: Stand) -> None:
    decoded = LONG.replace(b"%E4%BD%A0", "你".encode())
    assert len(LONG) > FORM_INLINE_BYTES_MAX
    assert status_of(own.send(head(LONG, signed=decoded) + LONG)) == 200
    assert own.upstream.received[-1].body == LONG
    with own.connect() as client:
        client.sendall(head(LONG, signed=decoded) + LONG[:10])
        client.sendall(LONG[10:])
        assert status_of(read_all(client)) == 200


def test_a_client_of_http_1_0_gets_no_interim_answer_for_its_form(own: Stand) -> None:
    expecting = head(b"a=1", signed=b"a=1").replace(b" HTTP/1.1", b" HTTP/1.0")
    with own.connect() as client:
        client.sendall(expecting.replace(b"Connection: close", b"Expect: 100-continue"))
        time.sleep(0.3)
        client.sendall(b"a=1")
        assert status_of(read_all(client)) == 200


def test_a_form_of_an_unknown_key_is_refused_before_it_is_read(own: Stand) -> None:
    with own.connect() as client:
        client.sendall(head(b"a" * HELD_BODY_BYTES_MAX, key="nobodys-key") + b"a=1")
        assert code_of(read_all(client)) == b"A400IK"


def test_wrong_signatures_over_long_forms_end_in_a_refusal_before_the_form_is_read_and_others_go_on(own: Stand) -> None:
    codes = [code_of(own.send(head(LONG, key=BOBS_KEY) + LONG)) for _ in range(4)]
    assert codes[0] == b"A403IS"
    assert codes[-1] == b"T429MR"
    assert status_of(own.send(head(b"a=1", signed=b"a=1") + b"a=1")) == 200


def test_forms_above_the_budget_of_a_worker_are_refused_and_short_ones_are_not(own: Stand) -> None:
    part = b"a" * (HELD_BODY_BYTES_MAX - 10)
    clients = [own.connect() for _ in range(HELD_WORKER_BYTES_MAX // len(part) + 2)]
    for client in clients:
        with contextlib.suppress(ConnectionError):
            client.sendall(head(b"a" * HELD_BODY_BYTES_MAX, key=CAROLS_KEY) + part)
    answered = select.select(clients, [], [], READ_S_MAX)[0]
    assert 0 < len(answered) < len(clients)
    assert {code_of(read_all(client)) for client in answered} == {b"X503BZ"}
    assert status_of(own.send(head(b"a=1", signed=b"a=1") + b"a=1")) == 200
    for client in clients:
        client.close()


@pytest.mark.parametrize(("form", "is_aside"), [(b"a=1", False), (LONG, True)], ids=["short", "long"])
def test_a_long_form_is_checked_beside_the_event_loop(
    monkeypatch: pytest.MonkeyPatch, form: bytes, is_aside: bool
) -> None:
    threads: list[bool] = []

    def mismatch(key: SigningKey, **parts: Any) -> bytes | None:
        threads.append(threading.current_thread() is not threading.main_thread())
        return request_mismatch(key, **parts)

    monkeypatch.setattr(authenticate, "request_mismatch", mismatch)
    folder = harness.folder_make()

    async def run() -> None:
        worker = Worker(settings_read({"TOLLGATE_VAR": str(folder), "VALKEY_URL": f"unix://{folder}/none"}), 0)
        definition = api(1, "/shop", "http://127.0.0.1:9")
        step = authenticate.compile(Route(definition, definition.operations[0]), worker.plane)
        entry = Entry({**BOBS_APP, "kind": "key_pair"}, secret=SECRET)
        worker.plane.directory._keep(APP_KEY_PREFIX + BOBS_KEY, entry, is_current=True)
        call = Call()
        call.method, call.path, call.query, call.body, call.peer = "POST", b"/shop/form", b"", form, "192.0.2.1"
        call.received_at, call.started = time.time(), time.monotonic()
        call.block = RequestParser().parse(head(form).partition(b"\r\n")[2][:-2])
        assert step is not None
        with pytest.raises(Rejection, match="A403IS"):
            pending = step(call)
            assert pending is not None
            await pending  # type: ignore[misc]
        worker.plane.aside.shutdown()

    asyncio.run(run())
    assert threads == [is_aside]


def test_variants_are_not_tried_for_what_is_very_long() -> None:
    for length, is_accepted in ((10, True), (VARIANTS_BYTES_MAX, False)):
        form = b"a=" + b"x" * length + b"&a=2"
        signed = b"\n\n\n\n\n/?a=" + b"x" * length + b",2"
        fields = {b"x-ca-signature": SigningKey(SECRET).sign(b"POST" + signed)}
        server = request_mismatch(SigningKey(SECRET), method=b"POST", fields=fields, path=b"/", form=form)
        assert (server is None) == is_accepted
