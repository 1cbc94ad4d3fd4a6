"""The world of billing's tests as a fixture. (Imported before Django is ready: models come in late.)"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.billing.world import World


@pytest.fixture
def world(db: None) -> World:
    """Alice's Api and Bob's app, everybody in UTC."""
    from tests.billing.world import world_make

    return world_make()
