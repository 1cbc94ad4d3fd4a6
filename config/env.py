"""Reads the environment, typed, in one place; every bad variable is reported at once, with an example. No Django here.

`config.settings` turns the result into Django's settings; `gateway.dataplane.settings` reads the same names for the data plane.
"""

import base64
import json
import os
import re
import secrets
from collections.abc import Callable, Mapping, MutableMapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlsplit

from environs import Env, EnvValidationError, ValidationError, validate

from config.embedded import places
from gateway.dataplane.settings import WORKERS_MAX

BASE_DIR = Path(__file__).resolve().parent.parent
ENVIRONMENTS = ("demo", "production", "test")
DEMO_SELLER = {
    "name": "Tollgate Demo GmbH",
    "address": "Example Street 1\n10115 Berlin",
    "country": "DE",
    "payment": [["Bank", "Example Bank (a demo: pay nothing)"], ["IBAN", "DE89370400440532013000"]],
}
"""Who issues the demo's invoices: nobody, but it reads like somebody."""
SECRET_KEY_CHARACTERS_MIN = 32
EMAIL_SCHEMES = ("submission", "smtp", "file", "console", "memory", "dummy")


class EnvironmentFault(Exception):
    """One or more environment variables are missing or wrong; the text lists all of them."""


@dataclass(frozen=True)
class Variable:
    """One environment variable: what it is for, a value that works, and what applies when it is absent."""

    name: str
    help: str
    example: str
    default: str | None = None


