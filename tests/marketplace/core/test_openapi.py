"""Reading OpenAPI documents: good ones whole, bad ones with a pointer to each fault, hostile ones within bounds."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from marketplace.core.documents import NODES_MAX, TEXT_BYTES_MAX, DocumentUnreadable, document_load
from marketplace.core.openapi import OPERATIONS_MAX, document_read
from tests.marketplace.people import DATA


def document(paths: dict[str, Any], **more: Any) -> str:
    return json.dumps({"openapi": "3.0.3", "info": {"title": "T", "version": "1"}, "paths": paths, **more})


def get(**more: Any) -> dict[str, Any]:
    return {"get": {"responses": {"200": {"description": "ok"}}, **more}}


def with_schema(schema: dict[str, Any]) -> str:
    return document({"/a": get()}, components={"schemas": {"A": schema}})


def faults(text: str) -> dict[str, str]:
    return dict(document_read(text).faults)


@pytest.mark.parametrize(("name", "operations"), [("petstore-3.0.yaml", 3), ("weather-3.1.json", 5)])
def test_whole_documents_are_read_without_a_fault(name: str, operations: int) -> None:
    read = document_read((DATA / name).read_text())
    assert read.faults == []
    assert len(read.operations) == operations
    assert read.title and read.version


def test_references_to_parameters_answers_and_bodies_are_followed() -> None:
    read = document_read((DATA / "weather-3.1.json").read_text())
    weather = read.operations[0]
    assert [(spec["place"], spec["name"], spec["type"]) for spec in weather.parameters] == [
        ("path", "city", "string"),
        ("query", "units", "string"),
    ]
    assert weather.responses["404"]["description"] == "No such city"
    assert read.server_url == "http://127.0.0.1:9000/v1"


def test_yaml_means_what_yaml_1_2_means() -> None:
    text = """
openapi: 3.0.0
info: {title: no, version: 2026-11-20}
paths:
  /on:
    get:
      operationId: yes
      responses:
        200: {description: 012}
