"""Usage is counted as it arrives: batch by batch, those who wait longest first, and only whom something new arrived for."""

from __future__ import annotations

from copy import copy
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from celery import current_app
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from billing.models import SegmentNoted, Subscription, UsageDue, UsageRecord
from billing.services import usage, usage_due
from billing.services.usage_due import PUT_OFF, usage_due_batch
from billing.tasks import usage_rebuild
from marketplace.models import Grant, UsageTally
from marketplace.models.base import id_mint
from marketplace.services import access
from tests import servers
from tests.billing.world import PER_CALL, calls, moment, world_make
from tests.waiting import eventually

if TYPE_CHECKING:
    from datetime import datetime

    from tests.billing.world import World

HOUR = "2026-11-20T10:00"
NOW = moment("2026-11-20T12:00")
CELERY_S_MAX = 60.0


def soon(minutes: int) -> datetime:
    return NOW + timedelta(minutes=minutes)


@pytest.fixture
def five(world: World) -> list[Subscription]:
    """Five apps of Bob's, each subscribed."""
    plan = world.plan(PER_CALL)
    apps = [
        access.app_create(organization=world.consumer, name=f"App {number}", person=world.bob) for number in range(5)
    ]
    return [world.subscribe(plan, "2026-11-01", app=app) for app in apps]


def counted() -> dict[Any, int]:
    """The units of each subscription that has records."""
    return {
        key: sum(UsageRecord.objects.filter(subscription=key).values_list("quantity", flat=True))
        for key in UsageRecord.objects.values_list("subscription", flat=True)
    }