VARIABLES = (
    Variable(
        "TOLLGATE_ENV", "demo (own servers and secrets), production (everything explicit) or test", "production", "demo"
    ),
    Variable("SECRET_KEY", "Django's signing secret, at least 32 random characters; generated in demo", "x" * 50),
    Variable("DATABASE_URL", "PostgreSQL; embedded in demo", "postgresql://tollgate:secret@db.example:5432/tollgate"),
    Variable("VALKEY_URL", "Valkey or Redis; embedded in demo", "redis://cache.example:6379/0"),
    Variable(
        "TOLLGATE_SECRET_KEYS", "id:Fernet key pairs, the first is current; generated in demo", "k1:" + "A" * 43 + "="
    ),
    Variable("TOLLGATE_VAR", "folder of everything that is written", "/var/lib/tollgate-data", "<repository>/var"),
    Variable(
        "TOLLGATE_PUBLIC_URL", "the portal as people see it", "https://portal.example", "from TOLLGATE_PORTAL_BIND"
    ),
    Variable(
        "TOLLGATE_GATEWAY_URL", "the gateway as programs see it", "https://api.example", "from TOLLGATE_GATEWAY_BIND"
    ),
    Variable(
        "TOLLGATE_ALLOWED_HOSTS", "host names the portal answers to", "portal.example", "the host of the public URL"
    ),
    Variable("TOLLGATE_PROXY_COUNT", "trusted proxies in front of the portal", "1", "0"),
    Variable("TOLLGATE_PORTAL_BIND", "address:port of the portal", "127.0.0.1:8000", "127.0.0.1:8000"),
    Variable("TOLLGATE_PORTAL_WORKERS", "processes of the portal", "2", "1"),
    Variable("TOLLGATE_NODE", "name of this machine in usage records", "node-1", "the host name"),
    Variable("TOLLGATE_GATEWAY_BIND", "address:port of the gateway", "127.0.0.1:8080", "127.0.0.1:8080"),
    Variable("TOLLGATE_GATEWAY_WORKERS", f"processes of the gateway, 1 to {WORKERS_MAX}", "2", "2"),
    Variable("TOLLGATE_GATEWAY_METRICS_BIND", "address:port of /metrics", "127.0.0.1:9100", "127.0.0.1:9100"),
    Variable("TOLLGATE_UPSTREAM_BIND", "address:port of the demo upstream", "127.0.0.1:9000", "127.0.0.1:9000"),
    Variable(
        "TOLLGATE_UPSTREAM_PRIVATE",
        "1: providers may name private and loopback addresses as upstreams, since clusters are private; 0: public ones only",
        "0",
        "1",
    ),
    Variable(
        "TOLLGATE_UPSTREAM_CA_FILE",
        "PEM file of certificate authorities that https upstreams may use besides the machine's own",
        "/etc/ssl/cluster-ca.pem",
    ),
    Variable("TOLLGATE_JOURNAL_DIR", "usage journal of this node", "/var/lib/tollgate-data/journal", "<var>/journal"),
    Variable(
        "TOLLGATE_EVIDENCE_DIR", "shipped journal segments, kept", "/var/lib/tollgate-data/evidence", "<var>/evidence"
    ),
    Variable("TOLLGATE_JOURNAL_FSYNC", "1: a call is on the disk before its answer leaves", "1", "0"),
    Variable("TOLLGATE_SEAL_S", "seconds until a journal segment is sealed", "1", "1"),
    Variable(
        "TOLLGATE_POSTGRES_BIN",
        "folder of another PostgreSQL's programs for the embedded server",
        "/usr/lib/postgresql/17/bin",
    ),
    Variable("TOLLGATE_VALKEY_BIN", "folder of another Valkey's program for the embedded server", "/usr/bin"),
    Variable(
        "EMAIL_URL",
        "where e-mail goes: submission:// (STARTTLS), smtp:// (smtp://…:465?ssl=1: TLS at once), file:///folder, console:",
        "submission://person:secret@mail.example:587",
        "files below <var>/mail in demo",
    ),
    Variable(
        "EMAIL_FROM",
        "sender of our e-mail",
        "Tollgate <no-reply@portal.example>",
        "Tollgate <no-reply@tollgate.example>",
    ),
    Variable(
        "TOLLGATE_SECURITY_CONTACT",
        "mailto: or https: address for reports of weaknesses, shown at /.well-known/security.txt",
        "mailto:security@portal.example",
        "the sender of our e-mail",
    ),
    Variable(
        "TOLLGATE_SELLER",
        "who issues invoices, as JSON: name, address, country, tax_id, email, payment (a list of label and value)",
        '{"name": "Example GmbH", "address": "Street 1\\n10115 Berlin", "payment": [["IBAN", "DE89370400440532013000"]]}',
        '{"name": "Tollgate"}, in the demo with a made-up address and account',
    ),
    Variable("TOLLGATE_LOG_LEVEL", "DEBUG, INFO, WARNING or ERROR", "INFO", "INFO"),
    # What follows is read by the data plane alone (gateway.dataplane.settings), which checks it.
    Variable(
        "TOLLGATE_BODY_BYTES_MAX", "largest body of a call, in bytes; an API may set less", "1073741824", "8589934592"
    ),
    Variable("TOLLGATE_HEADER_TIMEOUT_S", "seconds for a request's header section", "15", "15"),
    Variable("TOLLGATE_BODY_TIMEOUT_S", "seconds that a client may pause in a body", "30", "30"),
    Variable("TOLLGATE_IDLE_TIMEOUT_S", "seconds that a connection of a client is kept without a request", "75", "75"),
    Variable("TOLLGATE_DRAIN_S", "seconds that calls under way get when a gateway stops", "30", "30"),
    Variable("TOLLGATE_UPSTREAM_CONNECTIONS_MAX", "connections of a worker to one upstream", "512", "512"),
    Variable("TOLLGATE_CLIENT_CONNECTIONS_MAX", "connections of clients to a worker", "20000", "20000"),
    Variable(
        "TOLLGATE_NONCE_STORE_DOWN",
        "signed calls whose nonce cannot be checked: route (refused where the API demands one), deny or allow",
        "deny",
        "route",
    ),
    Variable("TOLLGATE_SIGNATURE_VARIANTS", "1: also accept what other clients sign for repeated parameters", "0", "1"),
    Variable(
        "TOLLGATE_AUTH_FAILURES_PER_S",
        "failed authentications of one address that a worker bears per second; 0: no limit",
        "20",
        "20",
    ),
    Variable(
        "TOLLGATE_STORE_DEADLINE_MS",
        "milliseconds that a call waits for Valkey before it goes on, or is refused, without it",
        "100",
        "250",
    ),
)
_BY_NAME = {variable.name: variable for variable in VARIABLES}


@dataclass(frozen=True)
class Settings:
    """The environment, read. Addresses are ``host:port``; folders are absolute; times are seconds."""

    environment: str
    secret_key: str
    database: dict[str, Any]
    database_url: str
    valkey_url: str
    secret_keys: tuple[tuple[str, str], ...]
    var: Path
    public_url: str
    gateway_url: str
    allowed_hosts: tuple[str, ...]
    proxy_count: int
    portal_bind: str
    portal_workers: int
    gateway_bind: str
    gateway_workers: int
    metrics_bind: str
    upstream_bind: str
    upstream_private: bool
    journal_dir: Path
    evidence_dir: Path
    seal_s: float
    journal_fsync: bool
    email: dict[str, Any]
    email_from: str
    security_contact: str
    seller: dict[str, Any]
    log_level: str

    @property
    def is_demo(self) -> bool:
        """Whether this is the demo, which brings its own servers and secrets."""
        return self.environment == "demo"

    @property
    def is_https(self) -> bool:
        """Whether people reach the portal by TLS."""
        return self.public_url.startswith("https:")


