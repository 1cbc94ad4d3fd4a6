"""Billing periods: half-open intervals [start, end) that partition time, cut at local days of one time zone.

Rules, all counted from the anchor so that nothing drifts:
- A cycle has an anchor date, a zone and a length in months. Bound n is the anchor moved by n lengths; a day that the
  month lacks becomes its last day (31 January, 28 February, 31 March).
- A bound is the local midnight of its day. Where midnight is skipped it is the moment the clock jumps; where midnight
  happens twice it is the first.
- A bound in a zone whose offset is no whole hour moves up to the next whole UTC hour, since usage is tallied by UTC hour
  and an hour must belong to one period. Shanghai, Berlin and New York are not touched; Kolkata bills from 00:30.
- Proration is elapsed time: a fraction of the period's seconds, exact.
"""

from calendar import monthrange
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from fractions import Fraction
from zoneinfo import ZoneInfo

from billing.core.errors import PeriodInvalid

MONTHS_MAX = 36
"""The longest billing period, in months."""

YEAR_MIN, YEAR_MAX = 1900, 9000
_HOUR = timedelta(hours=1)
_DAY = timedelta(days=1)


def zone_get(time_zone: str) -> ZoneInfo:
    """Return the IANA zone. Raises PeriodInvalid for a name that the zone database does not have."""
    try:
        return ZoneInfo(time_zone)
    except (KeyError, ValueError, OSError):
        raise PeriodInvalid(f"{time_zone!r} is not an IANA time zone such as Asia/Shanghai") from None


def hour_floor(instant: datetime) -> datetime:
    """Return the start of the UTC hour that holds ``instant``. Raises PeriodInvalid for a time without a zone."""
    if instant.tzinfo is None:
        raise PeriodInvalid("a time needs a zone; naive times are refused")
    return instant.astimezone(UTC).replace(minute=0, second=0, microsecond=0)


def hour_ceiling(instant: datetime) -> datetime:
    """Return the first UTC hour edge at or after ``instant``: from when a change of plan can count."""
    floor = hour_floor(instant)
    return floor if floor == instant else floor + _HOUR


def day_start(day: date, time_zone: str) -> datetime:
    """Return the UTC hour from which ``day`` is billed in the zone (see the rules above)."""
    midnight = datetime(day.year, day.month, day.day, tzinfo=zone_get(time_zone))
    return hour_ceiling(midnight.astimezone(UTC))


def month_shift(day: date, months: int) -> date:
    """Move a date by whole months; a day that the month lacks becomes its last day. Raises PeriodInvalid off the calendar."""
    year, month = divmod(day.year * 12 + day.month - 1 + months, 12)
    if not YEAR_MIN <= year <= YEAR_MAX:
        raise PeriodInvalid(f"billing knows the years {YEAR_MIN} to {YEAR_MAX}")
    return date(year, month + 1, min(day.day, monthrange(year, month + 1)[1]))


def month_reach(month: date) -> tuple[datetime, datetime]:
    """Return bounds that hold the month of a day in whatever time zone: for queries to look near, before zones are asked."""
    year = min(max(month.year, YEAR_MIN), YEAR_MAX)
    first = datetime(year, month.month, 1, tzinfo=UTC)
    return first - _DAY, first + 32 * _DAY


