"""Which characters the fonts beside this file can show. Nothing is dropped silently: what they cannot show becomes □.

``fonts/coverage.json`` was written when the fonts were cut (fonts/README.md); a test compares it with the fonts.
"""

import json
import unicodedata
from bisect import bisect_right
from functools import cache
from pathlib import Path

FONTS = Path(__file__).parent / "fonts"
MISSING_GLYPH = "□"

_INVISIBLE = {"Cc", "Cf", "Cs", "Co", "Cn"}
"""Controls, direction overrides, lone surrogates, private use: they can only deceive on a document."""


@cache
def _ranges() -> tuple[list[int], list[int]]:
    ranges = json.loads((FONTS / "coverage.json").read_text(encoding="ascii"))["text"]
    return [first for first, _ in ranges], [last for _, last in ranges]


def is_covered(character: str) -> bool:
    """True when the text fonts have a glyph for the character."""
    firsts, lasts = _ranges()
    place = bisect_right(firsts, ord(character)) - 1
    return place >= 0 and ord(character) <= lasts[place]


def text_printable(text: str) -> str:
    """Return text that prints as it reads: composed (NFC), invisible characters gone, unknown ones as □, tabs as spaces.

    Line breaks stay; what a document does with them is the caller's business.
    """
    composed = unicodedata.normalize("NFC", text.replace("\r\n", "\n").replace("\r", "\n").replace("\t", " "))
    shown = []
    for character in composed:
        if character == "\n" or is_covered(character):
            shown.append(character)
        elif unicodedata.category(character) not in _INVISIBLE:
            shown.append(MISSING_GLYPH if not unicodedata.combining(character) else "")
    return "".join(shown)
