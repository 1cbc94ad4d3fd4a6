"""Plane: the parts of one worker that steps may use, in one place. It decides nothing; worker.py builds it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gateway.dataplane.auth_watch import AuthWatch
    from gateway.dataplane.directory import Directory
    from gateway.dataplane.journal import Journal
    from gateway.dataplane.leases import Leases
    from gateway.dataplane.metrics import Metrics
    from gateway.dataplane.settings import Settings
    from gateway.dataplane.snapshot import Snapshot
    from gateway.dataplane.store import Store
    from gateway.dataplane.subscriber import Subscriber
    from gateway.dataplane.upstream import Upstreams
    from gateway.dataplane.used import UsedCredentials


@dataclass(slots=True)
class Plane:
    """One worker's parts. ``snapshot`` is replaced whole by each new version; the rest lives as long as the worker.

    ``aside`` is the one thread for what would hold up the event loop (signatures over long forms); it starts at first use.
    """

    settings: Settings
    store: Store
    subscriber: Subscriber
    directory: Directory
    leases: Leases
    journal: Journal
    metrics: Metrics
    upstreams: Upstreams
    used: UsedCredentials
    snapshot: Snapshot
    draining: bool = False
    aside: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(1, "aside"))
    auth_watch: AuthWatch | None = None
    """Made by the first route that authenticates (auth_watch.watch_of)."""
