"""Beat and a real Celery worker keep the gateways' store whole: what it loses comes back, what waits goes out."""

from typing import Any

import pytest

from gateway.services.publish import publish_all
from marketplace.models import Change
from tests import servers
from tests.gateway.auth.world import world_make
from tests.waiting import eventually

HEALED_S_MAX = 30.0
"""A loaded machine starts Celery slowly; on an idle one the store is whole again within some five seconds."""


@pytest.mark.slow
def test_a_store_that_lost_everything_is_filled_again_by_beat(live_environment: dict[str, str], valkey: Any) -> None:
    world = world_make()
    publish_all()
    key = f"tg:dir:key:{world.pair.app_key}"
    with servers.celery_worker(live_environment, with_beat=True) as celery:
        valkey.flushdb()
        assert eventually(
            lambda: bool(valkey.exists(key, "tg:snapshot", "tg:dir:complete") == 3), within_s=HEALED_S_MAX
        ), celery.logs()
        Change.objects.create(kind="app", subject_id=world.app.id)
        valkey.delete(key)
        assert eventually(lambda: bool(valkey.exists(key)), within_s=HEALED_S_MAX), celery.logs()
    assert not Change.objects.filter(published_at=None).exists()