def settings_read() -> Settings:
    """Read the process's environment. Raises EnvironmentFault that names every variable at fault."""
    demo_complete(os.environ)
    env = Env(eager=False)
    var = var_folder(os.environ)
    portal_bind = env.str("TOLLGATE_PORTAL_BIND", "127.0.0.1:8000", validate=_is_bind)
    gateway_bind = env.str("TOLLGATE_GATEWAY_BIND", "127.0.0.1:8080", validate=_is_bind)
    public_url = env.str("TOLLGATE_PUBLIC_URL", f"http://{portal_bind}", validate=_is_http_url)
    env.str("EMAIL_URL", *_email_default(), validate=_is_email_url)
    read = {
        "environment": env.str("TOLLGATE_ENV", "demo", validate=validate.OneOf(ENVIRONMENTS)),
        "secret_key": env.str("SECRET_KEY", validate=validate.Length(min=SECRET_KEY_CHARACTERS_MIN)),
        "database_url": env.str("DATABASE_URL", validate=_is_postgres_url),
        "database": env.dj_db_url("DATABASE_URL", conn_max_age=60, conn_health_checks=True),
        "valkey_url": env.str("VALKEY_URL", validate=_is_valkey_url),
        "secret_keys": tuple(_pairs(env.str("TOLLGATE_SECRET_KEYS", validate=_are_secret_keys))),
        "var": var,
        "public_url": public_url,
        "gateway_url": env.str("TOLLGATE_GATEWAY_URL", f"http://{gateway_bind}", validate=_is_http_url),
        "allowed_hosts": tuple(env.list("TOLLGATE_ALLOWED_HOSTS", [])),
        "proxy_count": env.int("TOLLGATE_PROXY_COUNT", 0, validate=validate.Range(0, 8)),
        "portal_bind": portal_bind,
        "portal_workers": env.int("TOLLGATE_PORTAL_WORKERS", 1, validate=validate.Range(1, WORKERS_MAX)),
        "gateway_bind": gateway_bind,
        "gateway_workers": env.int("TOLLGATE_GATEWAY_WORKERS", 2, validate=validate.Range(1, WORKERS_MAX)),
        "metrics_bind": env.str("TOLLGATE_GATEWAY_METRICS_BIND", "127.0.0.1:9100", validate=_is_bind),
        "upstream_bind": env.str("TOLLGATE_UPSTREAM_BIND", "127.0.0.1:9000", validate=_is_bind),
        "journal_dir": Path(env.str("TOLLGATE_JOURNAL_DIR", str(var / "journal"))).absolute(),
        "evidence_dir": Path(env.str("TOLLGATE_EVIDENCE_DIR", str(var / "evidence"))).absolute(),
        "seal_s": env.float("TOLLGATE_SEAL_S", 1.0, validate=validate.Range(0.05, 60)),
        "upstream_private": env.bool("TOLLGATE_UPSTREAM_PRIVATE", True),
        "journal_fsync": env.bool("TOLLGATE_JOURNAL_FSYNC", False),
        "email": env.dj_email_url("EMAIL_URL", *_email_default()),
        "email_from": env.str("EMAIL_FROM", "Tollgate <no-reply@tollgate.example>"),
        "security_contact": env.str("TOLLGATE_SECURITY_CONTACT", "", validate=_is_contact),
        "seller": env.json("TOLLGATE_SELLER", _seller_default(), validate=_is_seller),
        "log_level": env.str(
            "TOLLGATE_LOG_LEVEL", "INFO", validate=validate.OneOf(("DEBUG", "INFO", "WARNING", "ERROR"))
        ),
    }
    _seal(env)
    hosts = read["allowed_hosts"] or (urlsplit(public_url).hostname or "",)
    read["allowed_hosts"] = (
        tuple(dict.fromkeys((*hosts, "127.0.0.1", "localhost", "[::1]"))) if _is_local(read) else hosts
    )
    return Settings(**read)


def var_folder(environ: MutableMapping[str, str]) -> Path:
    """The folder of everything that is written, made absolute."""
    return Path(environ.get("TOLLGATE_VAR") or BASE_DIR / "var").absolute()


def demo_complete(environ: MutableMapping[str, str]) -> None:
    """In demo mode fill in what the demo brings itself: embedded servers and generated secrets. Elsewhere nothing.

    It writes to ``environ`` so that programs that do not read Django's settings (the data plane) find the same values.
    """
    if (environ.get("TOLLGATE_ENV") or "demo") != "demo":
        return
    var = var_folder(environ)
    environ.setdefault("TOLLGATE_ENV", "demo")
    environ.setdefault("TOLLGATE_VAR", str(var))
    if "DATABASE_URL" not in environ:
        environ["DATABASE_URL"] = places.postgres_url(places.postgres_home(var))
    environ.setdefault("VALKEY_URL", places.valkey_url(places.valkey_home(var)))
    environ.setdefault("EMAIL_URL", f"file://{var}/mail")
    if "SECRET_KEY" in environ and "TOLLGATE_SECRET_KEYS" in environ:
        return
    for name, value in demo_secrets(var).items():
        environ.setdefault(name, value)


