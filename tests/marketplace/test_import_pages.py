"""The way from a document to an API by the pages: the sample as a newcomer takes it, and faults told all at once."""

import dataclasses

import pytest
from django.conf import settings
from django.test import Client

from marketplace.models import Api
from tests.marketplace import people

pytestmark = pytest.mark.django_db


@pytest.fixture
def hers(alice: people.Party, client: Client) -> Client:
    client.force_login(alice.person, backend="django.contrib.auth.backends.ModelBackend")
    return client


def pages(alice: people.Party) -> str:
    return f"/o/{alice.organization.slug}/provider/apis/new/"


def test_the_sample_goes_to_the_demo_upstream_wherever_that_listens(
    hers: Client, alice: people.Party, monkeypatch: pytest.MonkeyPatch
) -> None:
    moved = dataclasses.replace(settings.TOLLGATE, upstream_bind="127.0.0.1:9412")
    monkeypatch.setattr(settings, "TOLLGATE", moved)
    answer = hers.post(pages(alice), {"sample": "1"})
    form = hers.get(answer["Location"]).context["form"]
    assert form.initial["upstream_url"] == "http://127.0.0.1:9412"
    hers.post(answer["Location"], {**form.initial, "visibility": "public"})
    api = Api.objects.get(provider=alice.organization)
    assert {stage.upstream_url for stage in api.stages.all()} == {"http://127.0.0.1:9412"}


def test_in_production_the_sample_names_no_upstream_of_a_demo(
    hers: Client, alice: people.Party, monkeypatch: pytest.MonkeyPatch
) -> None:
    production = dataclasses.replace(settings.TOLLGATE, environment="production")
    monkeypatch.setattr(settings, "TOLLGATE", production)
    answer = hers.post(pages(alice), {"sample": "1"})
    page = hers.get(answer["Location"])
    assert page.context["form"].initial["upstream_url"] == ""
    assert page.context["read"].faults == []
