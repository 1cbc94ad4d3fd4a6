"""What a peer is: a name, what it does on each call, and a way to start it in front of the upstream."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from bench.machine import Machine, program_find

APP_CODE = "0123456789abcdef0123456789abcdef"
AUTHORIZATION = {"Authorization": f"APPCODE {APP_CODE}"}


class PeerMissing(RuntimeError):
    """The peer's program is not on this machine; the text says which package has it."""


@dataclass(frozen=True)
class Peer:
    """``start(machine, upstream_port)`` returns the port to load. Raises PeerMissing or NotStarted."""

    name: str
    does: str
    start: Callable[[Machine, int], int]


def program_need(name: str, package: str) -> str:
    """Return where ``name`` is. Raises PeerMissing naming the package that has it."""
    path = program_find(name)
    if path is None:
        raise PeerMissing(f"{name} is not installed ({package})")
    return path
