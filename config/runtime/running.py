"""Where the Tollgate that runs now is reached: its supervisor notes it below var/, commands with another environment read it.

The note counts only while the supervisor that wrote it lives; a killed one's is as good as none.
"""

import contextlib
import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

from config.env import Settings
from config.runtime.leftovers import note_write, process_of

FILE_NAME = "running.json"


@dataclass(frozen=True)
class Addresses:
    """URLs as people and programs see them, and the ``host:port`` of portal, metrics and demo upstream on this machine."""

    portal_url: str
    gateway_url: str
    portal_bind: str
    metrics_bind: str
    upstream_bind: str


def addresses_of(settings: Settings) -> Addresses:
    """The addresses of this process's environment."""
    return Addresses(
        settings.public_url,
        settings.gateway_url,
        settings.portal_bind,
        settings.metrics_bind,
        settings.upstream_bind,
    )


def addresses_now(settings: Settings) -> Addresses:
    """The addresses of what runs on this var folder; of the environment when nothing runs."""
    path = settings.var / FILE_NAME
    if process_of(path) is not None:
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            return Addresses(**json.loads(path.read_text())["addresses"])
    return addresses_of(settings)


def running_note(settings: Settings) -> None:
    """Note this process as the supervisor, with its addresses."""
    note_write(settings.var / FILE_NAME, os.getpid(), addresses=asdict(addresses_of(settings)))


def running_forget(var: Path) -> None:
    """Drop the note: what it says is about to end."""
    (var / FILE_NAME).unlink(missing_ok=True)
