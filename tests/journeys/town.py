"""The whole of Tollgate, running for one story: portal, gateway with two workers, shipper, Celery with beat, upstream."""

import contextlib
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from tests import servers

T = TypeVar("T")

WAIT_S_MAX = 60.0
"""A generous bound for what happens by itself; how long it took is written down, never asserted."""

POLL_S = 0.1
GATEWAY_WORKERS = 2
SELLER = '{"name": "Tollgate Test GmbH", "address": "Street 1\\n10115 Berlin", "payment": [["IBAN", "DE89370400440532013000"]]}'


@dataclass
class Town:
    """What runs, where its mail goes, and how long things took (seconds, by name)."""

    portal_url: str
    gateway_url: str
    upstream_url: str
    environment: dict[str, str]
    took_s: dict[str, float] = field(default_factory=dict)

    @property
    def mail(self) -> Path:
        """The folder of the mail's file backend."""
        return Path(self.environment["TOLLGATE_VAR"]) / "mail"

    def wait(self, name: str, look: Callable[[], T | None], *, since: float = 0.0) -> T:
        """Look until something is there; write down how long it took under ``name``, from ``since`` (monotonic) or now."""
        began = since or time.monotonic()
        while True:
            found = look()
            if found:
                self.took_s[name] = time.monotonic() - began
                return found
            if time.monotonic() - began > WAIT_S_MAX:
                raise AssertionError(f"{name}: not within {WAIT_S_MAX:.0f} s")
            time.sleep(POLL_S)

    def manage(self, *arguments: str) -> str:
        """Run a management command as an operator would; its standard output."""
        return self.python("manage.py", *arguments)

    def python(self, *arguments: str) -> str:
        """Run Python in the project's folder with the town's environment; its standard output."""
        done = subprocess.run(
            [sys.executable, *arguments],
            cwd=servers.ROOT,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=WAIT_S_MAX * 3,
        )
        assert done.returncode == 0, f"{arguments} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}"
        return done.stdout


@contextlib.contextmanager
def town_open(environment: Mapping[str, str]) -> Iterator[Town]:
    """Start everything; the gateway gets its first snapshot from ``manage.py publish``, as after `make run`."""
    from django.core.management import call_command

    call_command("publish")
    shared = {**environment, "TOLLGATE_SELLER": SELLER}
    bind = f"127.0.0.1:{servers.port_free()}"
    shared["TOLLGATE_PUBLIC_URL"] = f"http://{bind}"
    with contextlib.ExitStack() as stack:
        upstream = stack.enter_context(servers.upstream(shared))
        shared["TOLLGATE_UPSTREAM_BIND"] = upstream.environment["TOLLGATE_UPSTREAM_BIND"]
        gateway = stack.enter_context(servers.gateway(shared, workers=GATEWAY_WORKERS))
        shared["TOLLGATE_GATEWAY_URL"] = gateway.url
        stack.enter_context(servers.shipper(shared))
        stack.enter_context(servers.celery_worker(shared, with_beat=True))
        portal = stack.enter_context(servers.portal(shared, TOLLGATE_PORTAL_BIND=bind))
        yield Town(portal.url, gateway.url, upstream.url, shared)