def test_those_who_wait_longest_come_first_so_that_nobody_starves(
    five: list[Subscription], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(usage_due, "SUBSCRIPTIONS_PER_BATCH", 2)
    for subscription in five:
        calls(subscription, HOUR, 10)
    # Each run is cut off after its first batch, and who was counted is called again at once.
    for run, expected in enumerate((2, 4, 5)):
        before = set(counted())
        assert usage_due_batch(now=soon(2 * run)).after == ("" if run == 3 else soon(2 * run).isoformat())
        assert len(counted()) == expected
        for subscription in Subscription.objects.filter(id__in=set(counted()) - before):
            calls(subscription, HOUR, 1)
    assert set(counted()) == {subscription.id for subscription in five}
    assert usage_due.usage_due_batch(now=soon(6), after=soon(6).isoformat()).rebuilt.subscriptions == 2


def test_a_run_counts_everything_in_batches_and_leaves_what_comes_in_meanwhile_to_the_next(
    five: list[Subscription], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(usage_due, "SUBSCRIPTIONS_PER_BATCH", 2)
    monkeypatch.setattr(usage_due, "SEGMENTS_PER_BATCH", 4)
    for subscription in five:
        calls(subscription, HOUR, 10)
    batch, batches = usage_due_batch(now=NOW), 1
    while batch.after:
        calls(five[0], HOUR, 1)
        batch = usage_due_batch(now=soon(batches), after=batch.after)
        batches += 1
    assert batches <= 5
    assert UsageDue.objects.filter(due_at__lte=NOW).count() == 0
    while UsageDue.objects.exists():
        usage_due_batch(now=soon(60))
    assert sum(counted().values()) == 50 + batches - 1


def test_whom_nothing_new_arrived_for_costs_nothing(five: list[Subscription]) -> None:
    for subscription in five:
        calls(subscription, HOUR, 10)
    usage_due_batch(now=NOW)
    with CaptureQueriesContext(connection) as idle:
        batch = usage_due_batch(now=soon(2))
    assert (batch.rebuilt, batch.after) == (usage.Rebuilt(), "")
    assert not [query["sql"] for query in idle if "usagerecord" in query["sql"]], "no subscription is looked at"
    calls(five[3], HOUR, 1)
    assert usage_due_batch(now=soon(4)).rebuilt == usage.Rebuilt(subscriptions=1, written=1)


def test_a_segment_that_commits_behind_a_later_one_is_counted_too(five: list[Subscription]) -> None:
    calls(five[0], HOUR, 10, received_at=timezone.now())
    usage_due_batch(now=NOW)
    calls(five[1], HOUR, 7, received_at=timezone.now() - usage_due.OVERLAP + timedelta(minutes=1))
    usage_due_batch(now=soon(2))
    assert counted() == {five[0].id: 10, five[1].id: 7}


def test_after_hours_without_a_worker_counting_goes_on_where_it_stopped(five: list[Subscription]) -> None:
    then = timezone.now() - timedelta(days=2)
    calls(five[0], HOUR, 10, received_at=then)
    usage_due_batch(now=timezone.now())
    calls(five[1], HOUR, 7, received_at=then + timedelta(minutes=5))
    calls(five[2], HOUR, 5, received_at=timezone.now())
    usage_due_batch(now=timezone.now())
    assert counted() == {five[0].id: 10, five[1].id: 7, five[2].id: 5}
    usage_due_batch(now=timezone.now())
    assert SegmentNoted.objects.count() == 1, "what no late segment can be mistaken for is forgotten"


def test_a_message_that_is_given_out_twice_doubles_nothing(
    five: list[Subscription], monkeypatch: pytest.MonkeyPatch, django_capture_on_commit_callbacks: Any
) -> None:
    sent: list[list[str]] = []
    monkeypatch.setattr("celery.Celery.send_task", lambda _app, _name, args, **_options: sent.append(args))
    monkeypatch.setattr(usage_due, "SUBSCRIPTIONS_PER_BATCH", 2)
    for subscription in five:
        calls(subscription, HOUR, 10)
    sent.append([])
    for place in range(20):
        if place < len(sent):
            for _again in range(2):
                with django_capture_on_commit_callbacks(execute=True):
                    usage_rebuild(*sent[place])
    assert counted() == {subscription.id: 10 for subscription in five}
    assert len(sent) <= 7


def test_one_that_cannot_be_counted_is_put_off_and_the_others_are_counted(
    five: list[Subscription], monkeypatch: pytest.MonkeyPatch
) -> None:
    for subscription in five:
        calls(subscription, HOUR, 10)
    real = usage.meter_hours

    def broken(meters: Any, tallies: Any) -> Any:
        if sum(tally.calls for tally in tallies) == 11:
            raise ValueError("broken")
        return real(meters, tallies)

    calls(five[2], HOUR, 1)
    monkeypatch.setattr(usage, "meter_hours", broken)
    assert usage_due_batch(now=NOW).after == ""
    assert set(counted()) == {one.id for one in five} - {five[2].id}
    monkeypatch.undo()
    usage_due_batch(now=soon(2))
    assert five[2].id not in counted()
    usage_due_batch(now=NOW + PUT_OFF)
    assert counted()[five[2].id] == 11


def test_a_worker_killed_between_batches_doubles_nothing_and_the_next_run_completes(
    live_environment: dict[str, str],
) -> None:
    world = world_make()
    first = world.subscribe(world.plan(PER_CALL), "2026-11-01")
    many = 2 * usage_due.SUBSCRIPTIONS_PER_BATCH + 5
    multiply(first, calls(first, HOUR, 10), many)
    with servers.celery_worker(live_environment) as worker:
        current_app.send_task("billing.tasks.usage_rebuild")
        assert eventually(UsageRecord.objects.exists, within_s=CELERY_S_MAX)
        worker.kill()
    left = UsageDue.objects.count()
    assert UsageRecord.objects.count() + left == many, "counted and no longer due are one"
    with servers.celery_worker(live_environment):
        current_app.send_task("billing.tasks.usage_rebuild")
        assert eventually(lambda: not UsageDue.objects.exists(), within_s=CELERY_S_MAX)
    assert list(UsageRecord.objects.values_list("quantity", flat=True)) == [10] * many


def multiply(first: Subscription, tally: UsageTally, count: int) -> None:
    """As many subscriptions as ``count`` like the first one, each with the same calls in the same segment."""
    app, grant = first.app, first.grant
    rows: list[tuple[Any, Grant, Subscription, UsageTally]] = []
    for number in range(1, count):
        copies = copy(app), copy(grant), copy(first), copy(tally)
        for row in copies[:3]:
            row.pk = id_mint()
        copies[0].name = f"App {number}"
        copies[1].app, copies[2].app, copies[2].grant = copies[0], copies[0], copies[1]
        copies[3].pk, copies[3].grant_id = None, copies[1].pk
        rows.append(copies)
    for place in range(4):
        made = [row[place] for row in rows]
        type(made[0]).objects.bulk_create(made)
