"""Step limit: calls per second or minute, of the Api, the organization, the app, and the grant's own plan. Quotas: quota.py."""

from __future__ import annotations

from collections.abc import Awaitable
from time import monotonic
from typing import TYPE_CHECKING

from gateway.core.rejections import Rejection
from gateway.dataplane.quota_bucket import REFUSED, TAKEN, WAIT
from gateway.dataplane.rate_bucket import RateBucket
from gateway.dataplane.resp import StoreDown

if TYPE_CHECKING:
    from gateway.dataplane.call import Call
    from gateway.dataplane.directory import Entry, GrantEntry
    from gateway.dataplane.pipeline import Step
    from gateway.dataplane.plane import Plane
    from gateway.dataplane.snapshot import Route

REJECTIONS = {"api": "T429PA", "organization": "T429US", "app": "T429AP"}
"""The code of a refusal by dimension (docs/protocol.md); a plan's own rates are T429MR."""
RETRY_AFTER_BUSY_S = 1


def compile(route: Route, plane: Plane) -> Step | None:
    """None for an anonymous Api without a rate of its own."""
    if route.auth == "anonymous" and route.policies.rate_api is None:
        return None
    return Limit(route, plane)


class Limit:
    """The step of one route. It does not hold the route, which holds it: a replaced snapshot must go at once."""

    __slots__ = ("_api_bucket", "_api_id", "_journal", "_leases", "_policies", "_stage")

    def __init__(self, route: Route, plane: Plane) -> None:
        self._api_id = route.api_id
        self._stage = route.stage
        self._leases = plane.leases
        self._journal = plane.journal
        self._policies = route.policies
        rate = route.policies.rate_api
        key = f"{{{route.api_id}}}:{route.stage}:api"
        self._api_bucket = () if rate is None else (self._leases.rate(key, rate, name="api"),)

    def __call__(self, call: Call) -> Awaitable[None] | None:
        """Take one emission of every rate, or refuse and name the one that is used up."""
        if self._journal.is_failing and call.entry is not None:
            raise Rejection("X503BZ", "usage cannot be recorded", headers=(("Retry-After", str(RETRY_AFTER_BUSY_S)),))
        grant = call.grant
        if grant is None:
            buckets: tuple[RateBucket, ...] = self._api_bucket
        elif grant.buckets_for is self._policies:
            buckets = grant.buckets
        else:
            buckets = self._buckets_find(grant, call.entry)
        now = monotonic() if call.body else call.started  # a form may have taken long to arrive
        taken = call.taken = []
        for bucket in buckets:
            verdict = bucket.try_take(now)
            if verdict == TAKEN:
                taken.append(bucket)
            elif verdict == WAIT:
                return self._slow(call, buckets, len(taken))
            else:
                raise refusal(call, bucket)
        if grant is None and buckets:
            call.response_headers = rate_headers(buckets)
        return None

    async def _slow(self, call: Call, buckets: tuple[RateBucket, ...], start: int) -> None:
        """Take from the bucket that must be asked about, and from those after it."""
        taken = call.taken
        assert taken is not None
        for bucket in buckets[start:]:
            verdict = bucket.try_take(monotonic())
            try:
                if verdict == WAIT:
                    verdict = await bucket.take_slow()
            except StoreDown:
                headers = (("Retry-After", str(RETRY_AFTER_BUSY_S)),)
                raise Rejection("X503BZ", "rate limits cannot be checked now, try again", headers=headers) from None
            if verdict == TAKEN:
                taken.append(bucket)
            elif verdict == REFUSED:
                raise refusal(call, bucket)
        if call.grant is None:
            call.response_headers = rate_headers(buckets)

    def _buckets_find(self, grant: GrantEntry, entry: Entry | None) -> tuple[RateBucket, ...]:
        """All rates that this grant's calls on this Api obey, and remember them on the grant."""
        assert entry is not None
        policies, rate = self._policies, self._leases.rate
        found = list(self._api_bucket)
        if policies.rate_organization is not None:
            key = f"{{{self._api_id}:{entry.organization_id}}}:{self._stage}:organization"
            found.append(rate(key, policies.rate_organization, name="organization"))
        of_app = policies.rate_app_exceptions.get(entry.app_id, policies.rate_app)
        if of_app is not None:
            found.append(rate(f"{{{self._api_id}:{entry.app_id}}}:{self._stage}:app", of_app, name="app"))
        for index, limit in enumerate(grant.limits.rates):
            name = "plan" if index == 0 else f"plan-{index + 1}"
            found.append(rate(f"{{{grant.id_bytes.hex()}}}:{index}:plan", limit, name=name))
        grant.buckets = tuple(found)
        grant.buckets_for = policies
        grant.policy_for = None
        return grant.buckets


def rate_headers(buckets: tuple[RateBucket, ...]) -> bytes:
    """The header lines RateLimit and RateLimit-Policy (draft-ietf-httpapi-ratelimit-headers-11) of some rates."""
    policy = b", ".join([bucket.policy for bucket in buckets])
    return b"RateLimit-Policy: %b\r\nRateLimit: %b\r\n" % (policy, b", ".join([bucket.state() for bucket in buckets]))


def refusal(call: Call, bucket: RateBucket) -> Rejection:
    """The refusal of one rate: 429 with Retry-After, and what the rate is."""
    call.response_headers = rate_headers((bucket,))
    wait_s = str(bucket.retry_after())
    rate = f"{bucket.calls} calls per {bucket.period_s} s"
    code = REJECTIONS.get(bucket.name)
    if code is not None:
        return Rejection(code, f"({rate}, retry after {wait_s} s)", headers=(("Retry-After", wait_s),))
    plan = call.grant.limits.plan_name if call.grant is not None else ""
    return Rejection("T429MR", f"plan {plan} ({rate}, retry after {wait_s} s)", headers=(("Retry-After", wait_s),))
