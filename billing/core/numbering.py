"""The form of document numbers: series, year, sequence. Which sequence is next is a locked counter row's business."""

import re

from billing.core.errors import NumberInvalid

SEQUENCE_DIGITS = 6
"""Zero padded to this; later numbers of a busy year grow longer and still differ."""

SEQUENCE_MAX = 10**12
_SERIES = re.compile(r"[A-Z][A-Z0-9]{0,11}")
_NUMBER = re.compile(r"([A-Z][A-Z0-9]{0,11})-([0-9]{4})-([0-9]{6,12})")


def number_format(*, series: str, year: int, sequence: int) -> str:
    """Return such as ``INV-2026-000017``. Raises NumberInvalid for a series, year or sequence out of form."""
    if not _SERIES.fullmatch(series):
        raise NumberInvalid("a series is 1 to 12 capital letters and digits, a letter first")
    if not 1000 <= year <= 9999 or not 1 <= sequence < SEQUENCE_MAX:
        raise NumberInvalid("a number has a year of four digits and a sequence that starts at 1")
    return f"{series}-{year}-{sequence:0{SEQUENCE_DIGITS}d}"


def number_parse(number: str) -> tuple[str, int, int]:
    """Return (series, year, sequence). Raises NumberInvalid for text that ``number_format`` did not make."""
    match = _NUMBER.fullmatch(number)
    if match is None or match[0] != number_format(series=match[1], year=int(match[2]), sequence=int(match[3])):
        raise NumberInvalid("a document number looks like INV-2026-000017")
    return match[1], int(match[2]), int(match[3])
