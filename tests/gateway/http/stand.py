"""The stand of the HTTP tests: one gateway process, a Valkey of its own, a scripted upstream, and raw sockets on the other side.

Snapshot and directory are written to Valkey as the portal publishes them, so that no database is needed here.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import shutil
import socket
import urllib.request
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from uuid import UUID

import redis

from config.embedded.valkey import Valkey
from gateway.dataplane.lease_scripts import GENERATION_KEY
from gateway.dataplane.snapshot import snapshot_checksum
from marketplace.contracts.definition import ApiDefinition, ApiPolicies, OperationDefinition, UpstreamDefinition
from marketplace.contracts.limits import Limits
from tests import harness, servers
from tests.gateway.http.upstream import Upstream

APP_CODE = "3f2504e04f8911d39a0c0305e82c3301"
AUTHORIZATION = b"Authorization: APPCODE " + APP_CODE.encode() + b"\r\n"
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
BOBS_APP = {
    "app_id": str(UUID(int=300)),
    "app_name": "Bob's app",
    "organization_id": str(UUID(int=400)),
    "organization_name": "Bob Shop",
    "suspended": False,
    "credential_id": str(UUID(int=500)),
}
"""Whose credential it is, as the directory says it."""
READ_S_MAX = 20.0
SMALL_BODY_BYTES = 1_000
WARM_CALLS_MAX = 200
SHORT_TIMEOUT_MS = 400


def api(number: int, base_path: str, upstream_url: str, **policies: object) -> ApiDefinition:
    """An Api that takes every method on every path below ``base_path``."""
    timeout_ms = int(policies.pop("timeout_ms", 10_000))  # type: ignore[call-overload]
    return ApiDefinition(
        api_id=str(UUID(int=number)),
        api_name=base_path.strip("/"),
        provider_id=str(UUID(int=100)),
        deployment_id=str(UUID(int=200 + number)),
        stage="release",
        base_path=base_path,
        upstream=UpstreamDefinition(url=upstream_url, timeout_ms=timeout_ms),
        operations=tuple(
            OperationDefinition(str(UUID(int=1000 * number + index)), method, "/{rest+}", method.lower())
            for index, method in enumerate(METHODS)
        ),
        policies=ApiPolicies(**policies),  # type: ignore[arg-type]
    )


class Stand:
    """A running gateway and both sides of it."""

    def __init__(self, gateway: servers.Program, upstream: Upstream, valkey: Valkey) -> None:
        self.gateway = gateway
        self.upstream = upstream
        self.valkey = valkey
        self.port = int(gateway.url.rpartition(":")[2])

    def connect(self) -> socket.socket:
        """A raw connection to the gateway."""
        client = socket.create_connection(("127.0.0.1", self.port), timeout=READ_S_MAX)
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return client

    def send(self, raw: bytes) -> bytes:
        """Send octets on a new connection; return all that comes until the gateway closes."""
        with self.connect() as client:
            with contextlib.suppress(OSError):
                client.sendall(raw)
            return read_all(client)

    def warm(self, workers: int) -> None:
        """Call until every worker most likely knows Bob's app: on a busy machine the first look-up may miss its deadline."""
        good = 0
        for _ in range(WARM_CALLS_MAX):
            good = good + 1 if status_of(self.send(request(b"GET /shop/warm", AUTHORIZATION.strip()))) == 200 else 0
            if good == 4 * workers:
                return
        raise AssertionError(f"the gateway does not serve Bob's app:\n{self.gateway.logs()}")

    def metrics(self) -> str:
        """The text of /metrics."""
        with urllib.request.urlopen(f"{self.gateway.metrics_url}/metrics", timeout=5) as answer:
            return str(answer.read().decode())


def read_all(client: socket.socket) -> bytes:
    """Everything until the other side closes."""
    parts = []
    with contextlib.suppress(ConnectionResetError):
        while data := client.recv(1 << 16):
            parts.append(data)
    return b"".join(parts)


