"""A grant whose limits turn: at that second, by the gateway's own clock, for every credential, whoever has rewritten the grant or not."""

import json
import time
from dataclasses import asdict, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import pytest

from gateway.dataplane.directory import Entry
from gateway.dataplane.steps import authorize
from marketplace.contracts.limits import Limits, LimitsTurn, QuotaLimit
from tests.gateway.state.parts import API, APP, ORGANIZATION, Worker, generation_set, grant_dict, workers

pytestmark = pytest.mark.asyncio
GRANT = UUID(int=78)
QUOTA = QuotaLimit(units=50, window="day")
BASIC, PLUS = Limits(plan_name="Basic", quota=QUOTA), Limits(plan_name="Plus", quota=replace(QUOTA, units=80))
HOUR_S = 3600


def publish(valkey: Any, *codes: str, to: Limits, at: int) -> None:
    """Write an entry for each code, all of one grant, as the portal publishes it."""
    grant = grant_dict(GRANT, BASIC)
    grant["limits"]["turn"] = asdict(LimitsTurn(at, to))
    common = {"app_id": str(APP), "app_name": "Bob's app", "organization_id": str(ORGANIZATION)}
    common |= {"organization_name": "Bob Shop", "suspended": False, "credential_id": str(UUID(int=5))}
    for code in codes:
        entry = {**common, "kind": "app_code", "secret": "", "expires_at": None, "grants": [grant]}
        valkey.set(f"tg:dir:code:{code}", json.dumps(entry))
    valkey.set("tg:dir:complete", "1")


async def entry_of(worker: Worker, code: str) -> Entry:
    entry = await worker.directory.load_by_code(code)
    assert entry is not None
    return entry


def plan_at(worker: Worker, entry: Entry, moment: float) -> tuple[str, int]:
    """Let a call of that moment be authorized; the plan and the quota that it is then held to (-1: none)."""
    plane: Any = SimpleNamespace(used=SimpleNamespace(ids=set()), leases=worker.leases)
    route: Any = SimpleNamespace(auth="app", api_id=str(API), stage="release")
    call: Any = SimpleNamespace(entry=entry, received_at=moment, grant=None)
    step = authorize.compile(route, plane)
    assert step is not None
    step(call)
    return call.grant.limits.plan_name, call.grant.quota.bucket.units if call.grant.quota else -1


async def test_limits_turn_at_their_second_for_every_credential_of_the_grant(tmp_path: Path, valkey: Any) -> None:
    generation_set(valkey)
    at = int(time.time()) + HOUR_S
    publish(valkey, "a" * 64, "b" * 64, to=PLUS, at=at)
    async with workers(tmp_path, 1) as (worker,):
        first, second = await entry_of(worker, "a" * 64), await entry_of(worker, "b" * 64)
        assert plan_at(worker, first, at - 0.001) == plan_at(worker, second, at - 0.001) == ("Basic", 50)
        assert plan_at(worker, first, at) == plan_at(worker, second, at + 0.5) == ("Plus", 80)
        assert first.grants[str(API), "release"].quota is second.grants[str(API), "release"].quota


async def test_a_quota_goes_with_the_plan_that_had_it(tmp_path: Path, valkey: Any) -> None:
    generation_set(valkey)
    at = int(time.time()) + HOUR_S
    publish(valkey, "a" * 64, to=Limits(plan_name="Open"), at=at)
    async with workers(tmp_path, 1) as (worker,):
        entry = await entry_of(worker, "a" * 64)
        assert plan_at(worker, entry, at - 1) == ("Basic", 50)
        assert plan_at(worker, entry, at) == ("Open", -1)


async def test_a_turn_that_billing_has_not_written_yet_is_made_on_loading(tmp_path: Path, valkey: Any) -> None:
    generation_set(valkey)
    now = time.time()
    publish(valkey, "a" * 64, to=PLUS, at=int(now) - 60)
    async with workers(tmp_path, 1) as (worker,):
        entry = await entry_of(worker, "a" * 64)
        assert entry.grants[str(API), "release"].limits == PLUS
        assert plan_at(worker, entry, now) == ("Plus", 80)
