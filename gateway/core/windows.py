"""Quota windows: which half-open interval of time [starts_at, ends_at) a moment belongs to; pure.

Hours, days and months follow the calendar of a time zone, also over changes of daylight saving time: a day is from local
midnight to local midnight, 23 to 25 hours long. A window of kind ``period`` is given by its bounds.
"""

from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import NamedTuple
from zoneinfo import ZoneInfo

from marketplace.contracts.limits import QuotaLimit, QuotaWindow

ZONES_CACHED_MAX = 1_024
HOUR_S = 3_600


class Window(NamedTuple):
    """One quota window; bounds are Unix seconds."""

    kind: QuotaWindow
    starts_at: int
    ends_at: int


@lru_cache(maxsize=ZONES_CACHED_MAX)
def _zone(name: str) -> ZoneInfo:
    return ZoneInfo(name)


def window_at(limit: QuotaLimit, now_s: float) -> Window | None:
    """Return the window that contains ``now_s`` (Unix seconds), or None when now is outside the limit's billing period.

    Raises zoneinfo.ZoneInfoNotFoundError for a time zone that does not exist.
    """
    moment_s = int(now_s // 1)
    if limit.window == "period":
        inside = limit.period_start <= moment_s < limit.period_end
        return Window("period", limit.period_start, limit.period_end) if inside else None
    if limit.window == "hour":
        return _hour(_zone(limit.time_zone), moment_s)
    return _calendar(limit.window, _zone(limit.time_zone), moment_s)


def window_in_force(limit: QuotaLimit, now_s: float) -> Window:
    """``window_at``, but when billing has not yet turned the period, the next one is taken to be as long as the last.

    Everybody who counts in a window or rebuilds it must ask here: they would count in different places.
    """
    window = window_at(limit, now_s)
    if window is not None:
        return window
    start, end = limit.period_start, limit.period_end
    if now_s < start or end <= start:
        return Window("period", start, max(end, start + 1))
    length = end - start
    turned = end + int((now_s - end) // length) * length
    return Window("period", turned, turned + length)


def _hour(zone: ZoneInfo, moment_s: int) -> Window:
    """Hours of 3600 s that begin when the local clock shows a full hour (in zones with half-hour offsets too).

    A change of offset that is not a whole number of hours cuts the hour it falls into: the window ends there.
    """
    offset_s = _offset(zone, moment_s)
    starts = moment_s - (moment_s + offset_s) % HOUR_S
    ends = starts + HOUR_S
    if (_offset(zone, ends) - offset_s) % HOUR_S:
        change = _change_between(zone, starts, ends)
        return Window("hour", starts, change) if moment_s < change else Window("hour", change, _full_hour(zone, change))
    if (_offset(zone, starts) - offset_s) % HOUR_S:
        change = _change_between(zone, starts, moment_s)
        return Window("hour", change, ends)
    return Window("hour", starts, ends)


def _full_hour(zone: ZoneInfo, moment_s: int) -> int:
    return moment_s + HOUR_S - (moment_s + _offset(zone, moment_s)) % HOUR_S


def _offset(zone: ZoneInfo, moment_s: int) -> int:
    delta = datetime.fromtimestamp(moment_s, zone).utcoffset()
    return int((delta or timedelta()).total_seconds())


def _change_between(zone: ZoneInfo, low_s: int, high_s: int) -> int:
    """The first second of the new offset within (low, high], found by halving; one change at most lies within two hours."""
    before = _offset(zone, low_s)
    while high_s - low_s > 1:
        middle = (low_s + high_s) // 2
        if _offset(zone, middle) == before:
            low_s = middle
        else:
            high_s = middle
    return high_s


def _calendar(kind: QuotaWindow, zone: ZoneInfo, moment_s: int) -> Window:
    local = datetime.fromtimestamp(moment_s, zone)
    first = local.date().replace(day=1) if kind == "month" else local.date()
    after = (first + timedelta(days=32)).replace(day=1) if kind == "month" else first + timedelta(days=1)
    return Window(
        kind, _midnight(zone, first.year, first.month, first.day), _midnight(zone, after.year, after.month, after.day)
    )


def _midnight(zone: ZoneInfo, year: int, month: int, day: int) -> int:
    """The first moment of a local day. Where midnight happens twice it is the first, where it is skipped the moment after the gap."""
    naive = datetime(year, month, day, tzinfo=zone, fold=0)
    moment = int(naive.timestamp())
    if datetime.fromtimestamp(moment, zone).date() == naive.date():
        return moment
    return _change_between(zone, moment - HOUR_S * 2, moment + HOUR_S * 2)


def resets_at_text(window: Window, time_zone: str) -> str:
    """The end of the window for people and programs: RFC 3339 with the offset of the limit's own time zone."""
    zone = _zone(time_zone) if window.kind != "period" else UTC
    return datetime.fromtimestamp(window.ends_at, zone).isoformat()
