"""Search tokens: one way to cut English and Chinese, and nothing that a query language could misread."""

import re

from hypothesis import given
from hypothesis import strategies as st

from marketplace.core.histograms import histogram_add, percentile_ms
from marketplace.core.search import QUERY_TOKENS_MAX, TOKENS_MAX, query_text, tokens_of, vector_text


def test_chinese_is_cut_into_characters_and_pairs_and_the_rest_into_words() -> None:
    assert tokens_of("天气API预报 v2") == ["天", "气", "天气", "api", "预", "报", "预报", "v2"]


def test_width_and_case_do_not_matter() -> None:
    assert tokens_of("ＡＰＩ Straße") == tokens_of("api STRASSE")


@given(st.text(max_size=300))
def test_a_query_is_only_quoted_words(text: str) -> None:
    query = query_text(text)
    assert re.fullmatch(r"('[^'\\]+'(:\*)?( & '[^'\\]+'(:\*)?)*)?", query)
    assert query.count("&") < QUERY_TOKENS_MAX


@given(st.text(max_size=300), st.text(max_size=300))
def test_a_vector_is_only_quoted_words_with_places(first: str, second: str) -> None:
    for part in vector_text({"A": first, "D": second}).split(" "):
        assert part == "" or re.fullmatch(r"'[^'\\]+':\d+[AD](,\d+[AD])*", part)


def test_long_texts_stay_within_bounds() -> None:
    assert len(tokens_of("天" * 10_000)) == TOKENS_MAX
    assert query_text("气" * 10_000).count("'") <= 2 * QUERY_TOKENS_MAX


@given(st.lists(st.integers(0, 1000), min_size=15, max_size=15), st.floats(0.01, 1))
def test_a_percentile_grows_with_its_share(counts: list[int], share: float) -> None:
    low, high = percentile_ms(counts, share / 2), percentile_ms(counts, share)
    assert (low is None) == (sum(counts) == 0)
    assert low is None or high is None or low <= high <= 30_000
    assert histogram_add(counts, [0] * 15) == counts
