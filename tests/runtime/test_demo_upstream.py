"""The demo upstream: what other tests and the demo rely on."""

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from openapi_schema_validator import OAS31Validator

from marketplace.views.provider import sample_document
from tests import servers


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    folder: Path = tmp_path_factory.mktemp("upstream")
    with servers.upstream({"TOLLGATE_VAR": str(folder)}) as upstream, httpx.Client(base_url=upstream.url) as client:
        yield client


def test_the_weather_of_a_city_is_always_the_same(client: httpx.Client) -> None:
    assert client.get("/current/杭州").json() == client.get("/current/杭州").json()
    assert [day["day"] for day in client.get("/forecast/Oslo?days=2").json()["days"]] == [1, 2]


def test_echo_tells_method_query_headers_and_body(client: httpx.Client) -> None:
    said = client.post("/echo/deep/er?a=1&a=2", content="汉字", headers={"X-Mine": "yes"}).json()
    assert said["method"] == "POST"
    assert said["query"] == [["a", "1"], ["a", "2"]]
    assert ["x-mine", "yes"] in [[name.lower(), value] for name, value in said["headers"]]
    assert said["body"] == "汉字"


@pytest.mark.parametrize("code", [200, 204, 304, 404, 503])
def test_any_status_can_be_asked_for(client: httpx.Client, code: int) -> None:
    assert client.get(f"/status/{code}").status_code == code


def test_a_stream_has_the_length_that_was_asked_for(client: httpx.Client) -> None:
    assert len(client.get("/stream?bytes=1000003&chunk=4096").content) == 1_000_003


def test_an_upload_is_counted_and_hashed(client: httpx.Client) -> None:
    body = b"x" * 3_000_000
    assert client.put("/upload", content=body).json() == {
        "bytes": len(body),
        "sha256": hashlib.sha256(body).hexdigest(),
    }


def test_a_slow_answer_comes(client: httpx.Client) -> None:
    assert client.get("/slow?ms=20").json() == {"waited_ms": 20}


@pytest.mark.parametrize("path", ["/pets", "/pets/7", "/v1/a/b/c", "/current", "/stations/LPPT/else", "/forecast/a/b"])
def test_any_other_path_is_echoed_so_that_any_document_can_be_tried(client: httpx.Client, path: str) -> None:
    answer = client.delete(path)
    assert (answer.status_code, answer.json()["method"], answer.json()["path"]) == (200, "DELETE", path)


@pytest.mark.parametrize(
    ("path", "schema"),
    [
        ("/forecast?city=里斯本&hours=3", {"$ref": "#/components/schemas/Forecast"}),
        ("/forecast?city=Lisbon", {"$ref": "#/components/schemas/Forecast"}),
        ("/stations/LPPT/observations", {"type": "array", "items": {"$ref": "#/components/schemas/Observation"}}),
    ],
)
def test_the_sample_documents_paths_are_answered_as_it_describes_them(
    client: httpx.Client, path: str, schema: dict[str, Any]
) -> None:
    document = yaml.safe_load(sample_document())
    answer = client.get(path)
    assert answer.status_code == 200
    OAS31Validator({**schema, "components": document["components"]}).validate(answer.json())
    assert answer.json() == client.get(path).json()


def test_a_forecast_has_as_many_hours_as_asked_for_and_a_reported_observation_is_taken(client: httpx.Client) -> None:
    assert len(client.get("/forecast?city=Lisbon&hours=3").json()["hours"]) == 3
    assert len(client.get("/forecast?city=Lisbon").json()["hours"]) == 24
    assert client.post("/stations/LPPT/observations", json={"celsius": 1}).status_code == 201


def test_a_head_has_no_body(client: httpx.Client) -> None:
    assert client.head("/current/Oslo").content == b""
