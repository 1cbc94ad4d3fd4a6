"""One portal with one scene for all browser tests of this folder: stores of its own, a real gunicorn, a real browser.

The browser tests change the scene only by adding to it, so that they can share it.
"""

import contextlib
import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests import servers


@dataclass(frozen=True)
class World:
    """A running portal: its address, what its scene holds, and where its mails go."""

    url: str
    facts: dict[str, Any]
    mail: Path


@contextlib.contextmanager
def world_running(scene: str) -> Iterator[World]:
    """Stores, the scene that the module ``scene`` makes in them, and a portal in front."""
    with servers.stores() as stores:
        argv = [sys.executable, "-m", scene]
        made = subprocess.run(
            argv, cwd=servers.ROOT, env=stores.environment, check=True, capture_output=True, text=True
        )
        facts = json.loads(made.stdout.splitlines()[-1])
        with servers.portal(stores.environment) as portal:
            yield World(url=portal.url, facts=facts, mail=stores.folder / "var" / "mail")


@pytest.fixture(scope="session")
def world() -> Iterator[World]:
    """The portal with the scene."""
    with world_running("tests.portal.scene") as world:
        yield world


@pytest.fixture(scope="session")
def states(world: World, browser: Any) -> dict[str, Any]:
    """The browser storage of each person of the scene, logged in once."""
    from tests.portal.looking import log_in

    people = {who for _name, who, _path in world.facts["pages"]}
    return {who: log_in(browser, world.url, who) for who in people}
