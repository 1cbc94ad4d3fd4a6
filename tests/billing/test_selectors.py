"""What pages show: the period so far and ahead, quotas by window, hours behind lines, balances, earnings, the queue."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

import pytest
from django.contrib.admin import site
from django.test import Client
from django.urls import reverse

from billing.models import AccountKind
from billing.selectors.balances import balance_get, balance_list
from billing.selectors.earnings import earnings_summary, month_period
from billing.selectors.invoices import InvoiceFilter, invoice_list, invoice_list_finance, line_hours
from billing.selectors.overviews import quota_uses, spend_summary, subscription_overview
from billing.selectors.plans import plan_list
from billing.selectors.review import invoices_stuck, review_counts, review_list
from billing.selectors.subscriptions import usage_days
from billing.services.usage import usage_rebuild
from marketplace.contracts.limits import Limits, QuotaLimit
from marketplace.services.accounts import person_create
from tests.billing.world import FEE, OVERAGE, PER_CALL, calls, close, issue, moment, world_make

if TYPE_CHECKING:
    from tests.billing.world import World


def test_half_way_through_a_period_twice_the_usage_is_projected_and_priced_by_its_tiers(world: World) -> None:
    subscription = world.subscribe(world.plan(FEE, OVERAGE), "2026-11-01T00:00")
    calls(subscription, "2026-11-10T10:00", 1_500)
    usage_rebuild(now=moment("2026-11-16"))
    overview = subscription_overview(subscription=subscription, now=moment("2026-11-16"))
    assert (overview.spent_minor, overview.projected_minor) == (3_200, 3_500)
    assert (overview.meters[0].units, overview.meters[0].projected_units) == (1_500, 3_000)
    assert spend_summary(organization=world.consumer, now=moment("2026-11-16")) == {"EUR": (3_200, 3_500)}
    assert [
        day.units
        for day in usage_days(subscription=subscription, since=moment("2026-11-01"), until=moment("2026-12-01"))
    ] == [1_500]


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("window", "used", "resets_at"),
    [
        ("hour", 1, "2026-11-10T05:00"),
        ("day", 11, "2026-11-10T16:00"),
        ("month", 111, "2026-11-30T16:00"),
        ("period", 111, "2026-11-30T16:00"),
    ],
)
def test_a_quota_is_summed_over_its_window_in_the_consumers_zone(window: str, used: int, resets_at: str) -> None:
    world = world_make(zone="Asia/Shanghai")
    limits = Limits(quota=QuotaLimit(units=100, window=window))  # type: ignore[arg-type]
    subscription = world.subscribe(world.plan(limits=limits), "2026-11-01T00:00")
    for hour, count in (("2026-11-10T04:00", 1), ("2026-11-09T20:00", 10), ("2026-11-09T10:00", 100)):
        calls(subscription, hour, count)
        calls(subscription, hour, 1_000, outcome="upstream_failed")
    quota = quota_uses(subscriptions=[subscription], now=moment("2026-11-10T04:30"))[subscription.id]
    assert (quota.used, quota.resets_at) == (used, moment(resets_at))


def test_the_hours_of_a_line_sum_to_its_quantity_and_name_the_grant(world: World) -> None:
    subscription = world.subscribe(world.plan(PER_CALL), "2026-10-01T00:00")
    calls(subscription, "2026-10-05T10:00", 7)
    calls(subscription, "2026-10-09T11:00", 5)
    invoice = issue(close("2026-11-01T02:00")[0], "2026-11-02")
    calls(subscription, "2026-10-09T11:00", 30)
    late = close("2026-12-01T02:00")[0]
    first, second = line_hours(line=invoice.lines.get()), line_hours(line=late.lines.get())
    assert [(hour.hour, hour.units) for hour in first] == [
        (moment("2026-10-05T10:00"), 7),
        (moment("2026-10-09T11:00"), 5),
    ]
    assert [(hour.units, hour.is_late, hour.grant_id) for hour in second] == [(30, True, subscription.grant_id)]


def test_lists_show_a_consumer_only_issued_invoices_and_finance_all(world: World) -> None:
    world.subscribe(world.plan(FEE), "2026-10-01T00:00")
    issued = issue(close("2026-11-01T02:00")[0], "2026-11-02")
    (draft,) = close("2026-12-01T02:00")
    assert list(invoice_list(organization=world.consumer)) == [issued]
    assert list(invoice_list_finance()) == [draft, issued]
    assert list(invoice_list_finance(filters=InvoiceFilter(overdue_on=date(2026, 11, 17)))) == [issued]
    assert list(invoice_list_finance(filters=InvoiceFilter(overdue_on=date(2026, 11, 16)))) == []
    assert list(invoice_list_finance(filters=InvoiceFilter(since=date(2026, 11, 15)))) == [draft]


def test_the_queue_says_why_to_look_and_how_the_total_moved(world: World) -> None:
    subscription = world.subscribe(world.plan(FEE, PER_CALL), "2026-10-01T00:00")
    issue(close("2026-11-01T02:00")[0], "2026-11-02")
    calls(subscription, "2026-11-05T10:00", 1_000)
    close("2026-12-01T02:00")
    (row,) = review_list()
    assert row.reasons == ("The total went from 30.00 EUR to 97.00 EUR.",)
    assert row.difference_minor == 6_700
    assert review_counts() == {"draft": 1, "in_review": 0, "approved": 0}
    assert len(invoices_stuck(since=moment("2026-12-02"))) == 2


def test_balances_are_sums_as_of_a_moment(world: World) -> None:
    world.subscribe(world.plan(FEE), "2026-10-01T00:00")
    issue(close("2026-11-01T02:00")[0], "2026-11-02")
    arguments = {"organization": world.consumer, "kind": AccountKind.RECEIVABLE, "currency": "EUR"}
    assert balance_get(**arguments, as_of=moment("2026-11-01")) == 0
    assert balance_get(**arguments) == 3_000
    assert sum(balance.minor for balance in balance_list()) == 0
    period = month_period(date(2026, 11, 1), "UTC")
    (earned,) = earnings_summary(provider=world.provider, period=period)
    assert (earned.gross_minor, earned.commission_minor, earned.share_minor) == (3_000, 450, 2_550)


def test_the_pricing_tab_shows_published_and_visible_plans_only(world: World) -> None:
    world.plan(FEE, name="Shown")
    world.plan(FEE, name="Unlisted", is_visible=False)
    from billing.services.plans import plan_create

    plan_create(api=world.api, name="Draft", currency="EUR", person=world.alice)
    assert [card.plan.name for card in plan_list(api=world.api)] == ["Shown"]
    assert [card.is_free for card in plan_list(api=world.api, is_provider=True)] == [False, False, True]


def test_staff_look_at_every_table_in_the_admin_and_change_none(world: World) -> None:
    world.subscribe(world.plan(FEE, OVERAGE), "2026-10-01T00:00")
    issue(close("2026-11-01T02:00")[0], "2026-11-02")
    staff = person_create(
        email="staff@example.com", name="Staff", is_staff=True, is_superuser=True, is_platform_operator=True
    )
    client = Client()
    client.force_login(staff)
    ours = [model for model in site._registry if model._meta.app_label == "billing"]
    assert len(ours) >= 15
    for model in ours:
        name = model._meta.model_name
        assert client.get(reverse(f"admin:billing_{name}_changelist")).status_code == 200, name
        assert client.get(reverse(f"admin:billing_{name}_add")).status_code == 403, name
