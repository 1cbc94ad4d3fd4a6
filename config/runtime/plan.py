"""The table of programs: what `up` runs here, with which command line, and how each shows that it is ready."""

import signal
import sys
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path

from config.embedded import places
from config.embedded.postgres import Postgres
from config.embedded.valkey import Valkey, answers
from config.env import BASE_DIR, Settings
from config.runtime.managed import Program

GATEWAY_DRAIN_S_MAX = 35.0
SERVER_STOP_S_MAX = 15.0
# The data plane stops first, while everything it needs still runs; then the doors and workers; the stores last.
STOP_ORDER = (("gateway",), ("portal", "shipper", "worker", "beat", "upstream"), ("valkey", "postgres"))


def stores_plan(settings: Settings, environ: Mapping[str, str]) -> tuple[Postgres | None, Valkey | None]:
    """The embedded servers, or None for each that the environment puts elsewhere."""
    home = places.postgres_home(settings.var)
    postgres = valkey = None
    if settings.database_url == places.postgres_url(home):
        postgres = Postgres(home=home, binaries=_folder(environ, "TOLLGATE_POSTGRES_BIN"))
    if settings.valkey_url.startswith(f"unix://{places.valkey_socket(places.valkey_home(settings.var))}"):
        valkey = Valkey(home=places.valkey_home(settings.var), binaries=_folder(environ, "TOLLGATE_VALKEY_BIN"))
    return postgres, valkey


def postgres_program(server: Postgres) -> Program:
    """The embedded PostgreSQL. SIGINT is its fast shutdown."""
    return Program(
        name="postgres",
        argv=tuple(server.argv()),
        env={"PATH": "/usr/bin:/bin", "LC_ALL": "C"},
        cwd=Path("/"),
        owner=server.owner,
        stop_signal=signal.SIGINT,
        stop_s_max=SERVER_STOP_S_MAX,
        is_ready=server.is_answering,
    )


def valkey_program(server: Valkey) -> Program:
    """The embedded Valkey."""
    return Program(
        name="valkey",
        argv=tuple(server.argv()),
        env={"PATH": "/usr/bin:/bin"},
        cwd=server.home,
        stop_s_max=SERVER_STOP_S_MAX,
        is_ready=lambda: answers(server.socket),
        prepare=server.prepare,
    )


def programs_plan(settings: Settings, environ: Mapping[str, str]) -> list[Program]:
    """Everything that stands on the stores."""
    python = sys.executable
    celery = (python, "-m", "celery", "--quiet", "-A", "config.celery")
    commands: dict[str, tuple[str, ...]] = {
        "gateway": (python, "-m", "gateway.dataplane"),
        "portal": (python, "-m", "gunicorn", "config.wsgi", *_gunicorn_options(settings)),
        "shipper": (python, "-m", "gateway.dataplane.shipper"),
        "worker": (
            *celery,
            "worker",
            "--concurrency",
            "2",
            "--without-gossip",
            "--without-mingle",
            "--loglevel",
            "INFO",
        ),
        "beat": (python, "-m", "config.beat"),
    }
    if settings.is_demo:
        commands["upstream"] = (python, "-m", "config.demo_upstream")
    ready = {
        "gateway": lambda: url_answers(f"http://{settings.metrics_bind}/readyz"),
        "portal": lambda: url_answers(f"http://{settings.portal_bind}/readyz"),
        "upstream": lambda: url_answers(f"http://{settings.upstream_bind}/readyz"),
    }
    env = {**environ, "PYTHONPATH": str(BASE_DIR), "PYTHONUNBUFFERED": "1", "DJANGO_SETTINGS_MODULE": "config.settings"}
    drain = {"gateway": GATEWAY_DRAIN_S_MAX}
    return [
        Program(
            name=name,
            argv=argv,
            env=env,
            cwd=BASE_DIR,
            stop_s_max=drain.get(name, 10.0),
            is_ready=ready.get(name),
        )
        for name, argv in commands.items()
    ]


def binds_plan(settings: Settings) -> dict[str, str]:
    """The addresses that must be free, by the variable that sets each."""
    binds = {
        "TOLLGATE_PORTAL_BIND": settings.portal_bind,
        "TOLLGATE_GATEWAY_BIND": settings.gateway_bind,
        "TOLLGATE_GATEWAY_METRICS_BIND": settings.metrics_bind,
    }
    return {**binds, "TOLLGATE_UPSTREAM_BIND": settings.upstream_bind} if settings.is_demo else binds


def url_answers(url: str) -> bool:
    """Whether this URL of ours answers 200 within two seconds."""
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:
            return bool(answer.status == 200)
    except (OSError, urllib.error.URLError):
        return False


def _gunicorn_options(settings: Settings) -> tuple[str, ...]:
    options = ("--bind", settings.portal_bind, "--workers", str(settings.portal_workers), "--worker-class", "gthread")
    return (*options, "--threads", "8", "--graceful-timeout", "5", "--timeout", "60", "--log-level", "warning")


def _folder(environ: Mapping[str, str], name: str) -> Path | None:
    return Path(environ[name]) if environ.get(name) else None
