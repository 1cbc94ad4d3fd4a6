"""Several processes at once, on real PostgreSQL: numbers without a gap, drafts drafted once, payments recorded once."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.db import connection, connections, transaction
from hypothesis import given, settings
from hypothesis import strategies as st

from billing.core.numbering import number_parse
from billing.errors import ApplicationError
from billing.models import Invoice, NumberSeries, UsageRecord
from billing.services import closing, invoices
from billing.services.agreements import subscription_lock
from billing.services.documents import invoice_pdf
from billing.services.numbering import number_take
from billing.services.usage import usage_rebuild
from marketplace.services import access
from tests.billing.world import FEE, OVERAGE, PER_CALL, World, calls, close, issue, moment, world_make

THREADS = 6


def _at_once(work: Callable[[int], Any], times: int) -> list[Any]:
    """Run the work in several threads, each with a connection of its own."""

    def run(number: int) -> Any:
        try:
            return work(number)
        finally:
            connections.close_all()

    with ThreadPoolExecutor(THREADS) as pool:
        return list(pool.map(run, range(times)))


class _RolledBackError(Exception):
    """Something failed after the number was taken."""


@pytest.mark.django_db(transaction=True)
def test_numbers_have_no_gap_and_no_double_while_every_third_issue_fails() -> None:
    def take(number: int) -> str | None:
        try:
            with transaction.atomic():
                taken = number_take(series="INV", issued_at=moment("2026-11-01"))
                if number % 3 == 0:
                    raise _RolledBackError
                return taken
        except _RolledBackError:
            return None

    taken = [number for number in _at_once(take, 48) if number]
    assert sorted(number_parse(number)[2] for number in taken) == list(range(1, 33))
    assert NumberSeries.objects.get().last_number == 32


def _apps(world: World, count: int) -> list[Any]:
    return [
        access.app_create(organization=world.consumer, name=f"App {number}", person=world.bob)
        for number in range(count)
    ]


@pytest.mark.django_db(transaction=True)
def test_what_many_tasks_draft_at_once_is_drafted_once() -> None:
    world = world_make()
    plan = world.plan(FEE, PER_CALL)
    for app in _apps(world, 4):
        calls(world.subscribe(plan, "2026-10-01T00:00", app=app), "2026-10-05T00:00", 100)

    def draft(number: int) -> list[str]:
        closed = closing.period_close(now=moment("2026-11-01T03:00"), month=moment("2026-10-01").date())
        return [row.fault for row in closed if row.fault]

    assert _at_once(draft, 8) == [[]] * 8
    invoice = Invoice.objects.get()
    assert (invoice.total_minor, invoice.revision, invoice.lines.count()) == (4 * (3_000 + 670), 1, 8)
    assert UsageRecord.objects.count() == 4


@pytest.mark.django_db(transaction=True)
def test_an_invoice_issued_by_many_at_once_is_issued_once() -> None:
    world = world_make()
    world.subscribe(world.plan(FEE), "2026-10-01T00:00")
    (draft,) = close("2026-11-01T03:00")
    invoices.invoice_submit(invoice=draft, person=None, now=moment("2026-11-02"))
    invoices.invoice_approve(invoice=draft, person=None, now=moment("2026-11-02"))
    issued = _at_once(
        lambda _: invoices.invoice_issue(invoice_id=draft.id, person=None, now=moment("2026-11-02")).number, 6
    )
    assert issued == ["INV-2026-000001"] * 6
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*), sum(amount_minor) FROM billing_ledgerentry")
        assert cursor.fetchone() == (3, 0)


@pytest.mark.django_db(transaction=True)
def test_drafting_issuing_rebuilding_and_voiding_at_once_bill_every_call_once() -> None:
    world = world_make()
    subscription = world.subscribe(world.plan(PER_CALL), "2026-10-01T00:00")
    calls(subscription, "2026-10-05T00:00", 100)
    now = moment("2026-11-02")

    def work(number: int) -> None:
        try:
            if number % 4 == 0:
                closing.period_close(now=now, month=moment("2026-10-01").date())
            elif number % 4 == 1:
                usage_rebuild(now=now)
            elif number % 4 == 2:
                for invoice in Invoice.objects.filter(status__in=["draft", "in_review", "approved"]):
                    issue(invoice, "2026-11-02T00:00")
            else:
                for invoice in Invoice.objects.filter(status="issued")[:1]:
                    invoices.invoice_void(invoice=invoice, reason="test", person=None, now=now)
        except (ApplicationError, Invoice.DoesNotExist):
            return  # refused because another was faster: that is the point

    _at_once(work, 24)
    closing.period_close(now=now, month=moment("2026-10-01").date())
    alive = Invoice.objects.exclude(status="void")
    assert [invoice.total_minor for invoice in alive] == [670]
    numbers = sorted(
        number_parse(number)[2] for number in Invoice.objects.exclude(number=None).values_list("number", flat=True)
    )
    assert numbers == list(range(1, len(numbers) + 1))


@pytest.mark.django_db(transaction=True)
def test_a_period_that_counting_reopens_while_it_is_drafted_stops_neither() -> None:
    world = world_make()
    subscription = world.subscribe(world.plan(PER_CALL), "2026-10-01T00:00")
    assert close("2026-11-01T03:00") == []
    calls(subscription, "2026-10-05T00:00", 100)

    def draft() -> list[str]:
        try:
            closed = closing.period_close(now=moment("2026-11-01T03:00"), month=moment("2026-10-01").date())
            return [row.fault or row.total for row in closed]
        finally:
            connections.close_all()

    with ThreadPoolExecutor(1) as pool:
        with transaction.atomic():  # as counting does it: the subscription is held while its period is opened again
            subscription_lock(subscription.id)
            drafting = pool.submit(draft)
            _wait_for_one_that_waits()
            usage_rebuild(now=moment("2026-11-01T03:00"))
        assert drafting.result() == ["6.70"]


def _wait_for_one_that_waits() -> None:
    """Return once another session waits for us. (pg_stat_activity would stay the same all through our transaction.)"""
    until = time.monotonic() + 10
    with connection.cursor() as cursor:
        while time.monotonic() < until:
            cursor.execute(
                "SELECT count(*) FROM pg_locks WHERE NOT granted AND pg_backend_pid() = ANY (pg_blocking_pids(pid))"
            )
            if cursor.fetchone()[0]:
                return
            time.sleep(0.01)
    raise AssertionError("nobody waits")


@pytest.mark.django_db
@settings(max_examples=10, deadline=None)
@given(
    counts=st.lists(st.tuples(st.integers(0, 47), st.integers(1, 10**6)), min_size=1, max_size=8),
    runs=st.integers(1, 3),
)
def test_records_are_the_sum_of_tallies_however_often_they_are_rebuilt(
    counts: list[tuple[int, int]], runs: int
) -> None:
    with transaction.atomic():
        world = world_make()
        subscription = world.subscribe(world.plan(PER_CALL), "2026-10-01T00:00")
        for hour, count in counts:
            calls(subscription, f"2026-10-0{1 + hour // 24}T{hour % 24:02d}:00", count)
            for _ in range(runs):
                usage_rebuild(now=moment("2026-10-03"), since=moment("2026-10-01"), until=moment("2026-10-03"))
        again = usage_rebuild(now=moment("2026-10-03"))
        assert (again.written, again.late) == (0, 0)
        assert sum(UsageRecord.objects.values_list("quantity", flat=True)) == sum(count for _, count in counts)
        transaction.set_rollback(True)


@pytest.mark.django_db
@pytest.mark.parametrize("language", ["en", "zh-hans"])
def test_an_invoice_printed_again_from_its_rows_is_the_same_to_the_byte(language: str) -> None:
    world = world_make(language=language, zone="Asia/Shanghai")
    calls(world.subscribe(world.plan(FEE, OVERAGE), "2026-10-01T00:00"), "2026-10-05T00:00", 2_500)
    invoice = issue(close("2026-11-01T03:00")[0], "2026-11-02T08:00")
    world.api.name, world.consumer.name = "Renamed", "Renamed too"
    world.api.save()
    world.consumer.save()
    again = invoice_pdf(invoice=Invoice.objects.get(id=invoice.id))
    assert again == bytes(invoice.document.pdf)
