"""Numbers, moments and small text for people: compact counts, bytes, times with their zone, initials, query strings."""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any
from zlib import crc32

from django import template
from django.contrib.humanize.templatetags.humanize import intcomma, naturaltime
from django.utils import timezone
from django.utils.formats import date_format, number_format
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from marketplace.contracts.limits import Limits
from marketplace.views.limits_words import limits_words

register = template.Library()

TINTS = 6
THOUSAND, MILLION, BILLION = 1_000, 1_000_000, 1_000_000_000


@register.filter
def compact(value: int | None) -> str:
    """1234567 as 1.2 M: for tiles; the exact number stands in a table or a title."""
    if value is None:
        return "–"
    for size, unit in ((BILLION, _("B")), (MILLION, _("M")), (10 * THOUSAND, _("k"))):
        if abs(value) >= size:
            divisor = THOUSAND if size == 10 * THOUSAND else size
            return f"{number_format(round(value / divisor, 1), decimal_pos=1)} {unit}"
    return str(intcomma(value))


@register.filter
def share(part: int, whole: int) -> str:
    """``part`` of ``whole`` in per cent, rounded half up; never a full 100 while something is missing, nor 0 while there is some."""
    if not whole:
        return "–"
    hundredths = (20_000 * part + whole) // (2 * whole)  # half up, in whole numbers
    if 0 < part < whole:
        hundredths = min(max(hundredths, 1), 9_999)
    return f"{number_format(Decimal(hundredths) / 100, decimal_pos=0 if part in (0, whole) else 2)} %"


@register.filter
def limits_in_words(limits: Limits | dict[str, Any]) -> list[str]:
    """Limits, as values or as they are stored, one line each."""
    return limits_words(limits if isinstance(limits, Limits) else Limits.from_dict(limits))


@register.filter
def octets(value: int | None) -> str:
    """Bytes with a binary unit."""
    size = float(value or 0)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if size < 1024:
            return f"{number_format(round(size, 1), decimal_pos=0 if unit == 'B' else 1)} {unit}"
        size /= 1024
    return f"{number_format(round(size, 1), decimal_pos=1)} TiB"


@register.simple_tag
def moment(value: datetime | None, *, style: str = "full", never: str = "") -> SafeString | str:
    """A time in the person's zone, with the zone named. ``style``: full, date, or ago (relative, the full one as title)."""
    if value is None:
        return never or _("Never")
    local = timezone.localtime(value) if timezone.is_aware(value) else value
    full = f"{date_format(local, 'j M Y, H:i')} {local.tzname() or ''}".strip()
    shown = {"date": date_format(local, "j M Y"), "ago": naturaltime(value)}.get(style, full)
    return format_html('<time datetime="{}" title="{}">{}</time>', value.isoformat(), full, shown)


@register.filter
def initials(name: str) -> str:
    """One or two letters that stand for a name."""
    words = [word for word in str(name).replace("@", " ").split() if word]
    return "".join(word[0] for word in words[:2]) or "?"


@register.filter
def tint(name: str) -> int:
    """A stable colour number for a name."""
    return crc32(str(name).encode()) % TINTS


@register.simple_tag(takes_context=True)
def query(context: Mapping[str, Any], **changes: object) -> str:
    """The page's own query string with some values replaced; an empty value takes its key out. Paging starts again."""
    current = context["request"].GET.copy()
    if "cursor" not in changes:
        current.pop("cursor", None)
    for key, value in changes.items():
        current.pop(key, None)
        if value not in ("", None):
            current[key] = str(value)
    return f"?{current.urlencode()}" if current else "?"


@register.filter
def attribute(value: Mapping[str, Any], key: str) -> Any:
    """``value[key]``, or None."""
    return value.get(key) if value else None
