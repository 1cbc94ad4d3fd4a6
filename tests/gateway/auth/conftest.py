"""The live gateway of the auth tests: two workers in front of the demo upstream, with Alice's API and Bob's app.

Models are imported inside fixtures: pytest reads this file before Django is set up.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from tests import servers

if TYPE_CHECKING:
    from tests.gateway.auth.world import World


@dataclass
class Live:
    """A running gateway, what it serves, and its world."""

    url: str
    gateway: servers.Program
    environment: dict[str, str]
    world: World

    @property
    def key(self) -> str:
        return self.world.pair.app_key

    @property
    def secret(self) -> str:
        return self.world.pair.app_secret


@pytest.fixture
def live_make(live_environment: dict[str, str]) -> Iterator[Callable[..., Live]]:
    """Start a gateway for the test: ``live_make(policies=…, workers=…, TOLLGATE_…=…)``."""
    from gateway.services.publish import publish_all
    from tests.gateway.auth.world import world_make

    with ExitStack() as stack:

        def make(*, policies: dict[str, Any] | None = None, workers: int = 1, **extra: str) -> Live:
            upstream = stack.enter_context(servers.upstream(live_environment))
            world = world_make(upstream_url=upstream.url, policies=policies)
            publish_all()
            gateway = stack.enter_context(servers.gateway(live_environment, workers=workers, **extra))
            return Live(gateway.url, gateway, live_environment, world)

        yield make


@pytest.fixture
def live(live_make: Callable[..., Live]) -> Live:
    """A gateway with two workers and ordinary policies."""
    return live_make(workers=2)
