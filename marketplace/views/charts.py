"""Chart: a time series as the page and the script need it. Values only; where they come from is the selector's affair."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.utils.translation import get_language

DATE_LOCALES = {"en": "en-GB"}
"""Where a browser writes dates unlike our tables do: plain English would be American, “Oct 24”."""


@dataclass(frozen=True, slots=True)
class Chart:
    """Counts per moment. ``series``: (label, tone number of charts.js, one value a moment); moments are evenly spaced."""

    title: str
    moments: Sequence[datetime]
    series: Sequence[tuple[str, int, Sequence[int]]]
    zone: str = "UTC"
    hourly: bool = False

    @property
    def payload(self) -> dict[str, Any]:
        """What charts.js reads: Unix seconds and one row of values a series."""
        language = get_language() or "en"
        day = {"day": "numeric", "month": "short"}
        clock = {"hour": "2-digit", "minute": "2-digit", "hourCycle": "h23"}
        return {
            "labels": [label for label, _tone, _values in self.series],
            "tones": [tone for _label, tone, _values in self.series],
            "values": [
                [int(moment.timestamp()) for moment in self.moments],
                *[list(values) for *_head, values in self.series],
            ],
            "zone": self.zone,
            "locale": DATE_LOCALES.get(language, language),
            "tick": clock if self.hourly else day,
            "when": {**day, **clock} if self.hourly else {**day, "year": "numeric"},
        }

    @property
    def rows(self) -> list[tuple[datetime, list[int]]]:
        """The table twin: one row a moment, newest first."""
        columns = [list(values) for *_head, values in self.series]
        rows = [(moment, [column[at] for column in columns]) for at, moment in enumerate(self.moments)]
        return rows[::-1]
