"""Turns the selectors' usage rows into what pages draw: a chart with every day or hour in it, and a small summary."""

from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from django.utils import timezone
from django.utils.translation import gettext as _

from marketplace.models import Api, App, Organization
from marketplace.selectors.usage import Side, UsageRow, UsageSummary, usage_rows, usage_summary, usage_tallies
from marketplace.views.charts import Chart

HOURLY_DAYS_MAX = 2
"""Spans up to so many days are drawn by the hour."""


def span_bounds(first: date, last: date, zone: ZoneInfo) -> tuple[datetime, datetime]:
    """[start of ``first``, start of the day after ``last``) in ``zone``."""
    start = datetime.combine(first, time.min, zone)
    return start, datetime.combine(last + timedelta(days=1), time.min, zone)


def summary_make(
    *, organization: Organization, days: int, side: Side = "consumer", api: Api | None = None
) -> "Picture":
    """The last ``days`` days of an organization (today included), with a chart."""
    zone = ZoneInfo(organization.time_zone)
    today = timezone.now().astimezone(zone).date()
    return picture_make(
        organization=organization, first=today - timedelta(days=days - 1), last=today, side=side, api=api
    )


class Picture:
    """Usage of one span as a page shows it."""

    def __init__(self, *, summary: UsageSummary, chart: Chart, first: date, last: date) -> None:
        self.summary = summary
        self.chart = chart
        self.first = first
        self.last = last

    @property
    def calls(self) -> int:
        """All calls of the span."""
        return self.summary.totals.calls

    @property
    def answered(self) -> int:
        """Calls that reached the upstream and were answered."""
        return self.summary.totals.succeeded + self.summary.totals.client_error


def picture_make(
    *,
    organization: Organization,
    first: date,
    last: date,
    side: Side = "consumer",
    app: App | None = None,
    api: Api | None = None,
) -> Picture:
    """Usage of the days ``first`` to ``last`` in the organization's time zone."""
    zone = ZoneInfo(organization.time_zone)
    since, until = span_bounds(first, last, zone)
    tallies = usage_tallies(organization=organization, since=since, until=until, side=side, app=app, api=api)
    is_hourly = (last - first).days < HOURLY_DAYS_MAX
    rows = usage_rows(tallies, grain="hour" if is_hourly else "day", time_zone=organization.time_zone)
    moments = hours_of(since, until) if is_hourly else days_of(first, last, zone)
    summary = usage_summary(tallies, since=since, until=until)
    return Picture(
        summary=summary, chart=chart_make(rows, moments, organization.time_zone, is_hourly), first=first, last=last
    )


def chart_make(rows: list[UsageRow], moments: list[datetime], zone_name: str, is_hourly: bool) -> Chart:
    """A stacked chart of calls by outcome, zero where nothing happened."""
    zone = ZoneInfo(zone_name)
    found = {row.at.astimezone(zone): row.totals for row in rows}

    def column(name: str) -> list[int]:
        return [getattr(found[moment], name) if moment in found else 0 for moment in moments]

    series = [
        (_("Succeeded"), 0, column("succeeded")),
        (_("Client errors"), 1, column("client_error")),
        (_("Refused"), 2, column("rejected")),
        (_("Upstream failed"), 3, column("upstream_failed")),
    ]
    title = _("Calls an hour, by outcome") if is_hourly else _("Calls a day, by outcome")
    return Chart(title=title, moments=moments, series=series, zone=zone_name, hourly=is_hourly)


def days_of(first: date, last: date, zone: ZoneInfo) -> list[datetime]:
    """The starts of the days ``first`` to ``last``."""
    return [datetime.combine(first + timedelta(days=at), time.min, zone) for at in range((last - first).days + 1)]


def hours_of(since: datetime, until: datetime) -> list[datetime]:
    """The starts of the hours in [since, until), in the zone of ``since``, also where clocks change."""
    utc = ZoneInfo("UTC")
    start, end = since.astimezone(utc), until.astimezone(utc)
    count = int((end - start).total_seconds() // 3600)
    return [(start + timedelta(hours=at)).astimezone(since.tzinfo) for at in range(count)]
