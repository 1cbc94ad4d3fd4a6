"""Step quota: the units that the grant's plan allows in an hour, a day, a month or a billing period. Rates: limit.py."""

from __future__ import annotations

from collections.abc import Awaitable
from time import monotonic
from typing import TYPE_CHECKING

from gateway.core.rejections import Rejection
from gateway.dataplane.quota_bucket import TAKEN, WAIT, QuotaBucket, QuotaHandle
from gateway.dataplane.resp import StoreDown
from gateway.dataplane.steps.limit import rate_headers

if TYPE_CHECKING:
    from gateway.dataplane.call import Call
    from gateway.dataplane.directory import GrantEntry
    from gateway.dataplane.pipeline import Step
    from gateway.dataplane.plane import Plane
    from gateway.dataplane.rate_bucket import RateBucket
    from gateway.dataplane.snapshot import Route

RETRY_AFTER_BUSY_S = 1
_SPANS = {"hour": "an hour", "period": "a billing period"}


def compile(route: Route, plane: Plane) -> Step | None:
    """None for an anonymous Api: nobody's plan counts its calls."""
    del plane
    return None if route.auth == "anonymous" else quota


def quota(call: Call) -> Awaitable[None] | None:
    """Take one unit of the grant's quota; refuse when a hard one is used up."""
    grant = call.grant
    if grant is None:
        return None
    handle = grant.quota
    if handle is None:
        if grant.buckets:
            call.response_headers = rate_headers(grant.buckets)
        return None
    now = call.received_at
    bucket = handle.bucket
    if not bucket.starts_at <= now < bucket.ends_at:
        bucket = handle.at(now)
    verdict = bucket.try_take(monotonic() if call.body else call.started)
    if verdict == TAKEN:
        _taken(call, grant, bucket)
        return None
    if verdict == WAIT:
        return _slow(call, grant, handle, bucket)
    raise _refusal(call, grant, handle, bucket)


async def _slow(call: Call, grant: GrantEntry, handle: QuotaHandle, bucket: QuotaBucket) -> None:
    """Ask the counter, and wait a little for what others hold when the rest is small."""
    try:
        is_taken = await bucket.take_slow()
    except StoreDown:
        headers = (("Retry-After", str(RETRY_AFTER_BUSY_S)),)
        raise Rejection("X503BZ", "the quota cannot be checked now, try again", headers=headers) from None
    if not is_taken:
        raise _refusal(call, grant, handle, bucket)
    _taken(call, grant, bucket)


def _taken(call: Call, grant: GrantEntry, bucket: QuotaBucket) -> None:
    """Hold the unit, and tell the caller what is left. The quota is the last of what a call takes: the journal relies on it."""
    if call.taken is None:
        call.taken = [bucket]
    else:
        call.taken.append(bucket)
    call.response_headers = _headers(grant, bucket, call.received_at)


def _headers(grant: GrantEntry, bucket: QuotaBucket, now: float) -> bytes:
    """The header lines RateLimit and RateLimit-Policy of the grant's rates and its quota: one template, filled once a call."""
    rates = grant.buckets
    if grant.policy_for is not bucket:
        grant.policy = _template(rates, bucket)
        grant.policy_for = bucket
    left, seconds = bucket.units - bucket.used + bucket.free, int(bucket.ends_at - now)
    if left < 0:
        left = 0
    if not rates:
        return grant.policy % (left, seconds)
    if len(rates) == 1:
        rate = rates[0]
        return grant.policy % (rate.left + rate.free, left, seconds)
    return grant.policy % (*[rate.left + rate.free for rate in rates], left, seconds)


def _template(rates: tuple[RateBucket, ...], bucket: QuotaBucket) -> bytes:
    """The two header lines, with a place for what is left of each rate, and for what is left and the seconds of the quota."""
    policy = b", ".join([*(rate.policy for rate in rates), bucket.policy])
    states = [b'"%b";r=%%d;t=%d' % (rate.name.encode(), rate.period_s) for rate in rates]
    state = b", ".join([*states, b'"quota";r=%d;t=%d'])
    return b"RateLimit-Policy: " + policy + b"\r\nRateLimit: " + state + b"\r\n"


def _refusal(call: Call, grant: GrantEntry, handle: QuotaHandle, bucket: QuotaBucket) -> Rejection:
    """403 with the plan's name and the moment from which calls work again. Not 429: trying again soon is of no use."""
    call.response_headers = _headers(grant, bucket, call.received_at)
    plan = f"the plan {handle.plan_name}" if handle.plan_name else "the plan"
    span = _SPANS.get(handle.limit.window, f"a {handle.limit.window}")
    text = f"{plan} allows {bucket.units} calls {span}, and they are used up; it resets at {handle.resets_at()}"
    return Rejection("B403MQ", text)
