"""Prices, limits and rated lines in plain words of the reader's language. Documents have words of their own, on purpose.

Amounts keep all their places, up to 12: nothing here rounds a unit price.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

from django.contrib.humanize.templatetags.humanize import intcomma
from django.utils.formats import date_format, number_format
from django.utils.translation import gettext as _

from billing.core.currencies import currency_exponent
from billing.core.money import Money, decimal_places
from billing.core.periods import Period
from billing.core.pricing import PriceKind, PriceSpec
from billing.models import Measure, Meter, Price
from billing.selectors.plans import PlanCard
from marketplace.views.limits_words import quota_words, rate_words


def number_words(value: Decimal | int) -> str:
    """Every digit of a number, thousands parted, no trailing zeros."""
    places = decimal_places(Decimal(value))
    return str(number_format(value, decimal_pos=places, use_l10n=True, force_grouping=True))


def amount_words(minor: int, currency: str) -> str:
    """Minor units as an amount with all places of its currency, without the code: 1,234.50."""
    exact = Money(minor, currency).amount()
    return str(number_format(exact, decimal_pos=currency_exponent(currency), use_l10n=True, force_grouping=True))


def price_words(amount: Decimal, currency: str) -> str:
    """A price in major units with its currency: 29.00 EUR, 0.0025 EUR."""
    return f"{price_digits(amount, currency)}\u00a0{currency}"


def price_digits(amount: Decimal, currency: str) -> str:
    """A price in major units: every place that it has, at least those of its currency."""
    places = max(decimal_places(amount), currency_exponent(currency))
    return str(number_format(amount, decimal_pos=places, use_l10n=True, force_grouping=True))


def period_words(months: int) -> str:
    """How often a fee is due."""
    return _("a month") if months == 1 else _("every %(n)s months") % {"n": months}


def unit_words(meter: Meter | None) -> str:
    """What one unit of a meter is called."""
    measure = meter.measure if meter else Measure.CALLS
    if measure == Measure.CALLS:
        return _("call")
    return _("unit") if measure == Measure.UNITS else _("byte")


def units_words(meter: Meter | None) -> str:
    """What several units of a meter are called."""
    measure = meter.measure if meter else Measure.CALLS
    if measure == Measure.CALLS:
        return _("calls")
    return _("units") if measure == Measure.UNITS else _("bytes")


def spec_words(spec: PriceSpec, *, currency: str, months: int, meter: Meter | None = None) -> list[str]:
    """A price as short sentences, one for each step."""
    unit, units = unit_words(meter), units_words(meter)
    price = price_words(spec.unit_amount, currency)
    if spec.kind is PriceKind.FLAT:
        return [f"{price} {period_words(months)}"]
    if spec.kind is PriceKind.PER_UNIT:
        return [_("%(price)s for each %(unit)s") % {"price": price, "unit": unit}]
    if spec.kind is PriceKind.PACKAGE:
        values = {"price": price, "size": intcomma(spec.package_size), "units": units}
        return [_("%(price)s for each begun package of %(size)s %(units)s") % values]
    if spec.kind is PriceKind.VOLUME:
        return _volume_words(spec, currency, units)
    if spec.kind is PriceKind.GRADUATED:
        return _tier_words(spec, currency, units, offset=0)
    first = _("%(n)s %(units)s included") % {"n": intcomma(spec.included_units), "units": units}
    if spec.tiers:
        return [first, *_tier_words(spec, currency, units, offset=spec.included_units)]
    return [first, _("beyond them %(price)s for each %(unit)s") % {"price": price, "unit": unit}]


def _tier_words(spec: PriceSpec, currency: str, units: str, *, offset: int) -> list[str]:
    texts, floor = [], 0
    for tier in spec.tiers:
        values = {
            "first": intcomma(offset + floor + 1),
            "last": intcomma(offset + (tier.up_to or 0)),
            "units": units,
            "price": price_words(tier.unit_amount, currency),
        }
        if tier.up_to is None:
            text = _("%(units)s from %(first)s on: %(price)s each") % values
        else:
            text = _("%(units)s %(first)s to %(last)s: %(price)s each") % values
            floor = tier.up_to
        texts.append(text + _flat_words(tier.flat_amount, currency))
    return texts


def _volume_words(spec: PriceSpec, currency: str, units: str) -> list[str]:
    texts, floor = [], 0
    for tier in spec.tiers:
        values = {
            "last": intcomma(tier.up_to or 0),
            "floor": intcomma(floor),
            "units": units,
            "price": price_words(tier.unit_amount, currency),
        }
        if tier.up_to is None:
            text = _("more than %(floor)s %(units)s: all of them at %(price)s each") % values
        else:
            text = _("up to %(last)s %(units)s: all of them at %(price)s each") % values
            floor = tier.up_to
        texts.append(text + _flat_words(tier.flat_amount, currency))
    return texts


def _flat_words(amount: Decimal, currency: str) -> str:
    return _(", and %(price)s once") % {"price": price_words(amount, currency)} if amount else ""


@dataclass(frozen=True, slots=True)
class PlanWords:
    """A plan as a row of the comparison. ``usage`` are the sentences of its metered prices."""

    fee: str
    period: str
    included: str
    usage: list[str]
    quota: list[str]
    rates: list[str]


def plan_words(card: PlanCard) -> PlanWords:
    """Say a plan in words. A fee of nothing is "Free" only when no usage costs anything either."""
    plan = card.plan
    usage, included = [], ""
    for price, spec in card.prices:
        if spec.kind is PriceKind.FLAT:
            continue
        texts = price_sentences(price, spec)
        if spec.kind is PriceKind.INCLUDED:
            included, texts = str(intcomma(spec.included_units)), texts[1:]
        usage += texts
    fee = price_words(card.fee, plan.currency) if card.fee else _("Free") if card.is_free else _("None")
    period = period_words(plan.period_months) if card.fee else ""
    quota = quota_words(card.limits.quota) if card.limits.quota else []
    return PlanWords(fee, period, included, usage, quota, [rate_words(rate) for rate in card.limits.rates])


def price_sentences(price: Price, spec: PriceSpec) -> list[str]:
    """A stored price in words."""
    return spec_words(spec, currency=price.plan.currency, months=price.plan.period_months, meter=price.meter)


def days_words(first_on: date, last_on: date) -> str:
    """A range of days, both included; what both share is written once."""
    last = date_format(last_on, "j M Y")
    if first_on == last_on:
        return str(last)
    if (first_on.year, first_on.month) == (last_on.year, last_on.month):
        return f"{first_on.day}–{last}"
    if first_on.year == last_on.year:
        return f"{date_format(first_on, 'j M')} – {last}"
    return f"{date_format(first_on, 'j M Y')} – {last}"


def span_words(period: Period) -> str:
    """The local days of a period."""
    return days_words(period.first_on, period.last_on)


@dataclass(frozen=True, slots=True)
class PartWords:
    """One multiplication behind a line: what, how many, at what price, how much (exact, before rounding)."""

    text: str
    quantity: str
    unit_price: str
    amount: str


def parts_words(explanation: Mapping[str, Any]) -> list[PartWords]:
    """The parts of a rating's explanation in words."""
    currency = str(explanation.get("currency", ""))
    return [_part_words(part, currency) for part in _parts(explanation)]


