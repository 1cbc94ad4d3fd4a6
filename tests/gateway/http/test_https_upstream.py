"""https upstreams: served when the certificate is good and its authority is trusted; else refused before a byte of the call is sent."""

from __future__ import annotations

import contextlib
import socket
import ssl
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from gateway.dataplane.settings import SettingsInvalid, settings_read
from marketplace.contracts.definition import ApiDefinition, UpstreamDefinition
from tests.gateway.http.certificates import Authority
from tests.gateway.http.stand import (
    Stand,
    api,
    apis_of,
    header_values,
    publish,
    read_answer,
    request,
    standing,
    status_of,
)
from tests.gateway.http.upstream import Received, Upstream
from tests.waiting import eventually

NAME = "orders.cluster.example"


class TlsUpstream(Upstream):
    """The scripted upstream behind TLS. It keeps the server names that it was asked for, and each handshake that failed."""

    def __init__(self, context: ssl.SSLContext) -> None:
        self.names: list[str | None] = []
        self.protocols: list[str | None] = []
        self.failed: list[str] = []
        self._context = context
        context.set_alpn_protocols(["h2", "http/1.1"])
        context.sni_callback = lambda _socket, name, _context: self.names.append(name)
        super().__init__()

    def _serve(self, client: socket.socket, number: int) -> None:
        try:
            secure = self._context.wrap_socket(client, server_side=True)
        except OSError as fault:
            self.failed.append(str(fault))
            client.close()
            return
        self.protocols.append(secure.selected_alpn_protocol())
        super()._serve(secure, number)


@pytest.fixture(scope="module")
def known(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """The authority of a private cluster."""
    return Authority("known", tmp_path_factory.mktemp("known"))


@pytest.fixture(scope="module")
def upstreams(known: Authority, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, TlsUpstream]]:
    """One with a good certificate, and one for each fault; by the base path that leads there."""
    stranger = Authority("stranger", tmp_path_factory.mktemp("stranger"))
    made = {
        "good": TlsUpstream(known.server(NAME, "localhost")),
        "unknown": TlsUpstream(stranger.server(NAME)),
        "other": TlsUpstream(known.server("other.example")),
        "expired": TlsUpstream(known.server(NAME, days=-1)),
    }
    yield made
    for upstream in made.values():
        upstream.close()


@pytest.fixture(scope="module")
def secure(upstreams: dict[str, TlsUpstream], known: Authority) -> Iterator[Stand]:
    """A gateway that was told of the known authority."""
    with standing(TOLLGATE_UPSTREAM_CA_FILE=str(known.file)) as stand:
        serve(stand, upstreams)
        yield stand


@pytest.fixture(autouse=True)
def _forgotten(upstreams: dict[str, TlsUpstream]) -> None:
    for upstream in upstreams.values():
        upstream.reset()
        upstream.failed.clear()


def serve(stand: Stand, upstreams: dict[str, TlsUpstream]) -> None:
    """Publish an Api for each upstream, which is called by its address under the name NAME; /local is called by its own name."""
    apis = [secure_api(20 + index, path, upstream) for index, (path, upstream) in enumerate(upstreams.items())]
    apis.append(api(30, "/local", f"https://localhost:{upstreams['good'].port}", auth="anonymous"))
    apis.append(api(31, "/plain", f"https://127.0.0.1:{stand.upstream.port}", auth="anonymous"))
    publish(stand.valkey, [*apis_of(stand.upstream), *apis], version=2)
    is_served = eventually(lambda: status_of(stand.send(request(b"PATCH /good/published"))) != 404)
    assert is_served, stand.gateway.logs()


def secure_api(number: int, path: str, upstream: TlsUpstream) -> ApiDefinition:
    definition = UpstreamDefinition(url=f"https://127.0.0.1:{upstream.port}", host=NAME)
    return replace(api(number, f"/{path}", definition.url, auth="anonymous"), upstream=definition)


def test_a_good_certificate_of_an_authority_that_the_setting_names_is_served(
    secure: Stand, upstreams: dict[str, TlsUpstream]
) -> None:
    answer = secure.send(request(b"POST /good/x?a=1", b"Content-Length: 3", body=b"abc"))
    assert status_of(answer) == 200 and answer.endswith(b"hello")
    seen = upstreams["good"].last()
    assert (seen.line, seen.body, seen.values("host")) == (b"POST /x?a=1 HTTP/1.1", b"abc", [NAME.encode()])


