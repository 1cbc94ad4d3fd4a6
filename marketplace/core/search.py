"""Cuts text into search tokens, one way for English and Chinese: CJK into single characters and pairs, the rest into words.

Most Chinese words have two characters, so pairs find them without a dictionary; a query of one character still finds it.
PostgreSQL's own parser is not used: tokens become lexemes as they are.
"""

import re
import unicodedata
from itertools import pairwise

TOKENS_MAX = 2_000
"""Lexemes kept for one object."""
TOKEN_LENGTH_MAX = 64
QUERY_LENGTH_MAX = 200
QUERY_TOKENS_MAX = 12

_CJK = "㐀-䶿一-鿿豈-﫿぀-ヿ가-힣々〇\U00020000-\U0003134f"
_RUN = re.compile(f"(?P<cjk>[{_CJK}]+)|(?P<word>[^\\W_{_CJK}]+)")


def tokens_of(text: str) -> list[str]:
    """Return the tokens of a text in order: pairs and single characters of CJK runs, lower-cased words of the rest."""
    tokens: list[str] = []
    for match in _RUN.finditer(_plain(text)):
        if match["word"]:
            tokens.append(match["word"][:TOKEN_LENGTH_MAX])
            continue
        tokens.extend(match["cjk"])
        tokens.extend(first + second for first, second in pairwise(match["cjk"]))
    return tokens[:TOKENS_MAX]


def vector_text(weighted: dict[str, str]) -> str:
    """Return a literal tsvector from texts by weight (A is heaviest, then B, C, D), such as ``'天气':1A 'weather':2B``."""
    positions: dict[str, list[str]] = {}
    position = 0
    for weight, text in weighted.items():
        for token in tokens_of(text):
            position = min(position + 1, 16_383)
            places = positions.setdefault(token, [])
            if len(places) < 16:
                places.append(f"{position}{weight}")
    kept = list(positions.items())[:TOKENS_MAX]
    return " ".join(f"'{token}':{','.join(dict.fromkeys(places))}" for token, places in kept)


def query_text(text: str) -> str:
    """Return a literal tsquery that wants every word of ``text`` (words by their beginning), or an empty string for no word.

    A CJK run of two or more characters is asked for by its pairs, a single one by itself.
    """
    wanted: list[str] = []
    for match in _RUN.finditer(_plain(text[:QUERY_LENGTH_MAX])):
        if match["word"]:
            wanted.append(f"'{match['word'][:TOKEN_LENGTH_MAX]}':*")
            continue
        run = match["cjk"]
        pairs = [first + second for first, second in pairwise(run)] or [run]
        wanted.extend(f"'{pair}'" for pair in pairs)
    return " & ".join(dict.fromkeys(wanted[:QUERY_TOKENS_MAX]))


def _plain(text: str) -> str:
    """Full-width forms, case and compatibility variants made one (NFKC, case-folded)."""
    return unicodedata.normalize("NFKC", text).casefold()
