"""Reads request bodies: JSON that cannot hurt, and OpenAPI documents sent as they are."""

from collections.abc import Mapping
from typing import IO, Any

from django.utils.translation import gettext as _
from rest_framework.exceptions import ParseError
from rest_framework.parsers import BaseParser, JSONParser

JSON_DEPTH_MAX = 32


class StrictJsonParser(JSONParser):
    """JSON with bounded depth, an object at the top, no NUL and no broken Unicode in any text."""

    def parse(
        self, stream: IO[Any], media_type: str | None = None, parser_context: Mapping[str, Any] | None = None
    ) -> Any:
        """Return the object. Raises ParseError."""
        try:
            value = super().parse(stream, media_type, dict(parser_context or {}))
        except RecursionError as error:
            raise ParseError(_("The body is nested too deeply.")) from error
        if not isinstance(value, dict):
            raise ParseError(_("The body must be a JSON object."))
        _check(value, 0)
        return value


class DocumentParser(BaseParser):
    """An OpenAPI document as the whole body (YAML); it reads as ``{"document": "…"}``."""

    media_type = "application/yaml"

    def parse(
        self, stream: IO[Any], media_type: str | None = None, parser_context: Mapping[str, Any] | None = None
    ) -> Any:
        """Return the text. Raises ParseError for what is not UTF-8."""
        del media_type, parser_context
        try:
            return {"document": stream.read().decode("utf-8")}
        except UnicodeDecodeError as error:
            raise ParseError(_("The document must be UTF-8 text.")) from error


def _check(value: Any, depth: int) -> None:
    if depth > JSON_DEPTH_MAX:
        raise ParseError(_("The body is nested too deeply."))
    if isinstance(value, dict):
        for name, child in value.items():
            _text_check(name)
            _check(child, depth + 1)
    elif isinstance(value, list):
        for child in value:
            _check(child, depth + 1)
    elif isinstance(value, str):
        _text_check(value)


def _text_check(text: str) -> None:
    if "\x00" in text or (not text.isascii() and any("\ud800" <= character <= "\udfff" for character in text)):
        raise ParseError(_("Text must be valid Unicode without NUL characters."))
