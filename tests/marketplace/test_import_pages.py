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
    client.force_login(alice.person)
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


SEVERAL = """\
info: {title: Broken}
paths:
  /pets:
    get:
      responses:
        "200": {$ref: "#/components/responses/Pets"}
  pets: {}
  /toys/{toy}:
    get:
      parameters:
        - {in: query}
"""


def test_all_faults_of_a_document_show_at_once_with_lines_and_places(hers: Client, alice: people.Party) -> None:
    answer = hers.post(pages(alice), {"text": SEVERAL})
    page = hers.get(answer["Location"])
    rows = [(row.line, row.place) for row in page.context["faults"]]
    assert (6, "GET /pets › responses › 200 › $ref") in rows
    assert (7, "pets") in rows
    assert (11, "GET /toys/{toy} › parameters[0] › name") in rows
    assert (0, "openapi") in rows
    shown = page.content.decode()
    assert "GET /pets › responses › 200 › $ref" in shown and "~1" not in shown


def test_the_next_version_shows_its_faults_the_same_way(hers: Client, api: Api, alice: people.Party) -> None:
    page = hers.post(f"/o/{alice.organization.slug}/provider/apis/{api.public_id}/import/", {"text": SEVERAL})
    assert len(page.context["faults"]) >= 4
    assert "Nothing was imported" in page.content.decode()
    assert api.operations.filter(retired_at=None).count() == 3


def test_the_review_form_tells_all_its_faults_at_once(hers: Client, alice: people.Party) -> None:
    answer = hers.post(pages(alice), {"sample": "1"})
    wrong = {"name": "", "base_path": "weather", "upstream_url": "ftp://x", "visibility": "public"}
    errors = hers.post(answer["Location"], wrong).context["form"].errors
    assert set(errors) == {"name", "base_path", "upstream_url"}
    assert all(text[0].isupper() for texts in errors.values() for text in texts)
