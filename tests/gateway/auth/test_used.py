"""When a credential was last used: noted by the workers, kept in Valkey, moved to PostgreSQL, shown on pages."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from django.utils import timezone

from gateway.core.store_keys import USED_KEY
from gateway.dataplane.resp import StoreDown
from gateway.dataplane.used import UsedCredentials
from gateway.services import used as moving
from gateway.tasks import credentials_used
from marketplace.models import Credential
from tests.gateway.auth.clients import send
from tests.gateway.auth.world import world_make

if TYPE_CHECKING:
    from tests.gateway.auth.conftest import Live


def last_used(credential: Credential) -> datetime | None:
    return Credential.objects.get(id=credential.id).last_used_at


def test_a_call_through_the_gateway_shows_as_the_last_use_of_its_credential_only(live: Live, valkey: Any) -> None:
    began = timezone.now().replace(microsecond=0)
    answer = send(live.url, "/shop/echo", headers={"Authorization": f"APPCODE {live.world.code.app_code}"})
    assert answer.status == 200
    live.gateway.stop()  # a worker that drains tells what it knows; a running one does every ten seconds
    assert list(valkey.hkeys(USED_KEY)) == [str(live.world.code.credential.id).encode()]
    credentials_used()
    moment = last_used(live.world.code.credential)
    assert moment is not None
    assert began <= moment <= timezone.now()
    assert last_used(live.world.pair.credential) is None
    assert not valkey.exists(USED_KEY)


@pytest.mark.django_db
def test_only_later_uses_are_noted_and_foreign_fields_go(valkey: Any) -> None:
    world = world_make()
    credential = world.code.credential
    valkey.hset(USED_KEY, mapping={str(credential.id): 1_800_000_000, "no id": 5, str(world.app.id): 1_800_000_000})
    assert moving.credentials_used_collect() == 3
    assert last_used(credential) == datetime.fromtimestamp(1_800_000_000, UTC)
    valkey.hset(USED_KEY, mapping={str(credential.id): 1_700_000_000})
    moving.credentials_used_collect()
    assert last_used(credential) == datetime.fromtimestamp(1_800_000_000, UTC)
    assert not valkey.exists(USED_KEY)


@pytest.mark.django_db
def test_a_use_that_arrives_while_another_is_moved_stays(valkey: Any) -> None:
    credential = world_make().code.credential
    first, later = 1_800_000_000, 1_800_000_000 + int(timedelta(minutes=1).total_seconds())
    valkey.hset(USED_KEY, str(credential.id), later)
    valkey.eval(moving.TAKE_SCRIPT, 1, USED_KEY, str(credential.id), first)
    assert int(valkey.hget(USED_KEY, str(credential.id))) == later


def test_while_the_store_is_away_used_ids_are_kept() -> None:
    class Away:
        async def call(self, *args: object) -> None:
            raise StoreDown("away")

    used = UsedCredentials(Away())  # type: ignore[arg-type]
    used.ids.update({"a", "b"})
    asyncio.run(used.flush())
    assert used.ids == {"a", "b"}