@dataclass(frozen=True, slots=True)
class Period:
    """Half-open [start, end) in UTC, with the zone whose days it follows. Both bounds are whole UTC hours."""

    start: datetime
    end: datetime
    time_zone: str

    def __post_init__(self) -> None:
        zone_get(self.time_zone)
        for bound in (self.start, self.end):
            if hour_floor(bound) != bound:
                raise PeriodInvalid("a billing period starts and ends on whole UTC hours")
        if self.start >= self.end:
            raise PeriodInvalid("a billing period ends after it starts")
        object.__setattr__(self, "start", self.start.astimezone(UTC))
        object.__setattr__(self, "end", self.end.astimezone(UTC))

    @property
    def first_on(self) -> date:
        """The first local day, for people."""
        return self.start.astimezone(zone_get(self.time_zone)).date()

    @property
    def last_on(self) -> date:
        """The last local day, inclusive, for people."""
        return (self.end - _HOUR).astimezone(zone_get(self.time_zone)).date()

    @property
    def seconds(self) -> int:
        """Elapsed seconds: a month with a spring clock change is an hour shorter."""
        return (self.end - self.start) // timedelta(seconds=1)

    def contains(self, instant: datetime) -> bool:
        """True from ``start`` up to, not including, ``end``."""
        return self.start <= instant < self.end

    def hours(self) -> Iterator[datetime]:
        """Yield the start of every UTC hour of the period, in order."""
        for number in range((self.end - self.start) // _HOUR):
            yield self.start + number * _HOUR

    def overlap(self, other: "Period") -> "Period | None":
        """Return the part that both share, or None."""
        start, end = max(self.start, other.start), min(self.end, other.end)
        return Period(start, end, self.time_zone) if start < end else None

    def fraction_of(self, whole: "Period") -> Fraction:
        """Return which exact part of ``whole`` this period covers, 0 to 1, by elapsed seconds."""
        shared = self.overlap(whole)
        return Fraction(shared.seconds, whole.seconds) if shared else Fraction(0)

    def split(self, at: datetime) -> tuple["Period", "Period"]:
        """Cut in two at a whole UTC hour inside the period; the fractions of both halves sum to one."""
        return Period(self.start, at, self.time_zone), Period(at, self.end, self.time_zone)

    def to_dict(self) -> dict[str, str]:
        """Return JSON-safe values: RFC 3339 UTC bounds and the zone."""
        return {"start": _instant_show(self.start), "end": _instant_show(self.end), "time_zone": self.time_zone}


@dataclass(frozen=True, slots=True)
class BillingCycle:
    """All periods of one agreement: period 0 starts on ``anchor_on``, each lasts ``months`` months in ``time_zone``."""

    anchor_on: date
    time_zone: str
    months: int = 1

    def __post_init__(self) -> None:
        zone_get(self.time_zone)
        if not 1 <= self.months <= MONTHS_MAX:
            raise PeriodInvalid(f"a billing period lasts 1 to {MONTHS_MAX} months")

    @classmethod
    def started(cls, instant: datetime, time_zone: str, *, months: int = 1) -> "BillingCycle":
        """Anchor a cycle at the local day of ``instant``: the day of the start is billed, in the subscriber's zone."""
        if instant.tzinfo is None:
            raise PeriodInvalid("a time needs a zone; naive times are refused")
        started_on = instant.astimezone(zone_get(time_zone)).date()
        if (
            day_start(started_on, time_zone) > instant
        ):  # Kolkata between 00:00 and 00:30 still belongs to the day before
            started_on -= timedelta(days=1)
        return cls(started_on, time_zone, months)

    def period(self, number: int) -> Period:
        """Return period ``number``; negative numbers lie before the anchor."""
        return Period(self._bound(number), self._bound(number + 1), self.time_zone)

    def number_containing(self, instant: datetime) -> int:
        """Return the number of the one period that contains ``instant``."""
        local = instant.astimezone(zone_get(self.time_zone))
        months = (local.year - self.anchor_on.year) * 12 + local.month - self.anchor_on.month
        number = months // self.months
        while self._bound(number) > instant:
            number -= 1
        while self._bound(number + 1) <= instant:
            number += 1
        return number

    def containing(self, instant: datetime) -> Period:
        """Return the one period that contains ``instant``. Raises PeriodInvalid for a naive time."""
        if instant.tzinfo is None:
            raise PeriodInvalid("a time needs a zone; naive times are refused")
        return self.period(self.number_containing(instant))

    def next(self, period: Period) -> Period:
        """Return the period after the one in which ``period`` starts."""
        return self.period(self.number_containing(period.start) + 1)

    def previous(self, period: Period) -> Period:
        """Return the period before the one in which ``period`` starts."""
        return self.period(self.number_containing(period.start) - 1)

    def _bound(self, number: int) -> datetime:
        return day_start(month_shift(self.anchor_on, number * self.months), self.time_zone)


def calendar_month(instant: datetime, time_zone: str) -> Period:
    """Return the local calendar month that contains ``instant``."""
    return BillingCycle(date(2000, 1, 1), time_zone).containing(instant)


def _instant_show(instant: datetime) -> str:
    return instant.strftime("%Y-%m-%dT%H:%M:%SZ")