def proration_words(explanation: Mapping[str, Any]) -> str:
    """Which part of the billing period a line covers; empty for all of it."""
    share = str(explanation.get("proration", "1"))
    if share == "1":
        return ""
    over, _slash, under = share.partition("/")
    percent = number_words((Decimal(over) * 100 / Decimal(under or 1)).quantize(Decimal("0.1")))
    return _("%(percent)s %% of the full period (%(share)s)") % {"percent": percent, "share": share}


def _parts(explanation: Mapping[str, Any]) -> Iterable[Mapping[str, Any]]:
    parts = explanation.get("parts", ())
    return parts if isinstance(parts, list | tuple) else ()


def _part_words(part: Mapping[str, Any], currency: str) -> PartWords:
    values = {name: number_words(Decimal(value)) for name, value in part.items() if name != "text"}
    texts = {
        "flat": _("Fee for the period"),
        "units": _("All units at one price"),
        "package": _("Packages of %(package_size)s units, begun ones paid whole"),
        "included": _("Included: up to %(included_units)s units"),
        "tier": _("Units %(first)s to %(last)s"),
        "tier_open": _("Units from %(first)s on"),
        "tier_flat": _("Fee of the tier from unit %(first)s on"),
        "volume": _("All units at the price from %(first)s units on"),
    }
    return PartWords(
        text=texts.get(str(part["text"]), str(part["text"])) % values,
        quantity=values["quantity"],
        unit_price=price_words(Decimal(part["unit_price"]), currency),
        amount=price_words(Decimal(part["amount"]), currency),
    )


def overdue_words() -> str:
    """The status of a debt whose day has passed."""
    return _("Overdue")


def partly_words() -> str:
    """The status of a debt that is paid in part."""
    return _("Partly paid")


def booking_words(kind: str) -> str:
    """What a ledger transaction was booked for."""
    texts = {
        "invoice_issued": _("Invoice issued"),
        "invoice_voided": _("Invoice declared void"),
        "invoice_written_off": _("Invoice written off"),
        "invoice_reinstated": _("Write-off taken back"),
        "payment_received": _("Payment received"),
        "payout_sent": _("Payout sent"),
    }
    return texts.get(kind, kind)