def demo_secrets(var: Path) -> dict[str, str]:
    """The demo's secrets, generated once into ``secrets.json``, which only its owner can read."""
    path = var / "secrets.json"
    if not path.exists():
        var.mkdir(parents=True, exist_ok=True)
        fernet_key = base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()
        made = {"SECRET_KEY": secrets.token_urlsafe(50), "TOLLGATE_SECRET_KEYS": f"k1:{fernet_key}"}
        part = path.with_name(f"secrets.{os.getpid()}.part")
        part.touch(mode=0o600)
        part.write_text(json.dumps(made))
        try:
            os.link(part, path)  # the first process wins; the others read what it wrote
        except FileExistsError:
            pass
        finally:
            part.unlink()
    found: dict[str, str] = json.loads(path.read_text())
    return found


def _seal(env: Env) -> None:
    try:
        env.seal()
    except EnvValidationError as fault:
        lines = []
        for name, messages in sorted(dict(cast("Mapping[str, list[str]]", fault.error_messages)).items()):
            said = " ".join(dict.fromkeys(str(message) for message in messages))
            lines.append(f"  {name}: {said} Example: {name}={_BY_NAME[name].example}")
        message = "\n".join([f"The environment has {len(lines)} fault(s):", *lines])
        raise EnvironmentFault(message) from fault


def _email_default() -> tuple[str, ...]:
    """Production must say where e-mail goes: without it nobody can confirm an address, and no invoice arrives."""
    return () if os.environ.get("TOLLGATE_ENV") == "production" else ("dummy:",)


def _seller_default() -> dict[str, Any]:
    """The demo's invoices can be read and paid like real ones; elsewhere nobody's account is printed on one."""
    return dict(DEMO_SELLER) if (os.environ.get("TOLLGATE_ENV") or "demo") == "demo" else {"name": "Tollgate"}


def _is_email_url(value: str) -> None:
    if value.partition(":")[0] not in EMAIL_SCHEMES:
        raise ValidationError(f"Must begin with one of {', '.join(EMAIL_SCHEMES)}, then a colon.")


def _is_local(read: dict[str, Any]) -> bool:
    return read["environment"] in {"demo", "test"}


def _is_bind(value: str) -> None:
    host, _, port = value.rpartition(":")
    if not host or not port.isdecimal() or not 0 < int(port) < 65536:
        raise ValidationError("Must be address:port with a port from 1 to 65535.")


def _is_contact(value: str) -> None:
    if value and not re.fullmatch(r"(mailto:[^\s@]+@[^\s@]+|https://\S+)", value):
        raise ValidationError("Must be mailto:somebody@example.com or an https address.")


def _is_seller(value: Any) -> None:
    texts = ("name", "address", "country", "tax_id", "email")
    if not isinstance(value, dict) or not value.get("name") or not set(value) <= {*texts, "payment"}:
        raise ValidationError(
            "Must be a JSON object with a name, and at most address, country, tax_id, email, payment."
        )
    if not all(isinstance(value.get(name, ""), str) for name in texts):
        raise ValidationError("Each part of the seller but payment must be text.")
    pairs = value.get("payment", [])
    if not isinstance(pairs, list) or not all(
        isinstance(pair, list) and len(pair) == 2 and all(isinstance(text, str) for text in pair) for pair in pairs
    ):
        raise ValidationError("payment must be a list of [label, value].")


def _url_check(schemes: tuple[str, ...], what: str) -> Callable[[str], None]:
    def check(value: str) -> None:
        parts = urlsplit(value)
        if parts.scheme not in schemes or not (parts.netloc or parts.scheme == "unix"):
            raise ValidationError(f"Must be {what}.")

    return check


_is_http_url = _url_check(("http", "https"), "an http or https URL")
_is_postgres_url = _url_check(("postgres", "postgresql"), "a postgresql URL (PostgreSQL is the only database)")
_is_valkey_url = _url_check(("redis", "rediss", "unix"), "a redis, rediss or unix URL")


def _pairs(value: str | None) -> list[tuple[str, str]]:
    pairs = (entry.strip().partition(":") for entry in (value or "").split(",") if entry.strip())
    return [(key_id, key) for key_id, _, key in pairs]


def _are_secret_keys(value: str) -> None:
    pairs = _pairs(value)
    if not pairs:
        raise ValidationError("Must hold at least one id:key pair.")
    for key_id, key in pairs:
        try:
            is_key = len(base64.urlsafe_b64decode(key)) == 32
        except ValueError:
            is_key = False
        if not key_id or not is_key:
            raise ValidationError("Each entry must be id:key with a Fernet key (32 bytes, URL-safe base64).")
