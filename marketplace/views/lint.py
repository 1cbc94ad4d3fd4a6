"""What was found in an imported document, as rows of a page: the fault, its line, and its place in words."""

from collections.abc import Sequence
from typing import NamedTuple

from marketplace.core.documents import Fault
from marketplace.core.places import lines_find, place_in_words


class LintRow(NamedTuple):
    """One row; ``line`` is 0 and ``place`` empty for the whole document."""

    detail: str
    line: int
    place: str


def lint_rows(text: str, found: Sequence[Fault]) -> list[LintRow]:
    """The rows of faults or warnings, in the order of the text."""
    lines = lines_find(text, [pointer for pointer, _ in found]) if found else {}
    rows = [LintRow(detail, lines.get(pointer, 0), place_in_words(pointer)) for pointer, detail in found]
    return sorted(rows, key=lambda row: row.line)
