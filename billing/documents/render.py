"""From values to PDF bytes through Typst. The same values give the same bytes, on any machine with the same wheel.

User text never meets the Typst compiler as source: all of it travels as one JSON string in ``sys.inputs`` and is placed
as plain text. Only the fonts beside this file are used, never the machine's. No package, file or network can be reached
from a template: the root is the folder of the templates.
"""

import json
from collections.abc import Mapping
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any, Final

import typst

from billing.documents.content import TEXT_LENGTH_MAX, DocumentInvalid
from billing.documents.coverage import FONTS, text_printable

TEMPLATES = Path(__file__).parent / "templates"
PDF_STANDARD: Final = "a-2u"
"""PDF/A-2u: made to be kept, all fonts inside, and every glyph mapped to its character."""


def pdf_render(template: str, values: Mapping[str, Any], *, issued_at: datetime) -> bytes:
    """Compile ``templates/<template>.typ`` with ``values`` (JSON-safe; texts are made printable here).

    Raises DocumentInvalid for a text longer than TEXT_LENGTH_MAX.
    """
    compiler = typst.Compiler(
        input=TEMPLATES / f"{template}.typ",
        root=TEMPLATES,
        font_paths=_fonts(),
        ignore_system_fonts=True,
        sys_inputs={"document": json.dumps(_printable(values), ensure_ascii=False, sort_keys=True)},
        package_path=TEMPLATES,
        package_cache_path=TEMPLATES,
    )
    pdf = compiler.compile(format="pdf", timestamp=int(issued_at.timestamp()), pdf_standards=PDF_STANDARD)
    if not isinstance(pdf, bytes):
        raise DocumentInvalid("the document has no pages")
    return pdf


@cache
def _fonts() -> typst.Fonts:
    return typst.Fonts(include_system_fonts=False, include_embedded_fonts=False, font_paths=[FONTS])


def _printable(value: Any) -> Any:
    match value:
        case str():
            if len(value) > TEXT_LENGTH_MAX:
                raise DocumentInvalid(f"a text of a document has at most {TEXT_LENGTH_MAX} characters")
            return text_printable(value)
        case Mapping():
            return {name: _printable(item) for name, item in value.items()}
        case list() | tuple():
            return [_printable(item) for item in value]
        case _:
            return value
