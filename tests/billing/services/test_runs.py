"""Runs over many rows: one bad row does not stop the others, the end of a worker's time blames no row, nothing is done twice."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Any

import pytest
from celery.exceptions import SoftTimeLimitExceeded
from django.core import mail

from billing.core.periods import calendar_month, month_reach
from billing.models import Invoice
from billing.selectors.earnings import providers_due
from billing.services import closing, dispatch
from marketplace.models import Organization
from marketplace.services import access
from tests.billing.world import FEE, close, issue, moment, turn

if TYPE_CHECKING:
    from tests.billing.world import World


def test_the_end_of_a_workers_time_parks_nobody(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    subscription = world.subscribe(world.plan(FEE), "2026-10-01")
    turn("2026-11-01T02:00")

    def late(**given: Any) -> None:
        raise SoftTimeLimitExceeded

    monkeypatch.setattr(closing, "invoice_draft", late)
    with pytest.raises(SoftTimeLimitExceeded):
        closing.invoices_draft_due(now=moment("2026-11-01T03:00"))
    subscription.refresh_from_db()
    assert not subscription.is_parked
    monkeypatch.undo()
    closing.invoices_draft_due(now=moment("2026-11-01T04:00"))
    assert Invoice.objects.count() == 1


def test_an_address_that_no_letter_can_have_does_not_keep_the_others_from_theirs(world: World) -> None:
    world.subscribe(world.plan(FEE), "2026-09-01")
    turn("2026-11-01T02:00")
    first, second = (issue(draft, "2026-11-02T08:00") for draft in close("2026-11-01T02:00"))
    other = Organization.objects.create(name="Broken", slug="broken", billing_email="a@example.com\nBcc: x@example.com")
    Invoice.objects.filter(id=first.id).update(sent_at=moment("2026-11-02T08:00"))
    broken = Invoice(
        organization=other,
        status="issued",
        number="INV-2026-000000",
        currency="EUR",
        period_start=moment("2026-08-01"),
        period_end=moment("2026-09-01"),
        drafted_at=moment("2026-09-01"),
        issued_at=moment("2026-09-01"),
    )
    broken.id = type(first.id)(int=first.id.int - 1)  # the oldest comes first
    broken.save(force_insert=True)
    assert dispatch.invoices_send(now=moment("2026-11-02T09:00")) == 1
    assert [letter.to for letter in mail.outbox] == [["bob@example.com"]]
    second.refresh_from_db()
    assert second.sent_at == moment("2026-11-02T09:00")


def test_closing_all_that_has_ended_passes_over_what_is_billed(world: World) -> None:
    plan = world.plan(FEE)
    world.subscribe(plan, "2026-09-01")
    (september,) = close("2026-10-01T02:00")
    issue(september, "2026-10-02T08:00")
    late = access.app_create(organization=world.consumer, name="Late", person=world.bob)
    world.subscribe(plan, "2026-10-05", app=late)
    turn("2026-11-01T02:00")
    closed = closing.period_close(now=moment("2026-11-01T03:00"), until=moment("2026-11-01T03:00"))
    assert {row.period_end for row in closed} == {"2026-11-01T00:00:00+00:00"}
    again = closing.period_close(now=moment("2026-11-01T04:00"), until=moment("2026-11-01T04:00"))
    assert [row.invoice for row in again] == [row.invoice for row in closed], "a draft is computed anew"


def test_statements_are_for_those_who_earned_in_the_month(world: World) -> None:
    world.subscribe(world.plan(FEE), "2026-09-01")
    (draft,) = close("2026-10-01T02:00")
    assert providers_due(period_of=date(2026, 10, 1)) == []
    issue(draft, "2026-10-02T08:00")
    assert providers_due(period_of=date(2026, 10, 20)) == [world.provider]
    assert providers_due(period_of=date(2026, 12, 1)) == []
    assert providers_due(period_of=date(1, 1, 1)) == []


@pytest.mark.parametrize("zone", ["Pacific/Kiritimati", "Etc/GMT+12", "UTC", "Asia/Shanghai"])
def test_the_reach_of_a_month_holds_it_in_every_zone(zone: str) -> None:
    for month in range(1, 13):
        period = calendar_month(moment(f"2026-{month:02}-15"), zone)
        first, last = month_reach(date(2026, month, 15))
        assert first <= period.start
        assert period.end <= last
