"""Colours for code samples: a few token kinds by pattern. Not a parser; unknown text passes through escaped."""

import re

from django.utils.html import escape
from django.utils.safestring import SafeString

HIGHLIGHT_CHARACTERS_MAX = 40_000
"""Longer text is shown without colours."""

_PYTHON_WORDS = "import|from|as|def|return|with|for|in|if|else|print|None|True|False|lambda|not"
_STRING = r'"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\''
_PATTERNS = {
    "json": re.compile(rf"(?P<k>{_STRING})(?=\s*:)|(?P<s>{_STRING})|(?P<n>\b(?:true|false|null)\b|-?\b\d[\d.eE+-]*\b)"),
    "python": re.compile(
        rf"(?P<c>#[^\n]*)|(?P<s>[bf]?(?:{_STRING}))|(?P<k>\b(?:{_PYTHON_WORDS})\b)|(?P<n>\b\d[\d.]*\b)"
    ),
    "bash": re.compile(
        rf"(?P<c>(?<!\S)#[^\n]*)|(?P<s>{_STRING})|(?P<k>(?<!\S)(?:curl|export|openssl|-{{1,2}}[A-Za-z][\w-]*)(?!\S))"
    ),
    "http": re.compile(r"(?P<k>^[A-Za-z][\w-]*(?=:))|(?P<n>\b\d{3}\b)", re.MULTILINE),
}  # fmt: skip


def highlight(text: str, language: str) -> SafeString:
    """Return ``text`` as safe HTML with spans ``hl-k`` (names), ``hl-s`` (strings), ``hl-n`` (numbers), ``hl-c`` (notes)."""
    pattern = _PATTERNS.get(language)
    if pattern is None or len(text) > HIGHLIGHT_CHARACTERS_MAX:
        return SafeString(escape(text))
    parts, at = [], 0
    for found in pattern.finditer(text):
        parts.append(escape(text[at : found.start()]))
        parts.append(f'<span class="hl-{found.lastgroup}">{escape(found.group())}</span>')
        at = found.end()
    parts.append(escape(text[at:]))
    return SafeString("".join(parts))