def read_answer(client: socket.socket, *, is_head: bool = False) -> tuple[bytes, bytes]:
    """One answer framed by Content-Length from a connection that stays open: (head, body)."""
    data = b""
    while b"\r\n\r\n" not in data:
        piece = client.recv(1)
        assert piece, f"the connection ended after {data!r}"
        data += piece
    head = data[:-4]
    length = int(next((value for value in header_values(head, "content-length")), b"0"))
    body = b""
    while not is_head and len(body) < length:
        piece = client.recv(length - len(body))
        assert piece, "the body was cut"
        body += piece
    return head, body


def header_values(head: bytes, name: str) -> list[bytes]:
    """The values of a header in a raw head."""
    lines = [line.split(b":", 1) for line in head.split(b"\r\n\r\n")[0].split(b"\r\n")[1:]]
    return [value.strip() for key, value in lines if key.lower() == name.lower().encode()]


def status_of(answer: bytes) -> int:
    """The status of a raw answer."""
    assert answer.startswith(b"HTTP/1.1 "), answer[:200]
    return int(answer[9:12])


def request(line: bytes, *headers: bytes, body: bytes = b"", close: bool = True) -> bytes:
    """A request with a Host and, by default, Connection: close."""
    lines = [line + b" HTTP/1.1", b"Host: api.example", *headers]
    if close:
        lines.append(b"Connection: close")
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


def publish(valkey: Valkey, apis: list[ApiDefinition], *, version: int) -> None:
    """Write snapshot and directory as gateway.services publishes them."""
    values = json.loads(json.dumps([asdict(item) for item in apis]))
    document = {"version": version, "checksum": snapshot_checksum(values), "apis": values}
    grants = [
        {
            "id": str(UUID(int=5000 + index)),
            "api_id": item.api_id,
            "stage": "release",
            "starts_at": 0,
            "ends_at": None,
            "limits": asdict(Limits(plan_name="Free")),
        }
        for index, item in enumerate(apis)
    ]
    entry = {**BOBS_APP, "kind": "app_code", "secret": "", "expires_at": None, "grants": grants}
    client = redis.Redis(unix_socket_path=str(valkey.socket))
    client.set(f"tg:dir:code:{hashlib.sha256(APP_CODE.encode()).hexdigest()}", json.dumps(entry))
    client.set(GENERATION_KEY, "test")
    client.set("tg:snapshot", json.dumps(document))
    client.set("tg:snapshot:version", version)
    client.publish("tg:invalidate", f"snapshot:{version}")
    client.close()


def apis_of(upstream: Upstream) -> list[ApiDefinition]:
    """What the stand serves: open, for known apps, with a small body limit, without an upstream, with a short time-out."""
    url = f"http://127.0.0.1:{upstream.port}"
    return [
        api(1, "/open", url, auth="anonymous"),
        api(2, "/shop", url),
        api(3, "/small", url, auth="anonymous", body_bytes_max=SMALL_BODY_BYTES),
        api(4, "/dead", f"http://127.0.0.1:{servers.port_free()}", auth="anonymous"),
        api(5, "/short", url, auth="anonymous", timeout_ms=SHORT_TIMEOUT_MS),
        api(6, "/prefix/v1", f"{url}/inner", auth="anonymous"),
        api(7, "/metadata", "http://169.254.169.254", auth="anonymous"),
    ]


@contextlib.contextmanager
def standing(*, workers: int = 1, **extra: str) -> Iterator[Stand]:
    """Start a stand; it is gone after the block."""
    folder: Path = harness.folder_make()
    valkey = Valkey(home=folder / "valkey")
    upstream = Upstream()
    try:
        valkey.start()
        publish(valkey, apis_of(upstream), version=1)
        environment = servers.environment_make(
            var=folder / "var", database_url="postgres://nobody@127.0.0.1:9/none", valkey_url=valkey.url()
        )
        with servers.gateway(environment, workers=workers, **extra) as gateway:
            stand = Stand(gateway, upstream, valkey)
            stand.warm(workers)
            upstream.reset()
            yield stand
    finally:
        upstream.close()
        valkey.stop()
        shutil.rmtree(folder, ignore_errors=True)
