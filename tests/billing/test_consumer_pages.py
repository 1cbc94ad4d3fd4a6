"""What a consumer is offered: stages that are served, and a card that says when there is no plan."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from django.test import Client

from marketplace.services import catalog

if TYPE_CHECKING:
    from tests.billing.world import World

pytestmark = pytest.mark.django_db


def deploy(world: World, stage: str) -> None:
    catalog.stage_upstream_set(api=world.api, stage=stage, url="http://127.0.0.1:9000", person=world.alice)
    catalog.deployment_publish(api=world.api, stage=stage, person=world.alice)


def test_only_stages_where_something_is_live_can_be_subscribed_to(world: World, client: Client) -> None:
    plan = world.plan()
    for stage in ("test", "release"):
        deploy(world, stage)
    client.force_login(world.bob)
    page = f"/o/{world.consumer.slug}/subscribe/{plan.public_id}/"
    answer = client.get(page)
    assert [name for name, _label in answer.context["form"].fields["stage"].choices] == ["test", "release"]
    refused = client.post(page, {"app": world.app.public_id, "stage": "pre"})
    assert "stage" in refused.context["form"].errors
    assert client.post(page, {"app": world.app.public_id, "stage": "test"}).status_code == 302


def test_a_new_apps_name_that_is_taken_is_refused_at_its_field(world: World, client: Client) -> None:
    plan = world.plan()
    deploy(world, "release")
    client.force_login(world.bob)
    page = f"/o/{world.consumer.slug}/subscribe/{plan.public_id}/"
    refused = client.post(page, {"app": "new", "app_name": world.app.name.upper(), "stage": "release"})
    assert "already" in str(refused.context["form"].errors["app_name"])


def test_a_card_says_when_an_api_has_no_plan_yet(world: World, client: Client) -> None:
    deploy(world, "release")
    shown = client.get("/apis/").content.decode()
    assert "No plan yet" in shown and "open for subscription" not in shown
    world.plan()
    assert "No plan yet" not in client.get("/apis/").content.decode()
