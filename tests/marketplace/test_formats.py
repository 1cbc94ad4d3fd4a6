"""Numbers for people: shares that add up as rounded, never a full 100 or a bare 0 that is not true."""

from datetime import UTC, datetime
from types import SimpleNamespace

import pytest
from django.template.loader import render_to_string

from marketplace.selectors.usage import Totals, UsageSummary
from marketplace.templatetags.formats import compact, octets, share


@pytest.mark.parametrize(
    ("part", "whole", "text"),
    [
        (1, 160, "0.63 %"),
        (159, 160, "99.38 %"),
        (1, 3, "33.33 %"),
        (2, 3, "66.67 %"),
        (999_999, 1_000_000, "99.99 %"),
        (1, 1_000_000, "0.01 %"),
        (0, 7, "0 %"),
        (7, 7, "100 %"),
        (0, 0, "–"),
    ],
)
def test_a_share_is_rounded_and_never_hides_a_rest(part: int, whole: int, text: str) -> None:
    assert share(part, whole) == text


def test_compact_numbers_and_octets_are_rounded_not_cut() -> None:
    assert compact(1_290_000) == "1.3 M"
    assert octets(1_996) == "1.9 KiB"
    assert octets(2_029) == "2.0 KiB"


@pytest.mark.parametrize(("refused", "words"), [(0, "no calls yet"), (3, "no call reached the upstream")])
def test_the_latency_tile_says_why_it_is_empty(refused: int, words: str) -> None:
    now = datetime(2026, 11, 23, tzinfo=UTC)
    totals = Totals(calls=refused, rejected=refused)
    summary = UsageSummary(now, now, totals, {"rejected:B403MQ": refused}, None, None, None, now)
    shown = render_to_string("marketplace/usage_tiles.html", {"picture": SimpleNamespace(summary=summary)})
    assert words in shown