def test_the_handshake_names_the_server_and_asks_for_http_1_1(secure: Stand, upstreams: dict[str, TlsUpstream]) -> None:
    """By the Host that the definition names, else by the URL's: an ingress chooses certificate and service by it."""
    upstream = upstreams["good"]
    assert status_of(secure.send(request(b"GET /good/x"))) == 200
    assert status_of(secure.send(request(b"GET /local/x"))) == 200
    assert {NAME, "localhost"} == set(upstream.names) and set(upstream.protocols) == {"http/1.1"}


def test_a_connection_over_tls_is_used_again(secure: Stand, upstreams: dict[str, TlsUpstream]) -> None:
    secure.send(request(b"GET /good/x"))
    before = upstreams["good"].connections
    with secure.connect() as client:
        for _ in range(5):
            client.sendall(request(b"GET /good/x", close=False))
            assert read_answer(client)[1] == b"hello"
    assert upstreams["good"].connections == before
    assert len({seen.connection for seen in upstreams["good"].received}) == 1


def test_a_long_body_goes_both_ways_through_tls(secure: Stand, upstreams: dict[str, TlsUpstream]) -> None:
    """Larger than any buffer of TLS or of the socket on the way."""
    body = bytes(range(256)) * 16_384
    upstreams["good"].scripts["/big"] = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body
    answer = secure.send(request(b"POST /good/big", b"Content-Length: %d" % len(body), body=body))
    assert answer.split(b"\r\n\r\n", 1)[1] == body and upstreams["good"].last().body == body


@pytest.mark.parametrize("is_said", [True, False], ids=["with its own word", "by a cut connection"])
def test_an_answer_of_unknown_length_is_complete_only_when_the_upstream_says_that_it_ended(
    secure: Stand, upstreams: dict[str, TlsUpstream], is_said: bool
) -> None:
    """Without TLS's own close anybody on the way could shorten an answer."""

    def answer_and_end(client: socket.socket, _: Received) -> None:
        client.sendall(b"HTTP/1.1 200 OK\r\n\r\nhalf of it")
        time.sleep(0.1)
        if is_said:
            with contextlib.suppress(OSError):
                client.unwrap()  # type: ignore[attr-defined]

    upstreams["good"].scripts["/end"] = answer_and_end
    answer = secure.send(request(b"GET /good/end"))
    assert status_of(answer) == 200 and b"half of it" in answer
    assert answer.endswith(b"0\r\n\r\n") == is_said


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("unknown", b"unable to get local issuer certificate"),
        ("other", b"Hostname mismatch"),
        ("expired", b"certificate has expired"),
    ],
)
def test_a_bad_certificate_is_refused_and_not_a_byte_of_the_call_is_sent(
    secure: Stand, upstreams: dict[str, TlsUpstream], path: str, said: bytes
) -> None:
    call = request(b"POST /%b/secret" % path.encode(), b"Content-Length: 3", body=b"abc")
    refused_by_tls(secure.send(call), said)
    upstream = upstreams[path]
    # The handshake itself fails on the other side as well: nothing of the call can have come through it.
    assert eventually(lambda: upstream.failed, within_s=5)
    assert upstream.begun == 0 and upstream.received == []


def refused_by_tls(answer: bytes, said: bytes) -> None:
    assert status_of(answer) == 504
    assert header_values(answer, "x-ca-error-code") == [b"D504CS"]
    assert said in header_values(answer, "x-ca-error-message")[0]


def test_an_upstream_that_speaks_no_tls_gets_no_call(secure: Stand) -> None:
    secure.upstream.reset()
    answer = secure.send(request(b"GET /plain/secret"))
    assert status_of(answer) == 504
    assert header_values(answer, "x-ca-error-code")[0] in (b"D504CS", b"D504CO")
    assert all(b"secret" not in seen.head for seen in secure.upstream.received)


def test_without_the_setting_an_authority_of_ones_own_is_a_stranger(upstreams: dict[str, TlsUpstream]) -> None:
    with standing() as stand:
        serve(stand, upstreams)
        upstreams["good"].reset()
        with contextlib.closing(stand.connect()) as client:
            client.sendall(request(b"GET /good/x", close=False))
            head, _ = read_answer(client)
    refused_by_tls(head, b"unable to get local issuer certificate")
    assert upstreams["good"].begun == 0


def test_a_file_of_authorities_that_cannot_be_used_is_reported_at_start(tmp_path: Path) -> None:
    broken = tmp_path / "broken.pem"
    broken.write_text("no certificate")
    for file in (broken, tmp_path / "none.pem"):
        with pytest.raises(SettingsInvalid, match="TOLLGATE_UPSTREAM_CA_FILE"):
            settings_read({"TOLLGATE_UPSTREAM_CA_FILE": str(file)})
