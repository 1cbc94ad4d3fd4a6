"""Path templates and base paths: what may be written, and what would claim the same calls."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.routes import RouteTrie
from marketplace.core.paths import MalformedPath, base_path_parse, base_paths_overlap, template_parse


@pytest.mark.parametrize(
    ("text", "parameters"),
    [
        ("/", ()),
        ("/pets", ()),
        ("/pets/", ()),
        ("/pets/{petId}/toys/{toy-id}", ("petId", "toy-id")),
        ("/maps/{layer}.png", ("layer",)),
        ("/range/{from}-{to}", ("from", "to")),
        ("/files/{rest+}", ("rest",)),
        ("/a%20b/x:y@z", ()),
    ],
)
def test_templates_are_read_and_the_gateway_takes_them(text: str, parameters: tuple[str, ...]) -> None:
    template = template_parse(text)
    assert str(template) == text
    assert template.parameters == parameters
    assert RouteTrie[str]().add("GET", text, "target")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "pets",
        "//",
        "/a//b",
        "/../a",
        "/.",
        "/{",
        "/}",
        "/{}",
        "/{a",
        "/{a}{b}",
        "/{a}/{a}",
        "/{a+}/b",
        "/*",
        "/a b",
        "/é",
        "/%zz",
        "/?",
        "/#",
        "/{a b}",
        "/" + "a/" * 40,
    ],
)
def test_malformed_templates_are_refused(text: str) -> None:
    with pytest.raises(MalformedPath):
        template_parse(text)


def test_templates_of_one_shape_match_the_same_calls() -> None:
    assert template_parse("/a/{x}").shape == template_parse("/a/{y}").shape
    assert template_parse("/a/{x}.json").shape == template_parse("/a/{y}.json").shape
    assert len({template_parse(text).shape for text in ("/a/{x}", "/a/{x}.json", "/a/{x+}", "/a/x", "/a/")}) == 5


@given(st.text(max_size=40))
def test_a_base_path_that_is_read_reads_again_as_itself(text: str) -> None:
    try:
        path = base_path_parse("/" + text)
    except MalformedPath:
        return
    assert base_path_parse(path) == path
    assert base_paths_overlap(path, path) and base_paths_overlap(path, path + "/x")
    assert not base_paths_overlap(path, path + "x")
