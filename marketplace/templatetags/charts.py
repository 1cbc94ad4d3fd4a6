"""Pictures of numbers: time series for uPlot with their table twin, bars, sparklines and meters as SVG from the server.

Widths are SVG attributes, never inline styles: the Content-Security-Policy allows none.
"""

from typing import Any

from django import template
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from marketplace.views.charts import Chart

register = template.Library()

SPARK_WIDTH, SPARK_HEIGHT = 96, 24
WARN_SHARE, DANGER_SHARE = 0.8, 1.0


@register.inclusion_tag("components/chart.html")
def chart(value: Chart, id: str) -> dict[str, Any]:
    """A time series: stacked columns by script, the same numbers as a table without it."""
    return {"chart": value, "id": id, "payload_id": f"{id}-values"}


@register.simple_tag
def bars(values: list[int], label: str) -> SafeString:
    """Columns of one series, drawn by the server; ``label`` says in words what they show."""
    top = max([*values, 1])
    width = 100 / max(len(values), 1)
    columns = format_html_join(
        "",
        '<rect x="{}%" y="{}%" width="{}%" height="{}%" rx="1.5"><title>{}</title></rect>',
        (
            (
                round(at * width + width * 0.14, 3),
                round(98 - 96 * value / top, 2),
                round(width * 0.72, 3),
                round(96 * value / top, 2),
                value,
            )
            for at, value in enumerate(values)
        ),
    )
    return format_html(
        '<svg class="bars series-0" role="img" aria-label="{}">{}<line class="base" x1="0" x2="100%" y1="98.5%" y2="98.5%"></line></svg>',
        label,
        columns,
    )


@register.simple_tag
def spark(values: list[int], label: str) -> SafeString:
    """A sparkline; ``label`` says in words what it shows."""
    top = max([*values, 1])
    step = SPARK_WIDTH / max(len(values) - 1, 1)
    points = " L".join(
        f"{at * step:.1f} {SPARK_HEIGHT - 2 - (SPARK_HEIGHT - 4) * value / top:.1f}" for at, value in enumerate(values)
    )
    if not points:
        return format_html("")
    return format_html(
        '<svg class="spark" viewBox="0 0 {} {}" preserveAspectRatio="none" role="img" aria-label="{}">'
        '<path class="fill" d="M0 {} L{} L{} {} Z"></path><path d="M{}"></path></svg>',
        SPARK_WIDTH, SPARK_HEIGHT, label, SPARK_HEIGHT, points, SPARK_WIDTH, SPARK_HEIGHT, points,
    )  # fmt: skip


@register.inclusion_tag("components/meter.html")
def meter(used: int, limit: int, label: str, *, note: str = "") -> dict[str, Any]:
    """How much of a limit is used: a bar that also says it in words, amber from 80 %, red at the end."""
    part = used / limit if limit else 0.0
    tone = "danger" if part >= DANGER_SHARE else "warn" if part >= WARN_SHARE else ""
    percent = round(min(part, 1.0) * 100, 1)
    return {"used": used, "limit": limit, "label": label, "note": note, "tone": tone, "percent": percent}


@register.simple_tag
def rank_bar(value: int, top: int) -> SafeString:
    """The ground bar of one line of a ranking."""
    return format_html(
        '<svg aria-hidden="true"><rect width="{}%" height="100%" rx="3"></rect></svg>',
        round(100 * value / (top or 1), 1),
    )
