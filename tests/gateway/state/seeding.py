"""Writes snapshot and directory to a Valkey of a test's own, as the portal publishes them: no database is needed."""

import hashlib
import json
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from uuid import UUID

import redis

from config.embedded.valkey import Valkey
from gateway.dataplane.lease_scripts import GENERATION_KEY
from gateway.dataplane.snapshot import snapshot_checksum
from marketplace.contracts.definition import ApiDefinition, ApiPolicies, OperationDefinition, UpstreamDefinition
from marketplace.contracts.limits import Limits
from tests import harness, servers


@dataclass(frozen=True)
class Bob:
    """A consumer with one app and one grant, on the Api below ``/<path>``."""

    number: int
    limits: Limits
    path: str

    @property
    def app_id(self) -> str:
        return str(UUID(int=2_000_000 + self.number))

    @property
    def grant_id(self) -> UUID:
        return UUID(int=1_000_000 + self.number)

    @property
    def code(self) -> str:
        """The AppCode."""
        return hashlib.md5(b"bob %d" % self.number, usedforsecurity=False).hexdigest()


@contextmanager
def valkey_own() -> Iterator[tuple[Path, Valkey]]:
    """A folder and a Valkey for one test."""
    folder = harness.folder_make()
    valkey = Valkey(home=folder / "valkey")
    try:
        valkey.start()
        yield folder, valkey
    finally:
        valkey.stop()
        shutil.rmtree(folder, ignore_errors=True)


def publish(valkey: Valkey, policies: Mapping[str, ApiPolicies], bobs: Iterable[Bob], *, upstream_url: str) -> None:
    """Publish one Api for each path with its policies, and every Bob; the quota counters are complete."""
    apis = {path: api_make(number, path, of, upstream_url) for number, (path, of) in enumerate(policies.items(), 1)}
    values = json.loads(json.dumps([asdict(api) for api in apis.values()]))
    client = redis.Redis(unix_socket_path=str(valkey.socket))
    for bob in bobs:
        name = f"tg:dir:code:{hashlib.sha256(bob.code.encode()).hexdigest()}"
        client.set(name, json.dumps(entry_make(bob, apis[bob.path].api_id)))
    client.set("tg:dir:complete", "1")
    client.set(GENERATION_KEY, "first")
    client.set("tg:snapshot", json.dumps({"version": 1, "checksum": snapshot_checksum(values), "apis": values}))
    client.set("tg:snapshot:version", 1)
    client.close()


def api_make(number: int, path: str, policies: ApiPolicies, upstream_url: str) -> ApiDefinition:
    """An Api with one operation, ``GET /now``."""
    return ApiDefinition(
        api_id=str(UUID(int=number)),
        api_name=path,
        provider_id=str(UUID(int=500)),
        deployment_id=str(UUID(int=600 + number)),
        stage="release",
        base_path=f"/{path}",
        upstream=UpstreamDefinition(url=upstream_url),
        operations=(OperationDefinition(str(UUID(int=700 + number)), "GET", "/now", "now"),),
        policies=policies,
    )


def entry_make(bob: Bob, api_id: str) -> dict[str, object]:
    """Bob's entry in the directory."""
    grant = {"id": str(bob.grant_id), "api_id": api_id, "stage": "release", "starts_at": 0, "ends_at": None}
    return {
        "app_id": bob.app_id,
        "app_name": "Bob's app",
        "organization_id": str(UUID(int=5_000_000 + bob.number)),
        "organization_name": "Bob Shop",
        "suspended": False,
        "credential_id": str(UUID(int=3_000_000 + bob.number)),
        "kind": "app_code",
        "secret": "",
        "expires_at": None,
        "grants": [{**grant, "limits": asdict(bob.limits)}],
    }


def upstream_program(folder: Path) -> servers.Program:
    """The upstream of tests.chaos.load as a program of its own, on a free port."""
    port = servers.port_free()
    environment = servers.environment_make(var=folder / "var", database_url="", valkey_url="")
    url = f"http://127.0.0.1:{port}"
    return servers.Program(
        "-m",
        "tests.chaos.load",
        str(port),
        name="upstream",
        environment=environment,
        is_ready=lambda program: servers.answers(f"{url}/now"),
        url=url,
    )
