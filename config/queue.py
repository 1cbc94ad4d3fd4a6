"""Where Celery's queue is: the same for those who fill it, work it off, and beat time for it. No Django here."""

from typing import Any
from urllib.parse import parse_qs, urlsplit

VISIBILITY_TIMEOUT_S = 300
"""After this, a task that a killed worker had taken is given to another. Longer than any task may run."""

CONNECT_TIMEOUT_S = 2
"""The longest that a person's request waits for a broker that does not take connections."""

TRANSPORT_OPTIONS: dict[str, Any] = {
    "visibility_timeout": VISIBILITY_TIMEOUT_S,
    "socket_connect_timeout": CONNECT_TIMEOUT_S,
    "global_keyprefix": "tg:queue:",
    "socket_keepalive": True,
}


def broker_url(valkey_url: str) -> str:
    """The same Valkey in Celery's spelling: ``unix://…?db=0`` becomes ``redis+socket://…?virtual_host=0``."""
    parts = urlsplit(valkey_url)
    if parts.scheme != "unix":
        return valkey_url
    return f"redis+socket://{parts.path}?virtual_host={parse_qs(parts.query).get('db', ['0'])[0]}"
