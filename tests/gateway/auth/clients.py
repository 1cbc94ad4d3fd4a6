"""The independent clients of the wire protocol, and plain HTTP beside them, as the live tests use them."""

import http.client
import json
import os
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

import pytest
from aliyun_api_gateway import ApiGatewayClient, ApiGatewayRequest, SignedRequest
from aliyun_api_gateway_sign_py3.com.aliyun.api.gateway.sdk.client import DefaultClient
from aliyun_api_gateway_sign_py3.com.aliyun.api.gateway.sdk.http.request import Request as Py3Request

NPM_PACKAGE = "aliyun-api-gateway@1.1.6"
NPM_INSTALL_S_MAX = 120
NPM_CALL_S_MAX = 60


@dataclass
class Answer:
    """What came back: status, headers by lower-case name, body."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def code(self) -> str:
        """The gateway's error code, empty when the upstream answered."""
        return self.headers.get("x-ca-error-code", "")

    @property
    def message(self) -> str:
        """The gateway's public text, as a person reads it."""
        return self.headers.get("x-ca-error-message", "").encode("latin-1").decode()


def send(
    url: str, target: str, *, method: str = "GET", headers: dict[str, str] | None = None, body: Any = None
) -> Answer:
    """One request on a connection of its own."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=10)
    try:
        connection.request(method, target, body=body, headers=headers or {})
        answer = connection.getresponse()
        return Answer(answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read())
    finally:
        connection.close()


def signed(
    url: str, key: str, secret: str, *, method: str = "GET", path: str = "/shop/echo", **options: Any
) -> SignedRequest:
    """A request signed by PyPI's aliyun-api-gateway-python, ready to be sent, changed or repeated."""
    moment = {name: options.pop(name) for name in ("timestamp", "nonce") if name in options}
    algorithm = options.pop("signature_method", "HmacSHA256")
    client = ApiGatewayClient(url, key, secret, signature_method=algorithm)
    return client.sign(ApiGatewayRequest(method, path, **options), **moment)


def send_signed(url: str, request: SignedRequest, **changed: str) -> Answer:
    """Send a signed request; ``changed`` replaces header values (underscores for hyphens) after signing."""
    parts = urlsplit(request.url)
    target = parts.path + (f"?{parts.query}" if parts.query else "")
    headers = {**request.headers, **{name.replace("_", "-"): value for name, value in changed.items()}}
    return send(url, target, method=request.method, headers=headers, body=request.body)


def send_py3(
    url: str,
    key: str,
    secret: str,
    *,
    path: str,
    method: str = "GET",
    form: dict[str, str] | None = None,
    json_body: Any = None,
) -> Answer:
    """A call whose headers PyPI's aliyun-api-gateway-sign-py3 makes. Its transport knows port 80 only, so ours sends it.

    It signs decoded text, given decoded text; and of a JSON body it signs nothing.
    """
    request = Py3Request(host=url, protocol="http", url=path, method=method, time_out=10_000)
    if form is not None:
        request.set_body(dict(form))
    request.set_content_type("application/x-www-form-urlencoded" if form is not None else "application/json")
    headers = DefaultClient(app_key=key, app_secret=secret).build_headers(request)
    body = urlencode(form) if form is not None else json.dumps(json_body) if json_body is not None else None
    return send(url, quote(path, safe="/?&="), method=method, headers=headers, body=body)


def npm_folder() -> Path:
    """A folder with the npm client installed, made once a machine. Skips the test, with the reason, when that cannot be."""
    npm = shutil.which("npm")
    if npm is None or shutil.which("node") is None:
        pytest.skip("no npm: install Debian's packages nodejs and npm to run the npm client's tests")
    kept = Path(tempfile.gettempdir()) / f"tollgate-npm-{os.getuid()}-{NPM_PACKAGE.replace('@', '-')}"
    if kept.is_dir():
        return kept
    fresh = Path(tempfile.mkdtemp(prefix="tollgate-npm-"))
    arguments = [npm, "install", "--prefix", str(fresh), "--ignore-scripts", "--no-audit", "--no-fund", NPM_PACKAGE]
    try:
        done = subprocess.run(arguments, capture_output=True, text=True, timeout=NPM_INSTALL_S_MAX, check=False)
    except subprocess.TimeoutExpired:
        done = None
    if done is None or done.returncode:
        shutil.rmtree(fresh, ignore_errors=True)
        pytest.skip(f"npm could not install {NPM_PACKAGE}: {done.stderr[-300:] if done else 'it took too long'}")
    try:
        fresh.rename(kept)
    except OSError:  # another worker was faster
        shutil.rmtree(fresh, ignore_errors=True)
    return kept


def npm_calls(key: str, secret: str, calls: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The answers of npm's aliyun-api-gateway to these calls ({method, url, options})."""
    script = Path(__file__).with_name("npm_client.js")
    environment = {**os.environ, "NODE_PATH": str(npm_folder() / "node_modules")}
    done = subprocess.run(
        [shutil.which("node") or "node", str(script)],
        input=json.dumps({"key": key, "secret": secret, "calls": calls}),
        capture_output=True,
        text=True,
        timeout=NPM_CALL_S_MAX,
        check=True,
        env=environment,
    )
    answers: list[dict[str, Any]] = json.loads(done.stdout)
    return answers
