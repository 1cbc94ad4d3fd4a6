"""Closing on demand: inline in this process, and by a real Celery worker that the command waits for."""

from __future__ import annotations

import json
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from billing.models import Invoice, InvoiceStatus
from billing.services import invoices
from tests import servers
from tests.billing.world import FEE, PER_CALL, World, calls, moment, world_make
from tests.waiting import eventually


def _close(*arguments: str) -> list[dict[str, Any]]:
    out = StringIO()
    call_command("period_close", *arguments, "--json", stdout=out)
    closed: list[dict[str, Any]] = json.loads(out.getvalue())
    return closed


def test_a_month_is_closed_inline_and_closing_it_again_changes_nothing(world: World) -> None:
    subscription = world.subscribe(world.plan(FEE, PER_CALL), "2026-10-01T00:00")
    calls(subscription, "2026-10-05T00:00", 100)
    (first,) = _close("--month", "2026-10", "--inline")
    assert (first["total"], first["currency"]) == ("36.70", "EUR")
    assert _close("--month", "2026-10", "--inline") == [first]
    assert Invoice.objects.get().revision == 1
    assert _close("--month", "2026-11", "--inline") == []


def test_a_running_period_is_closed_by_its_subscription_without_moving_it_on(world: World) -> None:
    subscription = world.subscribe(world.plan(PER_CALL), "2099-10-01T00:00")
    calls(subscription, "2099-10-05T00:00", 100)
    (closed,) = _close("--subscription", subscription.public_id, "--inline")
    assert closed["total"] == "6.70"
    subscription.refresh_from_db()
    assert subscription.periods.count() == 1


@pytest.mark.parametrize(
    "arguments", [("--month", "2026-13"), ("--as-of", "soon"), ("--subscription", "sub_1"), ("--month", "October")]
)
def test_what_cannot_be_read_is_refused_with_an_example(world: World, arguments: tuple[str, str]) -> None:
    with pytest.raises(CommandError, match="Write --month 2026-10"):
        _close(*arguments, "--inline")


def test_a_celery_worker_closes_the_month_and_sends_the_invoice(live_environment: dict[str, str]) -> None:
    world = world_make()
    subscription = world.subscribe(world.plan(FEE, PER_CALL), "2026-10-01T00:00")
    calls(subscription, "2026-10-05T00:00", 100)
    with servers.celery_worker(live_environment):
        (closed,) = _close("--month", "2026-10", "--now")
        assert closed["total"] == "36.70"
        invoice = Invoice.objects.get(status=InvoiceStatus.DRAFT)
        invoices.invoice_submit(invoice=invoice, person=None, now=moment("2026-11-02"))
        invoices.invoice_approve(invoice=invoice, person=None, now=moment("2026-11-02"))
        invoices.invoice_issue(invoice_id=invoice.id, person=None, now=moment("2026-11-02"))
        assert eventually(lambda: Invoice.objects.filter(sent_at__isnull=False).exists(), within_s=30)
