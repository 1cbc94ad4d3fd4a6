"""Are these Limits sane? Pure checks of the values of ``marketplace.contracts.limits``; enforcing them is the gateway's work."""

from collections.abc import Container, Iterator

from marketplace.contracts.limits import Limits, QuotaLimit, RateLimit

CALLS_MAX = 10_000_000
"""Calls per window of a rate limit."""
RATE_PERIOD_S_MAX = 86_400
UNITS_MAX = 10**15
"""Units per window of a quota."""
RATES_MAX = 8
"""Rate limits that one grant carries."""
OUTCOMES = frozenset({"succeeded", "client_error", "upstream_failed"})


def limits_faults(limits: Limits, *, time_zones: Container[str]) -> list[tuple[str, str]]:
    """Return (pointer, what is wrong) for each bad value; an empty list when all are sane. ``time_zones``: known IANA names."""
    faults = [
        (f"/rates/{index}{pointer}", text)
        for index, rate in enumerate(limits.rates)
        for pointer, text in rate_faults(rate)
    ]
    if len(limits.rates) > RATES_MAX:
        faults.append(("/rates", f"At most {RATES_MAX} rate limits"))
    if limits.quota is not None:
        faults.extend((f"/quota{pointer}", text) for pointer, text in _quota_faults(limits.quota, time_zones))
    return faults


def rate_faults(rate: RateLimit) -> list[tuple[str, str]]:
    """Return (pointer, what is wrong) for each bad value of one rate limit."""
    faults = []
    if not 1 <= rate.calls <= CALLS_MAX:
        faults.append(("/calls", f"Must be from 1 to {CALLS_MAX}"))
    if not 1 <= rate.period_s <= RATE_PERIOD_S_MAX:
        faults.append(("/period_s", f"Must be from 1 to {RATE_PERIOD_S_MAX} seconds"))
    if not 0 <= rate.burst <= CALLS_MAX:
        faults.append(("/burst", f"Must be from 0 (the same as calls) to {CALLS_MAX}"))
    if rate.store_down not in ("deny", "allow"):
        faults.append(("/store_down", "Must be deny or allow"))
    return faults


def _quota_faults(quota: QuotaLimit, time_zones: Container[str]) -> Iterator[tuple[str, str]]:
    if not 0 <= quota.units <= UNITS_MAX:
        yield "/units", f"Must be from 0 to {UNITS_MAX}"
    if quota.window not in ("hour", "day", "month", "period"):
        yield "/window", "Must be hour, day, month or period"
    if quota.window == "period" and not 0 < quota.period_start < quota.period_end:
        yield "/period_end", "A period quota needs period_start and a later period_end, in Unix seconds"
    if quota.time_zone not in time_zones:
        yield "/time_zone", "Must be an IANA time zone such as Asia/Shanghai"
    if quota.store_down not in ("deny", "allow"):
        yield "/store_down", "Must be deny or allow"
    if not set(quota.charged) <= OUTCOMES:
        yield "/charged", "May list succeeded, client_error and upstream_failed"
