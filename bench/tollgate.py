"""Our own gateway as a target of the bench: one worker on the server core, Valkey on the load core, journal on.

The snapshot and the directory are written to Valkey in the form that the portal publishes, so that the data plane measured
here is the one that serves: simple credential or signature, grant, rate limit, hard quota, journal.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
import sys
import time
import uuid
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from urllib.request import urlopen

from cryptography.fernet import Fernet

from bench.machine import LOAD_CORE, SERVER_CORE, Machine, port_free
from bench.peers.base import APP_CODE
from config.embedded.valkey import Valkey
from gateway.dataplane.lease_scripts import GENERATION_KEY
from gateway.dataplane.snapshot import snapshot_checksum
from marketplace.contracts.definition import ApiDefinition, ApiPolicies, OperationDefinition, UpstreamDefinition
from marketplace.contracts.limits import Limits, QuotaLimit, RateLimit

RATE_CALLS = 1_000_000
QUOTA_UNITS = 1_000_000_000
BASE_PATH = "/bench"
PATH = f"{BASE_PATH}/v1/current"
APP_KEY = "bench-app-key"
APP_SECRET = "bench-app-secret"


@dataclass(frozen=True)
class Gateway:
    """A running gateway: the port to load, the worker's process id, and the Valkey behind it."""

    port: int
    metrics_port: int
    pid: int
    valkey: Valkey


def code_of(number: int) -> str:
    """The AppCode of app ``number``; number 0 has the code that the peers check."""
    return APP_CODE if number == 0 else hashlib.md5(b"bench-%d" % number).hexdigest()


def definition(upstream: int) -> ApiDefinition:
    """One Api with one operation, limited by app."""
    return ApiDefinition(
        api_id=str(uuid.UUID(int=1)),
        api_name="Bench",
        provider_id=str(uuid.UUID(int=2)),
        deployment_id=str(uuid.UUID(int=3)),
        stage="release",
        base_path=BASE_PATH,
        upstream=UpstreamDefinition(url=f"http://127.0.0.1:{upstream}"),
        operations=(OperationDefinition(str(uuid.UUID(int=4)), "GET", "/v1/current", "current"),),
        policies=ApiPolicies(rate_app=RateLimit(RATE_CALLS, 1)),
    )


def entry(number: int, *, secret: str, key: bool) -> dict[str, Any]:
    """The directory's entry for app ``number`` (see gateway/README.md for its form)."""
    limits = Limits(plan_name="Bench", rates=(), quota=QuotaLimit(QUOTA_UNITS, "month"))
    grant = {
        "id": str(uuid.UUID(int=0x100000 + number)),
        "api_id": str(uuid.UUID(int=1)),
        "stage": "release",
        "starts_at": 0,
        "ends_at": None,
        "limits": asdict(limits),
    }
    return {
        "app_id": str(uuid.UUID(int=0x200000 + number)),
        "app_name": f"Bench {number}",
        "organization_id": str(uuid.UUID(int=0x300000 + number)),
        "organization_name": "Bench",
        "suspended": False,
        "credential_id": str(uuid.UUID(int=0x400000 + number)),
        "kind": "key_pair" if key else "app_code",
        "secret": secret if key else "",
        "expires_at": None,
        "grants": [grant],
    }


def directory_write(valkey: Valkey, *, upstream: int, apps: int, ring: str) -> None:
    """Write the snapshot and ``apps`` apps to Valkey, one of them with a signing pair too."""
    import redis

    key_id, _, key = ring.partition(":")
    secret = f"{key_id}:{Fernet(key).encrypt(APP_SECRET.encode()).decode()}"
    client = redis.Redis(unix_socket_path=str(valkey.socket))
    apis = [json.loads(json.dumps(asdict(definition(upstream))))]
    snapshot = {"version": 1, "checksum": snapshot_checksum(apis), "apis": apis}
    with client.pipeline(transaction=False) as pipe:
        pipe.set("tg:snapshot", json.dumps(snapshot))
        pipe.set("tg:snapshot:version", 1)
        pipe.set(GENERATION_KEY, "bench")  # the counters are whole: there is no shipper here that would say so
        pipe.set(f"tg:dir:key:{APP_KEY}", json.dumps(entry(0, secret=secret, key=True)))
        for number in range(apps):
            digest = hashlib.sha256(code_of(number).encode()).hexdigest()
            pipe.set(f"tg:dir:code:{digest}", json.dumps(entry(number, secret="", key=False)))
        pipe.execute()
    client.close()


