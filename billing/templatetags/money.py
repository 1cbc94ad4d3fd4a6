"""Amounts, prices and billing days in templates. Words are made in ``billing.views.words``."""

from datetime import date, datetime
from decimal import Decimal
from typing import Any

from django import template
from django.utils.formats import date_format
from django.utils.html import format_html
from django.utils.safestring import SafeString

from billing.core.periods import Period, zone_get
from billing.core.pricing import PriceSpec
from billing.models import Invoice, InvoiceStatus, PaymentStatus, Price
from billing.views import words
from marketplace.templatetags.ui import badge
from marketplace.views.limits_words import quota_end_words, rate_words

register = template.Library()


@register.simple_tag
def money(minor: int, currency: str, *, signed: bool = False) -> SafeString:
    """An amount of minor units with its currency; ``signed`` shows a plus too."""
    sign = "+" if signed and minor > 0 else ""
    return format_html(
        '<span class="nowrap">{}{}&nbsp;<span class="faint text-xs">{}</span></span>',
        sign,
        words.amount_words(minor, currency),
        currency,
    )


@register.simple_tag
def money_text(minor: int, currency: str) -> str:
    """An amount as plain text, for sentences."""
    return f"{words.amount_words(minor, currency)}\u00a0{currency}"


@register.filter
def digits(value: Decimal | int | str) -> str:
    """Every digit of a quantity, thousands parted."""
    return words.number_words(Decimal(value))


@register.simple_tag
def unit_price(value: Decimal | str, currency: str) -> str:
    """A unit price without its currency, which stands beside the amount; all its places, at least those of the currency."""
    return words.price_digits(Decimal(value), currency)


@register.simple_tag
def days(start: datetime, end: datetime, time_zone: str) -> str:
    """The local days of a billing period."""
    return words.span_words(Period(start, end, time_zone))


@register.simple_tag
def local_day(value: datetime | date | None, time_zone: str = "UTC") -> str:
    """The day of a moment in a zone."""
    if value is None:
        return "–"
    day = value.astimezone(zone_get(time_zone)).date() if isinstance(value, datetime) else value
    return str(date_format(day, "j M Y"))


@register.simple_tag
def local_time(value: datetime, time_zone: str, *, pattern: str = "j M Y, H:i") -> str:
    """A moment in a zone, the zone named."""
    local = value.astimezone(zone_get(time_zone))
    return f"{date_format(local, pattern)} {local.tzname() or time_zone}"


@register.filter
def plan_in_words(card: Any) -> words.PlanWords:
    """A PlanCard in words."""
    return words.plan_words(card)


@register.filter
def parts_in_words(explanation: dict[str, Any]) -> list[words.PartWords]:
    """The multiplications behind a line."""
    return words.parts_words(explanation)


@register.filter
def proration_in_words(explanation: dict[str, Any]) -> str:
    """Which part of the period a line covers; empty for all of it."""
    return words.proration_words(explanation)


@register.filter
def quota_end(quota: Any) -> str:
    """What a call beyond a quota meets."""
    return quota_end_words(quota)


@register.filter
def rate_in_words(rate: Any) -> str:
    """A rate limit."""
    return rate_words(rate)


@register.simple_tag
def invoice_badge(invoice: Invoice, today: date | None = None) -> SafeString:
    """The one status that matters to a reader: the document's until it is issued, the debt's afterwards."""
    if invoice.status != InvoiceStatus.ISSUED:
        tones = {InvoiceStatus.APPROVED: "accent", InvoiceStatus.IN_REVIEW: "violet"}
        return badge(invoice.get_status_display(), tones.get(InvoiceStatus(invoice.status), ""))
    if invoice.payment_status == PaymentStatus.PAID:
        return badge(invoice.get_payment_status_display(), "ok")
    if invoice.payment_status == PaymentStatus.UNPAID and today and invoice.due_on and invoice.due_on < today:
        return badge(words.overdue_words(), "danger")
    if invoice.paid_minor:
        return badge(words.partly_words(), "warn")
    return badge(invoice.get_payment_status_display(), "warn")


@register.filter
def milliseconds(value: int) -> str:
    """Microseconds as milliseconds with one place."""
    return f"{words.number_words((Decimal(value) / 1000).quantize(Decimal('0.1')))}\u00a0ms"


@register.filter
def percent(value: Decimal) -> str:
    """A share as per cent: 0.15 is 15 %."""
    return f"{words.number_words(value * 100)}\u00a0%"


@register.simple_tag
def units_bar(units: int, top: int) -> SafeString:
    """A bar as long as its share of the largest value; the number stands beside it."""
    width = max(1, units * 100 // top) if units > 0 and top > 0 else 0
    return format_html(
        '<svg class="meter" aria-hidden="true" focusable="false"><rect width="{}%" height="100%" rx="3"></rect></svg>',
        width,
    )


@register.filter
def price_in_words(price: Price, spec: PriceSpec) -> list[str]:
    """A stored price as short sentences."""
    return words.price_sentences(price, spec)


@register.simple_tag
def money_abs(minor: int, currency: str) -> SafeString:
    """An amount without its sign: the column says whether it is debit or credit."""
    return money(abs(minor), currency)


@register.filter
def booking_kind(kind: str) -> str:
    """What a ledger transaction was booked for."""
    return words.booking_words(kind)
