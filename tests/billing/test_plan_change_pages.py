"""The pages and endpoints of a change of plan: from when it counts is said before, shown while it waits, and can be taken back."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import time_machine

from tests.billing.world import FEE, PER_CALL, moment

if TYPE_CHECKING:
    from django.test import Client

    from tests.billing.world import World

NOW = "2026-11-16T11:20"


@pytest.fixture
def signed_in(world: World, client: Client) -> Client:
    """Bob, in the browser."""
    client.force_login(world.bob)
    return client


def test_a_change_that_waits_is_shown_with_its_hour_and_taken_back_from_the_page(
    world: World, signed_in: Client
) -> None:
    with time_machine.travel(moment(NOW), tick=False):
        subscription = world.subscribe(world.plan(FEE, PER_CALL), "2026-11-01T00:00")
        page = f"/o/{world.consumer.slug}/subscriptions/{subscription.public_id}/"
        other = f"{page}plan/{world.plan(PER_CALL, name='Other').public_id}/"
        asked = signed_in.get(other).content.decode()
        assert "Limits and prices change together, at 16 Nov 2026, 12:00 UTC." in asked
        assert "Change to Other at 12:00 UTC" in asked
        told = signed_in.post(other, follow=True).content.decode()
        assert "The plan changes to Other at 16 Nov 2026, 12:00 UTC." in told
        assert "Other from 16 Nov 2026, 12:00 UTC" in told
        assert "counts from 16 Nov 2026, 12:00 UTC" in told
        kept = signed_in.post(f"{page}plan/{subscription.plan.public_id}/", follow=True).content.decode()
        assert "The plan is Basic now." in kept
        assert "Other from 16 Nov" not in kept and "Change of plan withdrawn" in kept


def test_an_upgrade_from_a_free_plan_is_said_to_bill_the_running_hour(world: World, signed_in: Client) -> None:
    with time_machine.travel(moment(NOW), tick=False):
        subscription = world.subscribe(world.plan(), "2026-11-01T00:00")
        paid = world.plan(FEE, PER_CALL, name="Paid")
        page = f"/o/{world.consumer.slug}/subscriptions/{subscription.public_id}/plan/{paid.public_id}/"
        asked = signed_in.get(page).content.decode()
        assert "billed by the new plan as a whole, from 16 Nov 2026, 11:00 UTC." in asked
        assert "The plan is Paid now." in signed_in.post(page, follow=True).content.decode()
