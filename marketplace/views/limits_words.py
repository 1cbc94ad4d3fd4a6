"""Quotas and rates in plain words of the reader's language: one wording on every page."""

from django.contrib.humanize.templatetags.humanize import intcomma
from django.utils.translation import gettext as _

from marketplace.contracts.limits import Limits, QuotaLimit, RateLimit

_SECOND = 1
_MINUTE = 60
_HOUR = 3600
_DAY = 86_400


def limits_words(limits: Limits) -> list[str]:
    """All limits, one line each. Empty: none."""
    quota = limits.quota
    lines = [rate_words(rate) for rate in limits.rates]
    if quota is None:
        return lines
    size = quota_size_words(quota)
    return [size if quota.hard else _("%(size)s (soft)") % {"size": size}, *lines]


def quota_words(quota: QuotaLimit) -> list[str]:
    """A quota: how much, and what happens at its end."""
    return [quota_size_words(quota), quota_end_words(quota)]


def quota_size_words(quota: QuotaLimit) -> str:
    """How many calls a window holds."""
    values = {"n": intcomma(quota.units)}
    texts = {
        "hour": _("%(n)s calls an hour"),
        "day": _("%(n)s calls a day"),
        "month": _("%(n)s calls a calendar month"),
        "period": _("%(n)s calls a billing period"),
    }
    return texts[quota.window] % values


def quota_end_words(quota: QuotaLimit) -> str:
    """What a call beyond the quota meets."""
    if quota.hard:
        return _("Hard: calls beyond are refused (B403MQ).")
    return _("Soft: calls beyond are counted and shown, never refused.")


def rate_words(rate: RateLimit) -> str:
    """A rate limit."""
    values = {"n": intcomma(rate.calls), "s": intcomma(rate.period_s)}
    texts = {
        _SECOND: _("%(n)s calls a second"),
        _MINUTE: _("%(n)s calls a minute"),
        _HOUR: _("%(n)s calls an hour"),
        _DAY: _("%(n)s calls a day"),
    }
    return texts.get(rate.period_s, _("%(n)s calls per %(s)s seconds")) % values
