"""Counters that Valkey lost: rebuilt from the tallies and from what living workers hold, never too low."""

import asyncio
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.db import connection

from gateway.dataplane import quota_rebuild
from gateway.dataplane.journal import SEALED_SUFFIX, segment_path
from gateway.dataplane.leases import TICK_S
from gateway.dataplane.quota_bucket import QuotaHandle
from gateway.dataplane.resp import CONNECT_S_MAX
from gateway.dataplane.shipper import Shipper
from gateway.dataplane.store import BACK_OFF_S_MAX
from marketplace.contracts.limits import Limits, QuotaLimit
from tests.gateway.state.parts import workers, write

pytestmark = pytest.mark.django_db(transaction=True)


def test_lost_counters_are_rebuilt_from_tallies_and_open_journals(
    shipper: Shipper, valkey: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Valkey comes back empty in the middle of a day: nobody gets the day's units a second time, nobody loses any."""
    monkeypatch.setattr(quota_rebuild, "JOIN_S_MIN", 1.0)
    limit = QuotaLimit(units=200, window="day")
    grant_id = grant_insert(limit)

    async def run() -> tuple[int, int]:
        async with workers(shipper.journal_dir, 2, seal_s=0.1) as crew:
            handles = [worker.quota(grant_id, limit) for worker in crew]
            for _ in range(40):
                for worker, handle in zip(crew, handles, strict=True):
                    assert await worker.call(handle) is not None
                await asyncio.sleep(0.005)
            await asyncio.to_thread(shipper.round)
            valkey.flushdb()
            answered = 80
            deadline = time.monotonic() + 12
            while valkey.get("tg:quota:generation") is None and time.monotonic() < deadline:
                await asyncio.to_thread(shipper.round)
                answered += await spend_open(crew[0], handles[0])
                await asyncio.sleep(0.05)
            for worker in crew:
                await worker.leases.generation.check()
            refused = 0
            while refused < 40:
                got = await crew[refused % 2].call(handles[refused % 2])
                answered, refused = (answered + 1, 0) if got else (answered, refused + 1)
                await asyncio.sleep(0 if got else 0.02)
            return answered, int(valkey.hget(handles[0].bucket.key, "u"))

    answered, used = asyncio.run(run())
    assert answered == used == limit.units
    if connection.connection is not None:
        connection.close()


def test_a_lost_counter_of_a_period_that_billing_has_not_turned_is_rebuilt_too(shipper: Shipper, valkey: Any) -> None:
    midnight = int(time.time()) // 86_400 * 86_400
    limit = QuotaLimit(units=200, window="period", period_start=midnight - 2 * 86_400, period_end=midnight - 86_400)
    grant_id = grant_insert(limit)

    async def run() -> str:
        async with workers(shipper.journal_dir, 1) as (worker,):
            handle = worker.quota(grant_id, limit)
            for _ in range(3):
                assert await worker.call(handle) is not None
            return handle.bucket.key

    key = asyncio.run(run())
    shipper.round()
    valkey.flushdb()
    database = shipper._database()
    assert database is not None
    quota_rebuild.counters_write(valkey, database, joined={}, now=time.time())
    assert int(valkey.hget(key, "u")) == 3


def test_counters_of_limits_that_take_over_are_rebuilt_with_those_that_they_follow(shipper: Shipper) -> None:
    from marketplace.models import Grant

    grant = Grant.objects.get(id=grant_insert(QuotaLimit(units=200, window="month")))
    later = Limits(plan_name="Pro", quota=QuotaLimit(units=500, window="day"))
    grant.limits = {**grant.limits, "quota": None, "turn": {"at": int(time.time()) - 1, "limits": asdict(later)}}
    grant.save()
    database = shipper._database()
    assert database is not None
    windows = quota_rebuild._windows(database, time.time())
    assert "day" in {window.kind for window, grants in windows.items() if grant.id in grants}


def test_a_rebuild_waits_for_workers_that_must_connect_first_and_for_what_late_ones_have_sealed(tmp_path: Path) -> None:
    assert quota_rebuild.JOIN_S_MIN > CONNECT_S_MAX + BACK_OFF_S_MAX + TICK_S
    journal = write(tmp_path, close=False)
    assert not quota_rebuild._is_quiet(tmp_path, {}, is_late=True)
    segment_path(journal.folder, 0, SEALED_SUFFIX).unlink()
    assert quota_rebuild._is_quiet(tmp_path, {}, is_late=True)
    assert not quota_rebuild._is_quiet(tmp_path, {}, is_late=False)


async def spend_open(worker: Any, handle: QuotaHandle) -> int:
    """One call from an open lease, if there is one."""
    return 1 if handle.bucket.free > 0 and await worker.call(handle) is not None else 0


def grant_insert(limit: QuotaLimit) -> UUID:
    """A live grant with this quota in PostgreSQL, and the rows that it stands on."""
    from django.utils import timezone

    from marketplace.models import Api, App, Grant, Organization

    provider = Organization.objects.create(name="Alice", slug=f"alice-{uuid4().hex[:8]}")
    api = Api.objects.create(
        provider=provider, name="Weather", slug=f"w-{uuid4().hex[:8]}", base_path=f"/{uuid4().hex[:8]}"
    )
    app = App.objects.create(organization=provider, name="Bob's app")
    limits = asdict(Limits(plan_name="Basic", quota=limit))
    return Grant.objects.create(app=app, api=api, limits=limits, starts_at=timezone.now()).id
