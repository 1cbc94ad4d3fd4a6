"""Where a fault lies: the line of a pointer in YAML and JSON, whatever stands in the text, and the place in words."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketplace.core.openapi import document_read
from marketplace.core.paths import MalformedPath, base_path_parse
from marketplace.core.places import lines_find, place_in_words
from marketplace.core.upstreams import UpstreamRefused, upstream_url_parse

YAML = """\
openapi: 3.0.0
paths:
  /a~b/{id}:
    get:
      parameters: [{name: id}, {name: two}]
      responses:
        "200": &ok
          description: fine
        "404": *ok
"""


@pytest.mark.parametrize(
    ("pointer", "line"),
    [
        ("/openapi", 1),
        ("/paths/~1a~0b~1{id}", 3),
        ("/paths/~1a~0b~1{id}/get/parameters/1/name", 5),
        ("/paths/~1a~0b~1{id}/get/responses/200/description", 8),
        ("/paths/~1a~0b~1{id}/get/responses/404/description", 9),
        ("/paths/~1a~0b~1{id}/get/operationId", 4),
    ],
)
def test_a_pointer_has_the_line_of_its_key_or_of_the_nearest_place_above(pointer: str, line: int) -> None:
    assert lines_find(YAML, [pointer]) == {pointer: line}


def test_json_has_lines_too_and_what_is_not_there_has_none() -> None:
    text = json.dumps({"openapi": "3.0.0", "paths": {"/a": {"get": {"tags": ["x"]}}}}, indent=2)
    assert lines_find(text, ["/paths/~1a/get/tags/0", "", "/servers"]) == {"/paths/~1a/get/tags/0": 7}
    assert lines_find("a: [", ["/b"]) == {}


@given(st.text(max_size=200), st.lists(st.text(max_size=20).map(lambda text: "/" + text), max_size=5))
def test_no_text_makes_it_raise(text: str, pointers: list[str]) -> None:
    assert set(lines_find(text, pointers)) <= set(pointers)
    assert all(isinstance(place_in_words(pointer), str) for pointer in pointers)


@pytest.mark.parametrize(
    ("pointer", "words"),
    [
        ("", ""),
        ("/info/version", "info › version"),
        ("/paths/~1pets", "/pets"),
        ("/paths/~1pets/get/parameters/0/name", "GET /pets › parameters[0] › name"),
        ("/paths/~1pets/post/responses/200", "POST /pets › responses › 200"),
        ("/components/schemas/A/allOf/2", "components › schemas › A › allOf[2]"),
    ],
)
def test_a_place_is_named_as_a_person_would(pointer: str, words: str) -> None:
    assert place_in_words(pointer) == words


def test_messages_of_the_core_are_sentences_with_a_capital() -> None:
    said = [detail for _, detail in document_read("openapi: 3.0.0\npaths: {a: {}, /b: {get: 1}, /c//d: {}}").faults]
    for path in ("weather", "/", "/a/%"):
        with pytest.raises(MalformedPath) as refused:
            base_path_parse(path)
        said.append(str(refused.value))
    for url in ("ftp://x", "http://", "http://h?x", "x" * 999):
        with pytest.raises(UpstreamRefused) as unusable:
            upstream_url_parse(url, is_private_allowed=True)
        said.append(str(unusable.value))
    assert [text for text in said if not text[0].isupper()] == []
