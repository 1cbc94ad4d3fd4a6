"""Importing a document into an Api: whole or not at all, ids kept, what is gone retired."""

import pytest

from marketplace.errors import DocumentRefused
from marketplace.models import Api, Operation
from marketplace.services import catalog
from tests.marketplace import people

pytestmark = pytest.mark.django_db


def ids(api: Api) -> dict[str, object]:
    rows = Operation.objects.filter(api=api, retired_at=None)
    return {f"{row.method} {row.path_template}": row.id for row in rows}


def test_ids_survive_a_second_import_also_when_parameters_are_renamed(api: Api, alice: people.Party) -> None:
    before = ids(api)
    text = people.petstore_text().replace("petId", "pet")
    report = catalog.api_import_openapi(api=api, text=text, person=alice.person)
    assert (report.created, report.retired) == ([], [])
    after = ids(api)
    assert after["GET /pets/{pet}"] == before["GET /pets/{petId}"]
    assert after["GET /pets"] == before["GET /pets"]


def test_what_is_gone_is_retired_and_comes_back_with_its_id(api: Api, alice: people.Party) -> None:
    before = ids(api)
    text = people.petstore_text().replace("    post:\n", "    x-post:\n")
    report = catalog.api_import_openapi(api=api, text=text, person=alice.person)
    assert report.retired == ["POST /pets"]
    assert "POST /pets" not in ids(api)
    report = catalog.api_import_openapi(api=api, text=people.petstore_text(), person=alice.person)
    assert ids(api) == before
    assert report.created == []


def test_a_refused_document_changes_nothing(api: Api, alice: people.Party) -> None:
    before = ids(api)
    with pytest.raises(DocumentRefused) as refusal:
        catalog.api_import_openapi(api=api, text="openapi: 3.0.0\npaths: {a: {}}", person=alice.person)
    assert {fault.pointer for fault in refusal.value.faults} >= {"/paths/a"}
    api.refresh_from_db()
    assert ids(api) == before and api.document["info"]["title"] == "Swagger Petstore"


def test_the_weather_document_is_imported_with_its_chinese_text(alice: people.Party) -> None:
    api = catalog.api_create(provider=alice.organization, name="天气", base_path="/weather", person=alice.person)
    report = catalog.api_import_openapi(
        api=api, text=(people.DATA / "weather-3.1.json").read_text(), person=alice.person
    )
    assert report.suggested_upstream == "http://127.0.0.1:9000/v1"
    assert len(report.created) == 5
    assert api.operations.get(name="forecast_get").summary.startswith("查询天气预报")
    api.refresh_from_db()
    assert "城市天气" in api.description


def test_extensions_set_policies_and_say_so(api: Api, alice: people.Party) -> None:
    text = people.petstore_text().replace(
        "      operationId:", "      x-aliyun-apigateway-auth-type: ANONYMOUS\n      operationId:"
    )
    report = catalog.api_import_openapi(api=api, text=text, person=alice.person)
    api.refresh_from_db()
    assert report.policies_changed == ["auth"]
    assert api.policies["auth"] == "anonymous"
