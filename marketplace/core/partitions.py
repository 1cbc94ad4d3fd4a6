"""Months of UTC, as the tables of usage are cut into them: which there should be, how they are named, where they end. Pure.

Making the partitions is marketplace.services.partitions'.
"""

from datetime import UTC, datetime
from typing import NamedTuple


class Month(NamedTuple):
    """One month of UTC; ``number`` is 1 to 12."""

    year: int
    number: int

    @property
    def starts_at(self) -> datetime:
        """Its first moment, which is in it."""
        return datetime(self.year, self.number, 1, tzinfo=UTC)

    @property
    def suffix(self) -> str:
        """What its partition's name ends in, such as ``2026_11``; names sort as months do."""
        return f"{self.year:04d}_{self.number:02d}"

    def later(self, count: int) -> "Month":
        """The month so many months later, or earlier when negative."""
        years, number = divmod(self.year * 12 + self.number - 1 + count, 12)
        return Month(years, number + 1)


def month_of(at: datetime) -> Month:
    """The month of UTC that a moment is in."""
    moment = at.astimezone(UTC)
    return Month(moment.year, moment.month)


def months_wanted(now: datetime, *, behind: int, ahead: int) -> list[Month]:
    """The months around ``now`` that must have a partition, in order."""
    month = month_of(now)
    return [month.later(count) for count in range(-behind, ahead + 1)]
