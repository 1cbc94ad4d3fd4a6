"""Alice, Bob and Charlie, and what they have, as fixtures. (Imported before Django is ready: models come in late.)"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from marketplace.models import Api, App
    from tests.marketplace.people import Party


@pytest.fixture
def alice(db: None) -> Party:
    from tests.marketplace import people

    return people.alice_make()


@pytest.fixture
def bob(db: None) -> Party:
    from tests.marketplace import people

    return people.bob_make()


@pytest.fixture
def charlie(db: None) -> Party:
    from tests.marketplace import people

    return people.charlie_make()


@pytest.fixture
def api(alice: Party) -> Api:
    from tests.marketplace import people

    return people.api_make(alice)


@pytest.fixture
def app(bob: Party) -> App:
    from tests.marketplace import people

    return people.app_make(bob)