def gateway_start(machine: Machine, upstream: int, *, apps: int = 1) -> Gateway:
    """Start Valkey and one worker of the gateway. Raises NotStarted."""
    import os

    ring = f"bench:{Fernet.generate_key().decode()}"
    valkey = Valkey(home=machine.folder / "valkey", options={"appendonly": "no"})
    valkey.prepare()
    machine.start(valkey.argv(), core=LOAD_CORE)
    valkey.wait_ready()
    directory_write(valkey, upstream=upstream, apps=apps, ring=ring)
    port, metrics_port = port_free(), port_free()
    environment = {
        "TOLLGATE_ENV": "production",
        "SECRET_KEY": "bench",
        "TOLLGATE_VAR": str(machine.folder / "var"),
        "TOLLGATE_SECRET_KEYS": ring,
        "VALKEY_URL": valkey.url(),
        "TOLLGATE_GATEWAY_BIND": f"127.0.0.1:{port}",
        "TOLLGATE_GATEWAY_METRICS_BIND": f"127.0.0.1:{metrics_port}",
        "TOLLGATE_GATEWAY_WORKERS": "1",
        "TOLLGATE_NODE": "bench",
        "PYTHONPATH": os.pathsep.join([str(Path(__file__).resolve().parent.parent)]),
    }
    process = machine.start(
        [sys.executable, "-m", "gateway.dataplane"],
        core=SERVER_CORE,
        port=port,
        environment=environment,
    )
    return Gateway(port=port, metrics_port=metrics_port, pid=process.pid, valkey=valkey)


def worker_memory_bytes(gateway: Gateway) -> int:
    """Resident memory of the largest worker of the gateway, in bytes."""
    import psutil

    workers = psutil.Process(gateway.pid).children(recursive=True) or [psutil.Process(gateway.pid)]
    return max(worker.memory_info().rss for worker in workers)


REPORT_SECONDS = 1.5
"""How old the numbers on the metrics port may be: workers report once a second."""


def counter(gateway: Gateway, name: str) -> float:
    """A counter of the gateway's metrics, summed over its labels."""
    time.sleep(REPORT_SECONDS)
    with urlopen(f"http://127.0.0.1:{gateway.metrics_port}/metrics", timeout=5) as answer:
        lines = answer.read().decode().splitlines()
    return sum(float(line.rpartition(" ")[2]) for line in lines if re.match(rf"{name}[{{ ]", line))


def signatures_make(count: int) -> list[tuple[str, str]]:
    """``count`` fresh (nonce, signature) pairs for GET PATH, timestamped ``timestamp_now()`` (docs/authentication.md)."""
    stamp = timestamp_now()
    pairs = []
    for _ in range(count):
        nonce = uuid.uuid4().hex
        text = f"GET\napplication/json\n\n\n\nX-Ca-Key:{APP_KEY}\nX-Ca-Nonce:{nonce}\nX-Ca-Timestamp:{stamp}\n{PATH}"
        digest = hmac.digest(APP_SECRET.encode(), text.encode(), "sha256")
        pairs.append((nonce, base64.b64encode(digest).decode()))
    return pairs


_STAMP = str(int(time.time() * 1000))


def timestamp_now() -> str:
    """The one X-Ca-Timestamp of this run, milliseconds; a run lasts far less than the 15 minutes it is valid."""
    return _STAMP


SIGNED_SCRIPT = """
local pairs_ = {{}}
for line in io.lines("{data}") do pairs_[#pairs_ + 1] = line end
local head = "GET {path} HTTP/1.1\\r\\nHost: bench\\r\\nAccept: application/json\\r\\nX-Ca-Key: {key}\\r\\n" ..
  "X-Ca-Timestamp: {stamp}\\r\\nX-Ca-Signature-Headers: X-Ca-Key,X-Ca-Nonce,X-Ca-Timestamp\\r\\nX-Ca-Nonce: "
local at = 0
function request()
  at = at + 1
  local line = pairs_[at]
  return head .. line:sub(1, 32) .. "\\r\\nX-Ca-Signature: " .. line:sub(34) .. "\\r\\n\\r\\n"
end
"""


def signed_script(folder: Path, *, count: int, name: str) -> Path:
    """Write a wrk script that sends ``count`` signed calls, each with a nonce of its own."""
    data = folder / f"{name}.txt"
    data.write_text("".join(f"{nonce} {signature}\n" for nonce, signature in signatures_make(count)))
    path = folder / f"{name}.lua"
    path.write_text(SIGNED_SCRIPT.format(data=data, path=PATH, key=APP_KEY, stamp=timestamp_now()))
    return path


MANY_APPS_SCRIPT = """
local codes = {{}}
for line in io.lines("{data}") do codes[#codes + 1] = line end
local at = 0
function request()
  at = at % #codes + 1
  return "GET {path} HTTP/1.1\\r\\nHost: bench\\r\\nAuthorization: APPCODE " .. codes[at] .. "\\r\\n\\r\\n"
end
"""


def many_apps_script(folder: Path, *, apps: int) -> Path:
    """Write a wrk script that calls as each of ``apps`` apps in turn."""
    data = folder / "codes.txt"
    data.write_text("".join(f"{code_of(number)}\n" for number in range(apps)))
    path = folder / "many-apps.lua"
    path.write_text(MANY_APPS_SCRIPT.format(data=data, path=PATH))
    return path
