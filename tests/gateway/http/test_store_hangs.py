"""Valkey that hangs, which is worse than one that is gone: nobody waits for it longer than the deadline, nothing goes unchecked."""

import contextlib
import os
import re
import signal
from collections.abc import Iterator

import redis

from tests.gateway.http.stand import AUTHORIZATION, Stand, header_values, request, standing, status_of
from tests.waiting import eventually

CALLS = 12
CALL_S_MAX = 10.0
"""Where peers waited for 180 s. The deadline is 250 ms by default; this only bounds a busy machine's test."""


@contextlib.contextmanager
def hanging(stand: Stand) -> Iterator[None]:
    """Valkey keeps its connections and says nothing on them, as behind a dead network."""
    assert stand.valkey.child is not None
    os.kill(stand.valkey.child.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(stand.valkey.child.pid, signal.SIGCONT)


def call(stand: Stand, authorization: bytes) -> bytes:
    """One call; no octet for CALL_S_MAX fails."""
    with stand.connect() as client:
        client.settimeout(CALL_S_MAX)
        client.sendall(request(b"GET /shop/x", authorization))
        parts = []
        while data := client.recv(1 << 16):
            parts.append(data)
    return b"".join(parts)


def stranger(number: int) -> bytes:
    """An AppCode that no worker has heard of."""
    return b"Authorization: APPCODE " + b"%032x" % (0xABC0000 + number)


def is_unknown(answer: bytes) -> bool:
    """Whether the gateway knows that there is no such AppCode."""
    return header_values(answer, "x-ca-error-code") == [b"A400AC"]


def test_known_callers_go_on_and_unknown_ones_are_told_to_come_back_while_valkey_hangs() -> None:
    with standing(workers=2) as stand:
        store = redis.Redis(unix_socket_path=str(stand.valkey.socket))
        store.set("tg:dir:complete", "1")  # so that an unknown credential is known to be none
        store.close()
        assert eventually(lambda: is_unknown(call(stand, stranger(98))))
        with hanging(stand):
            for _ in range(CALLS):
                assert status_of(call(stand, AUTHORIZATION.strip())) == 200
            for number in range(CALLS):
                answer = call(stand, stranger(number))
                assert status_of(answer) == 503
                assert header_values(answer, "x-ca-error-code") == [b"X503BZ"]
                assert int(header_values(answer, "retry-after")[0]) >= 1
            assert eventually(lambda: re.search(r"^tollgate_store_up\{[^}]*\} 0$", stand.metrics(), re.MULTILINE))
        assert eventually(lambda: is_unknown(call(stand, stranger(99))))
        assert status_of(call(stand, AUTHORIZATION.strip())) == 200
