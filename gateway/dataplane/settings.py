"""Settings of the data plane, from the environment; every bad variable is reported at once. No Django here.

Neighbours: ``config/settings.py`` reads the same names for the portal.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")

REPOSITORY = Path(__file__).resolve().parents[2]
WORKERS_MAX = 256
"""Most processes of one door on one machine. `config.env` takes the number from here."""


class SettingsInvalid(ValueError):
    """One or more environment variables are wrong; the message has one line for each."""


@dataclass(frozen=True, slots=True)
class Settings:
    """All that the data plane is told from outside. Binds are ``host:port``; times in seconds end in ``_s``.

    ``nonce_store_down``: what becomes of a signed call whose nonce cannot be checked: ``route`` refuses it on Apis that
    demand a nonce and lets it pass elsewhere, ``deny`` refuses, ``allow`` lets pass. ``signature_variants``: also accept
    what clients sign for repeated parameters (docs/authentication.md). ``auth_failures_per_s``: failed
    authentications of one address that a worker bears before it refuses it look-ups; 0 does not limit them.
    ``upstream_private``: whether upstreams may have private addresses. ``upstream_ca_file``: authorities that https
    upstreams may use besides the machine's. ``store_deadline_ms``: how long a call may wait
    for Valkey before it goes on, or is refused, without it.
    """

    node: str
    var_dir: Path
    valkey_url: str
    bind_host: str
    bind_port: int
    workers: int
    metrics_host: str
    metrics_port: int
    journal_dir: Path
    evidence_dir: Path
    journal_fsync: bool
    seal_s: float
    public_url: str
    secret_keys: str
    database_url: str
    body_bytes_max: int
    header_timeout_s: float
    body_timeout_s: float
    idle_timeout_s: float
    drain_s: float
    upstream_connections_max: int
    client_connections_max: int
    nonce_store_down: str
    signature_variants: bool
    auth_failures_per_s: int
    store_deadline_ms: int
    upstream_private: bool
    upstream_ca_file: Path | None

    @property
    def snapshot_path(self) -> Path:
        """Where the last good snapshot is kept, so that a gateway starts while Valkey is down."""
        return self.var_dir / "gateway" / "snapshot.json"


class _Reader:
    """Reads typed variables from one environment and collects what is wrong."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self.environ = environ
        self.faults: list[str] = []

    def read(self, name: str, default: str, parse: Callable[[str], T]) -> T:
        text = self.environ.get(name) or default
        try:
            return parse(text)
        except ValueError as fault:
            self.faults.append(f"{name}={text!r}: {fault}")
            return parse(default)


def _bind(text: str) -> tuple[str, int]:
    host, separator, port = text.rpartition(":")
    if not separator or not host or not port.isascii() or not port.isdigit() or not 0 <= int(port) <= 65535:
        raise ValueError("expected host:port")
    return host.strip("[]"), int(port)


def _number(low: float, high: float) -> Callable[[str], float]:
    def parse(text: str) -> float:
        value = float(text)
        if not low <= value <= high:
            raise ValueError(f"expected a number from {low:g} to {high:g}")
        return value

    return parse


def _integer(low: int, high: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        value = int(text)
        if not low <= value <= high:
            raise ValueError(f"expected a whole number from {low} to {high}")
        return value

    return parse


def _choice(*allowed: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if text not in allowed:
            raise ValueError(f"expected one of {', '.join(allowed)}")
        return text

    return parse


def _flag(text: str) -> bool:
    if text not in ("0", "1"):
        raise ValueError("expected 0 or 1")
    return text == "1"


def _url(text: str) -> str:
    if not text.startswith(("http://", "https://")):
        raise ValueError("expected a URL that begins with http:// or https://")
    return text.rstrip("/")


def _valkey(text: str) -> str:
    if not text.startswith(("redis://", "rediss://", "valkey://", "unix://")):
        raise ValueError("expected redis://host:port/db or unix://path?db=0")
    return text


def _authorities(text: str) -> Path | None:
    """A file of certificates that can be read, since finding out at the first call would be too late."""
    if not text:
        return None
    try:
        ssl.create_default_context(cafile=text)
    except OSError as fault:
        raise ValueError(f"expected a PEM file of certificates ({fault.strerror or fault})") from None
    return Path(text).absolute()


def settings_read(environ: Mapping[str, str]) -> Settings:
    """Read the settings. Raises SettingsInvalid with every fault, one a line."""
    reader = _Reader(environ)
    read = reader.read
    var = read("TOLLGATE_VAR", str(REPOSITORY / "var"), Path)
    bind = read("TOLLGATE_GATEWAY_BIND", "127.0.0.1:8080", _bind)
    metrics = read("TOLLGATE_GATEWAY_METRICS_BIND", "127.0.0.1:9100", _bind)
    portal = read("TOLLGATE_PORTAL_BIND", "127.0.0.1:8000", str)
    seconds = _number(0.1, 3600)
    settings = Settings(
        node=read("TOLLGATE_NODE", socket.gethostname() or "node", str),
        var_dir=var,
        valkey_url=read("VALKEY_URL", f"unix://{var / 'valkey' / 'valkey.sock'}?db=0", _valkey),
        bind_host=bind[0],
        bind_port=bind[1],
        workers=read("TOLLGATE_GATEWAY_WORKERS", "2", _integer(1, WORKERS_MAX)),
        metrics_host=metrics[0],
        metrics_port=metrics[1],
        journal_dir=read("TOLLGATE_JOURNAL_DIR", str(var / "journal"), Path),
        evidence_dir=read("TOLLGATE_EVIDENCE_DIR", str(var / "evidence"), Path),
        journal_fsync=read("TOLLGATE_JOURNAL_FSYNC", "0", _flag),
        seal_s=read("TOLLGATE_SEAL_S", "1", _number(0.05, 60)),
        public_url=read("TOLLGATE_PUBLIC_URL", f"http://{portal}", _url),
        secret_keys=read("TOLLGATE_SECRET_KEYS", "", str),
        database_url=read("DATABASE_URL", "", str),
        body_bytes_max=read("TOLLGATE_BODY_BYTES_MAX", str(8 << 30), _integer(0, 1 << 50)),
        header_timeout_s=read("TOLLGATE_HEADER_TIMEOUT_S", "15", seconds),
        body_timeout_s=read("TOLLGATE_BODY_TIMEOUT_S", "30", seconds),
        idle_timeout_s=read("TOLLGATE_IDLE_TIMEOUT_S", "75", seconds),
        drain_s=read("TOLLGATE_DRAIN_S", "30", seconds),
        upstream_connections_max=read("TOLLGATE_UPSTREAM_CONNECTIONS_MAX", "512", _integer(1, 65_000)),
        client_connections_max=read("TOLLGATE_CLIENT_CONNECTIONS_MAX", "20000", _integer(1, 1_000_000)),
        nonce_store_down=read("TOLLGATE_NONCE_STORE_DOWN", "route", _choice("route", "deny", "allow")),
        signature_variants=read("TOLLGATE_SIGNATURE_VARIANTS", "1", _flag),
        auth_failures_per_s=read("TOLLGATE_AUTH_FAILURES_PER_S", "20", _integer(0, 1_000_000)),
        upstream_private=read("TOLLGATE_UPSTREAM_PRIVATE", "1", _flag),
        upstream_ca_file=read("TOLLGATE_UPSTREAM_CA_FILE", "", _authorities),
        store_deadline_ms=read("TOLLGATE_STORE_DEADLINE_MS", "250", _integer(5, 5_000)),
    )
    if reader.faults:
        raise SettingsInvalid("\n".join(reader.faults))
    return settings
