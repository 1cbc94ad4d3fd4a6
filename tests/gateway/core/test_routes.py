"""Path templates: literals beat patterns, patterns beat parameters, parameters beat tails; unsafe paths match nothing."""

from __future__ import annotations

import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.routes import PathInvalid, Pattern, RouteTrie, TemplateInvalid, path_drop, path_segments


def trie_of(*templates: str) -> RouteTrie[str]:
    trie: RouteTrie[str] = RouteTrie()
    for template in templates:
        assert trie.add("GET", template, template)
    return trie


@pytest.mark.parametrize(
    ("path", "template"),
    [
        (b"/pets/mine", "/pets/mine"),
        (b"/pets/7", "/pets/{id}"),
        (b"/pets/7.json", "/pets/{id}.json"),
        (b"/pets/7/toys", "/pets/{id}/toys"),
        (b"/pets/mine/toys", "/pets/{id}/toys"),
        (b"/pets/7/any/thing/else", "/pets/{id}/{rest+}"),
        (b"/pets/a%2Fb", "/pets/{id}"),
        (b"/p%65ts/7", "/pets/{id}"),
        (b"/%E4%B8%AD/x", "/中/x"),
        (b"/", "/"),
    ],
)
def test_the_most_specific_template_serves_a_path(path: bytes, template: str) -> None:
    trie = trie_of("/", "/pets/{id}", "/pets/mine", "/pets/{id}.json", "/pets/{id}/toys", "/pets/{id}/{rest+}", "/中/x")
    assert trie.find(path_segments(path)) == {"GET": template}


@pytest.mark.parametrize("path", [b"/pets", b"/pets/", b"/pets//toys", b"//pets/7", b"/Pets/7"])
def test_what_no_template_describes_is_not_served(path: bytes) -> None:
    assert trie_of("/pets/{id}", "/pets/{id}/toys").find(path_segments(path)) == {}


def test_a_segment_with_many_parameters_is_compared_in_one_pass_whatever_a_stranger_sends() -> None:
    trie = trie_of("/days/{year}-{month}-{day}.json")
    segments = path_segments(b"/days/" + b"-" * 1_500)
    started = time.process_time()
    assert trie.find(segments) == {}
    assert time.process_time() - started < 0.1


def test_text_beside_a_parameter_is_decoded_as_a_literal_is() -> None:
    trie = trie_of("/reports/{year}%20draft", "/reports/{a}%2F{b}")
    assert trie.find(path_segments(b"/reports/2026%20draft")) == {"GET": "/reports/{year}%20draft"}
    assert trie.find(path_segments(b"/reports/x%2fy")) == {"GET": "/reports/{a}%2F{b}"}
    assert trie.find(path_segments(b"/reports/x%2Fy%2Fz")) == {}


@given(
    st.lists(st.sampled_from(["{a}", "{b}", "-", ".", "x", "-."]), min_size=1, max_size=7).map("".join),
    st.text("-.x/q", max_size=9),
)
def test_a_pattern_takes_what_its_regular_expression_would(template: str, segment: str) -> None:
    pieces = [re.escape(text) for text in re.split(r"\{.\}", template)]
    if len(pieces) == 1:
        return
    wanted = re.fullmatch("[^/]+".join(pieces), segment) is not None
    assert Pattern(template).matches(segment.encode()) == wanted


def test_a_shape_is_taken_once_per_method() -> None:
    trie = trie_of("/pets/{id}")
    assert not trie.add("GET", "/pets/{name}", "other")
    assert trie.add("PUT", "/pets/{name}", "other")


def test_a_tail_must_be_the_end() -> None:
    with pytest.raises(TemplateInvalid):
        trie_of("/a/{rest+}/b")


@given(
    st.lists(
        st.text(st.characters(blacklist_characters="/", codec="utf-8"), min_size=1, max_size=8), min_size=1, max_size=6
    )
)
def test_segments_survive_percent_encoding(segments: list[str]) -> None:
    raw = b"".join(b"/" + b"".join(b"%%%02X" % octet for octet in segment.encode()) for segment in segments)
    try:
        assert path_segments(raw) == [segment.encode() for segment in segments]
    except PathInvalid:
        joined = "/".join(segments)
        assert any(piece.split(";")[0] in (".", "..") for piece in joined.replace("\\", "/").split("/")) or any(
            ord(character) < 32 or ord(character) == 127 for character in joined
        )


def test_dropping_segments_leaves_the_rest_as_it_was_sent() -> None:
    assert path_drop(b"/%61/b%2Fc/d", 1) == b"/b%2Fc/d"
    assert path_drop(b"/a/b", 2) == b""
    assert path_drop(b"/a/b", 0) == b"/a/b"
