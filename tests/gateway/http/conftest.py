"""Fixtures of the HTTP tests: one gateway and one upstream for each module, because starting them is what costs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.gateway.http.stand import Stand


@pytest.fixture(scope="module")
def module_stand() -> Iterator[Stand]:
    from tests.gateway.http.stand import standing

    with standing() as stand:
        yield stand


@pytest.fixture
def stand(module_stand: Stand) -> Stand:
    """The module's gateway, with an upstream that has seen nothing yet."""
    module_stand.upstream.reset()
    return module_stand