"""
    read = document_read(text)
    assert read.document["info"] == {"title": "no", "version": "2026-11-20"}
    assert read.document["paths"]["/on"]["get"]["operationId"] == "yes"
    assert list(read.document["paths"]["/on"]["get"]["responses"]) == ["200"]
    assert read.faults == []
    assert "/paths/~1on/get/responses/200" in dict(read.warnings), "012 is a number, and a description is text"


@pytest.mark.parametrize(
    ("text", "pointer", "words"),
    [
        ("", "", "empty"),
        ("[]", "", "object"),
        ("just words", "", "object"),
        ('{"openapi": "3.0.0",', "", "Not valid JSON"),
        ("a: [1, 2", "", "Not valid YAML"),
        ("a: 1\na: 2", "", "occurs twice"),
        ('{"a": 1, "a": 2}', "", "occurs twice"),
        ('{"swagger": "2.0"}', "/swagger", "convert it"),
        ('{"openapi": "4.0.0"}', "/openapi", "3.1"),
        ('{"openapi": 3.1}', "/openapi", "3.1"),
        (document({}), "/paths", "no path"),
        (document({"pets": get()}), "/paths/pets", "starts with /"),
        (document({"/pets/{": get()}), "/paths/~1pets~1{", "braces"),
        (document({"/a//b": get()}), "/paths/~1a~1~1b", "empty segment"),
        (document({"/a b": get()}), "/paths/~1a b", "percent-encode"),
        (document({"/pets/{id}": get()}), "/paths/~1pets~1{id}/get", "not declared"),
        (
            document({"/pets": get(parameters=[{"name": "id", "in": "path", "required": True, "schema": {}}])}),
            "/paths/~1pets/get",
            "does not occur",
        ),
        (document({"/pets": get(parameters=[{"name": "q", "in": "body"}])}), "/paths/~1pets/get/parameters/0/in", "requestBody"),
        (document({"/pets": get(parameters={"q": {}})}), "/paths/~1pets/get/parameters", "list"),
        (document({"/pets": get(parameters=[{"in": "query"}])}), "/paths/~1pets/get/parameters/0/name", "characters"),
        (document({"/pets": {"gett": {}}}), "/paths/~1pets/gett", "No method"),
        (document({"/a": get(operationId="x"), "/b": get(operationId="x")}), "/paths/~1b/get/operationId", "GET /a"),
        (document({"/a": {"get": "x"}}), "/paths/~1a/get", "object"),
        (document({"/a": {"$ref": "https://evil.example/x.json"}}), "/paths/~1a/$ref", "leaves the document"),
        (document({"/a": {"$ref": "file:///etc/passwd"}}), "/paths/~1a/$ref", "leaves the document"),
        (with_schema({"$ref": "#/components/schemas/B"}), "/components/schemas/A/$ref", "nothing"),
        (document({"/a": {"$ref": "#/paths/~1a"}}), "/paths/~1a", "circle"),
        (with_schema({"$id": "http://x/"}), "/components/schemas/A/$id", "remove"),
        (document({"/a": get(description="\u0000")}), "/paths/~1a/get/description", "NUL"),
        ('{"openapi": "3.0.0", "x": "\\ud800"}', "/x", "Unicode"),
        ('{"openapi": "3.0.0", "x": 1e999}', "/x", "finite"),
        ('{"openapi": "3.0.0", "x": NaN}', "", "NaN"),
        ('{"openapi": "3.0.0", "x": 99999999999999999999999}', "/x", "64 bits"),
        ("openapi: 3.0.0\nx: !!python/object/apply:os.system ['true']", "", "YAML"),
        ("? {a: b}\n: c", "", "key must be text"),
    ],
)  # fmt: skip
def test_a_fault_is_named_where_it_is(text: str, pointer: str, words: str) -> None:
    found = faults(text)
    assert pointer in found, found
    assert words in found[pointer]


def test_paths_that_match_the_same_calls_are_refused() -> None:
    def one(name: str) -> dict[str, Any]:
        return get(parameters=[{"name": name, "in": "path", "required": True, "schema": {"type": "string"}}])

    found = faults(document({"/pets/{id}": one("id"), "/pets/{name}": one("name")}))
    assert found["/paths/~1pets~1{name}/get"].startswith("GET /pets/{id} matches the same calls")
    assert faults(document({"/pets/{id}": one("id"), "/pets/{id}.json": one("id"), "/pets/all": get()})) == {}


@pytest.mark.parametrize(
    "text",
    [
        "a: " + "[" * 100_000,
        '{"a":' + "[" * 100_000,
        "a: &a [x]\n" + "\n".join(f"b{i}: &b{i} [{', '.join(['*' + ('a' if i == 0 else f'b{i - 1}')] * 9)}]" for i in range(9)),
        "a: &a [*a]",
        "a: &a\n  b: *a",
        json.dumps({"openapi": "3.0.0", "x": [0] * (NODES_MAX + 1)}),
        "x" * (TEXT_BYTES_MAX + 1),
        "- " * 60_000,
        "{" * 5_000,
        "a: !!binary zzzz",
        "%YAML 9.9\n---\na: b",
        "a: b\n---\nc: d",
        "\x00",
        "a: \x07",
    ],
    ids=lambda text: repr(text[:16]),
)  # fmt: skip
def test_hostile_texts_are_refused_within_bounds(text: str) -> None:
    with pytest.raises(DocumentUnreadable):
        document_load(text)


def test_too_many_operations_are_refused() -> None:
    assert "/paths" in faults(document({f"/p{number}": get() for number in range(OPERATIONS_MAX + 1)}))


def test_patterns_and_defaults_of_a_stranger_are_never_run() -> None:
    schema = {"type": "string", "pattern": "^(a+)+$", "default": "a" * 60 + "!"}
    assert faults(document({"/a": get(parameters=[{"name": "q", "in": "query", "schema": schema}])})) == {}


@pytest.mark.parametrize(
    ("text", "pointer", "words"),
    [
        (
            document({"/pets": get(parameters=[{"name": "q", "in": "query", "schema": {"type": "int"}}])}),
            "/paths/~1pets/get/parameters/0/schema/type",
            "integer",
        ),
        (
            document({"/a/{x}": get(parameters=[{"name": "x", "in": "path", "schema": {}}])}),
            "/paths/~1a~1{x}/get/parameters/0/required",
            "taken as required",
        ),
        (with_schema({"properties": {"a": {"type": "float"}}}), "/components/schemas/A/properties/a/type", "'float'"),
        (with_schema({"properties": ["a"]}), "/components/schemas/A", "Not as OpenAPI has it"),
        (document({"/a": {"get": {}}}), "/paths/~1a/get", "responses"),
        (document({"/a": get(responses=["x"])}), "/paths/~1a/get/responses", "object"),
        (document({"/a": get(), "/b": {"trace": {}}}), "/paths/~1b/trace", "TRACE"),
    ],
)
def test_what_does_not_keep_us_from_serving_is_a_warning_where_it_is(text: str, pointer: str, words: str) -> None:
    read = document_read(text)
    assert read.faults == []
    assert read.operations
    assert [text for place, text in read.warnings if place == pointer and words in text], read.warnings


def test_a_type_that_does_not_exist_leaves_the_parameter_open_and_values_are_not_taken_for_schemas() -> None:
    marked = {"type": "object", "example": {"type": "cat"}, "enum": [{"type": "dog"}]}
    query = {"name": "q", "in": "query", "schema": {"type": "int", "default": 7}}
    read = document_read(document({"/a": get(parameters=[query])}, components={"schemas": {"A": marked}}))
    assert [(spec["name"], spec["type"], spec["default"]) for spec in read.operations[0].parameters] == [("q", "", 7)]
    assert [pointer for pointer, _ in read.warnings if pointer.endswith("/type")] == [
        "/paths/~1a/get/parameters/0/schema/type"
    ]


def test_only_content_that_can_be_shown_is_kept() -> None:
    answers = {"200": {"description": "ok", "content": ["x"]}, "404": {"description": "no", "content": {"a/b": 1}}}
    read = document_read(document({"/a": get(responses=answers, requestBody={"content": 3})}))
    assert read.faults == []
    assert [answer["content"] for answer in read.operations[0].responses.values()] == [{}, {}]
    assert read.operations[0].request_body == {"content": {}}


@settings(max_examples=150, deadline=None)
@given(st.text(max_size=60) | st.text(alphabet="{}[]&*!|>-:?,#%@`'\" \nax0", max_size=60))
def test_no_text_raises_anything_but_a_fault(text: str) -> None:
    assert document_read(text).faults


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=12,
)


@settings(max_examples=100, deadline=None)
@given(
    st.dictionaries(
        st.sampled_from(["get", "parameters", "$ref", "post", "x-aliyun-apigateway-any-method"]), JSON, max_size=3
    ),
    st.dictionaries(
        st.sampled_from(
            ["parameters", "responses", "requestBody", "tags", "x-aliyun-apigateway-backend", "operationId"]
        ),
        JSON,
    ),
)
def test_no_shape_of_a_path_raises_anything(item: dict[str, Any], operation: dict[str, Any]) -> None:
    document_read(document({"/a/{x}": item, "/b": {"get": operation}}))


def test_extensions_of_alibaba_documents_become_policies_and_an_upstream() -> None:
    marked = {
        "x-aliyun-apigateway-auth-type": "ANONYMOUS",
        "x-aliyun-apigateway-api-force-nonce-check": True,
        "x-aliyun-apigateway-paramater-handling": "MAPPING",
        "x-aliyun-apigateway-backend": {"type": "HTTP", "address": "http://10.0.0.1:80", "timeout": "3000"},
    }
    all_marked = document_read(document({"/a": get(**marked)}))
    assert all_marked.faults == []
    assert all_marked.hints.policies == {"auth": "anonymous", "nonce_required": True}
    assert (all_marked.hints.upstream_url, all_marked.hints.timeout_ms) == ("http://10.0.0.1:80", 3000)
    assert any("mapping is not applied" in text for _, text in all_marked.warnings)
    mixed = document_read(document({"/a": get(**marked), "/b": get()}))
    assert mixed.hints.policies == {"auth": "app", "nonce_required": True}
    assert any("whole API" in text for _, text in mixed.warnings)


def test_an_any_method_path_is_one_operation() -> None:
    read = document_read(document({"/a": {"x-aliyun-apigateway-any-method": get()["get"]}}))
    assert [(one.method, one.path_template) for one in read.operations] == [("ANY", "/a")]
