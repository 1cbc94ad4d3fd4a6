"""Keyset pages: rows after a place in a fixed order, and the signed text (cursor) that says the place.

A cursor is bound to what was asked (filter, order), so that it cannot be carried into another list, and costs the database the
same for the first page and the thousandth.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from django.core import signing
from django.db.models import Model, Q, QuerySet
from django.utils.translation import gettext as _

from marketplace.errors import Fault, InvalidInput

PAGE_DEFAULT = 25
PAGE_MAX = 100
CURSOR_LENGTH_MAX = 600
SALT = "marketplace.cursor"

Row = TypeVar("Row", bound=Model)


@dataclass(frozen=True, slots=True)
class Page(Generic[Row]):
    """Some rows of a list; ``next_cursor`` is empty on the last page."""

    rows: list[Row]
    next_cursor: str

    @property
    def has_more(self) -> bool:
        """Whether there is a page after this one."""
        return bool(self.next_cursor)


def page_take(
    rows: QuerySet[Row],
    *,
    cursor: str = "",
    limit: int = PAGE_DEFAULT,
    order: Sequence[str] = ("-id",),
    bound: Mapping[str, Any] | None = None,
) -> Page[Row]:
    """Return the page of ``rows`` after ``cursor``, by the fields of ``order`` (unique together, none of them null).

    ``bound``: what was asked; a cursor of another question is refused. Raises InvalidInput for a bad cursor or limit.
    """
    if not 1 <= limit <= PAGE_MAX:
        message = _("The limit is from 1 to %(max)d.") % {"max": PAGE_MAX}
        raise InvalidInput(message, faults=[Fault("/limit", message)])
    question = _fingerprint(rows.model.__name__, order, bound or {})
    if cursor:
        rows = rows.filter(_after(order, _cursor_read(cursor, question, len(order))))
    found = list(rows.order_by(*order)[: limit + 1])
    if len(found) <= limit:
        return Page(found, "")
    last = found[limit - 1]
    place = [_plain(getattr(last, name.lstrip("-"))) for name in order]
    return Page(found[:limit], signing.dumps([question, place], salt=SALT, compress=False))


def _after(order: Sequence[str], place: Sequence[Any]) -> Q:
    """The rows that come after ``place``: greater in the first field, or equal there and greater in the next, and so on."""
    condition = Q()
    equal = Q()
    for name, value in zip(order, place, strict=True):
        field = name.lstrip("-")
        condition |= equal & Q(**{f"{field}__{'lt' if name.startswith('-') else 'gt'}": value})
        equal &= Q(**{field: value})
    return condition


def _cursor_read(cursor: str, question: str, length: int) -> list[Any]:
    message = _("This cursor does not belong to this list. Start again without a cursor.")
    refusal = InvalidInput(message, code="cursor_invalid", faults=[Fault("/cursor", message)])
    if len(cursor) > CURSOR_LENGTH_MAX:
        raise refusal
    try:
        asked, place = signing.loads(cursor, salt=SALT)
    except (signing.BadSignature, ValueError, TypeError) as error:
        raise refusal from error
    if asked != question or len(place) != length:
        raise refusal
    return list(place)


def _fingerprint(*parts: Any) -> str:
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()[:16]


def _plain(value: Any) -> Any:
    return value if isinstance(value, int | str) else str(value)
