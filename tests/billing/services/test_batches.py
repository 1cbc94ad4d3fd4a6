"""A closing goes batch by batch, however many customers there are; a worker that is killed between two doubles nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from django.utils import timezone

from billing.models import BillingPeriod, Invoice, LateUsage, UsageRecord
from billing.services import closing, closing_jobs, subscriptions
from billing.tasks import invoices_draft, period_close
from marketplace.services import access, accounts
from tests import servers
from tests.billing.world import FEE, PER_CALL, calls, close, issue, moment, turn, world_make
from tests.waiting import eventually

if TYPE_CHECKING:
    from celery import Celery

    from tests.billing.world import World

CELERY_S_MAX = 60.0
MONTH = moment("2026-10-01").date()


def consumers_make(world: World, count: int) -> None:
    """So many organizations, each with a subscription of October and 10 calls."""
    plan = world.plan(FEE, PER_CALL)
    for number in range(count):
        organization = accounts.organization_create(name=f"Consumer {number}", person=None)
        app = access.app_create(organization=organization, name="App", person=None)
        subscription = subscriptions.subscription_start(
            organization=organization, plan=plan, app=app, person=None, now=moment("2026-10-01")
        )
        calls(subscription, "2026-10-05T00:00", 10)


def books() -> list[tuple[Any, ...]]:
    """All drafts as (consumer, total, revision, lines), by consumer."""
    rows = Invoice.objects.order_by("organization_id")
    return [(row.organization_id, row.total_minor, row.revision, row.lines.count()) for row in rows]


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, list[Any]]]:
    """The tasks that were sent, instead of a queue."""
    found: list[tuple[str, list[Any]]] = []

    def send(_app: Celery, name: str, args: list[Any], **_options: Any) -> None:
        found.append((name, args))

    monkeypatch.setattr("celery.Celery.send_task", send)
    return found


@pytest.mark.parametrize("size", [1, 2, 3, 100])
def test_every_size_of_batch_closes_everything_once(world: World, monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    consumers_make(world, 2)
    world.subscribe(world.plan(FEE, name="Dollars", currency="USD"), "2026-10-03")
    more = access.app_create(organization=world.consumer, name="More", person=world.bob)
    world.subscribe(world.plan(FEE, name="Later", alignment="anniversary"), "2026-10-07", app=more)
    monkeypatch.setattr(closing, "GROUPS_PER_BATCH", size)
    closed = closing.period_close(now=moment("2026-11-20"), month=MONTH)
    assert [row.total for row in closed].count("30.67") == 2
    assert sorted(row.currency for row in closed) == ["EUR", "EUR", "EUR", "USD"]
    before = books()
    assert closing.period_close(now=moment("2026-11-20"), month=MONTH) == closed
    assert books() == before
    assert BillingPeriod.objects.filter(invoice=None).count() == 0


def test_late_usage_of_consumers_who_left_is_drafted_batch_by_batch(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    consumers_make(world, 3)
    for subscription in world.api.subscriptions.all():
        subscriptions.subscription_cancel(subscription=subscription, person=None, now=moment("2026-10-06"))
    for draft in close("2026-11-01T02:00"):
        issue(draft, "2026-11-02")
    for subscription in world.api.subscriptions.all():
        calls(subscription, "2026-10-09T00:00", 5)
    from billing.services.usage import usage_rebuild

    usage_rebuild(now=moment("2026-11-03"))
    assert LateUsage.objects.filter(invoice=None).count() == 3
    monkeypatch.setattr(closing, "GROUPS_PER_BATCH", 2)
    first = closing.invoices_draft_batch(now=moment("2026-11-04"))
    assert (len(first.closed), bool(first.after)) == (2, True)
    second = closing.invoices_draft_batch(now=moment("2026-11-04"), after=first.after)
    assert [row.total for row in (*first.closed, *second.closed)] == ["0.34"] * 3
    assert second.after == ""


def test_a_task_that_was_given_out_again_adds_nothing_and_loses_nothing(
    world: World, valkey: Any, monkeypatch: pytest.MonkeyPatch, sent: list[tuple[str, list[Any]]]
) -> None:
    consumers_make(world, 5)
    monkeypatch.setattr(closing, "GROUPS_PER_BATCH", 2)
    job = closing_jobs.closing_start(month="2026-10", person=world.bob, now=timezone.now())
    played = 0
    while played < len(sent):
        for _again in range(
            2
        ):  # each message arrives twice, as after the death of a worker that had not said it was done
            period_close(*sent[played][1])
        played += 1
    done = closing_jobs.closing_get(job_id=job.id)
    assert done is not None
    assert (done.state, done.total, done.done, done.drafts, len(done.closed)) == ("done", 5, 5, 5, 5)
    assert [row[1:] for row in books()] == [(3067, 1, 2)] * 5


def test_the_schedule_drafts_a_batch_and_sends_for_the_next(
    world: World,
    monkeypatch: pytest.MonkeyPatch,
    sent: list[tuple[str, list[Any]]],
    django_capture_on_commit_callbacks: Any,
) -> None:
    consumers_make(world, 3)
    turn("2026-11-01T00:00")
    monkeypatch.setattr(closing, "GROUPS_PER_BATCH", 2)
    with django_capture_on_commit_callbacks(execute=True):
        invoices_draft()
    assert Invoice.objects.count() == 2
    ((name, (after,)),) = sent
    assert name == "billing.tasks.invoices_draft"
    invoices_draft(after)
    assert Invoice.objects.count() == 3


def test_a_worker_killed_between_batches_leaves_whole_drafts_and_starting_again_completes(
    live_environment: dict[str, str],
) -> None:
    world = world_make()
    consumers_make(world, 2 * closing.GROUPS_PER_BATCH + 5)
    with servers.celery_worker(live_environment) as worker:
        job = closing_jobs.closing_start(month="2026-10", person=world.bob, now=timezone.now())
        assert eventually(lambda: _done(job.id) > closing.GROUPS_PER_BATCH, within_s=CELERY_S_MAX)
        worker.kill()
    assert eventually(lambda: Invoice.objects.count() >= closing.GROUPS_PER_BATCH, within_s=CELERY_S_MAX)
    assert {row[1:] for row in books()} == {(3067, 1, 2)}, "what is there is whole"
    with servers.celery_worker(live_environment):
        again = closing_jobs.closing_start(month="2026-10", person=world.bob, now=timezone.now())
        assert eventually(lambda: closing_jobs.closing_get(job_id=again.id).state == "done", within_s=CELERY_S_MAX)  # type: ignore[union-attr]
    count = 2 * closing.GROUPS_PER_BATCH + 5
    assert [row[1:] for row in books()] == [(3067, 1, 2)] * count
    assert UsageRecord.objects.count() == count
    assert BillingPeriod.objects.filter(invoice=None).count() == 0


def _done(job_id: str) -> int:
    job = closing_jobs.closing_get(job_id=job_id)
    return job.done if job else 0
