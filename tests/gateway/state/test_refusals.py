"""What a caller reads at a limit, through a real gateway: 429 and 403 with their headers, and what is left on every good answer."""

import json
import re
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from email.message import Message
from typing import Any

import pytest
import redis

from gateway.dataplane.lease_scripts import GENERATION_KEY
from marketplace.contracts.definition import ApiPolicies
from marketplace.contracts.limits import Limits, QuotaLimit, RateLimit
from tests import servers
from tests.gateway.state import seeding
from tests.gateway.state.seeding import Bob, valkey_own

SLOW = 3600
BOBS = {
    "app": Bob(1, Limits(plan_name="Basic"), path="app"),
    "exception": Bob(2, Limits(plan_name="Basic"), path="app"),
    "organization": Bob(3, Limits(plan_name="Basic"), path="organization"),
    "api": Bob(4, Limits(plan_name="Basic"), path="api"),
    "plan": Bob(5, Limits(plan_name="Basic", rates=(RateLimit(calls=2, period_s=SLOW),)), path="free"),
    "quota": Bob(
        6,
        Limits(
            plan_name="Free",
            rates=(RateLimit(calls=500, period_s=1),),
            quota=QuotaLimit(units=3, window="day", time_zone="Asia/Shanghai"),
        ),
        path="free",
    ),
    "down": Bob(7, Limits(plan_name="Free", quota=QuotaLimit(units=30, window="day")), path="free"),
}
TWO = RateLimit(calls=2, period_s=SLOW)
POLICIES = {
    "free": ApiPolicies(),
    "app": ApiPolicies(rate_app=TWO, rate_app_exceptions={BOBS["exception"].app_id: replace(TWO, calls=4)}),
    "organization": ApiPolicies(rate_organization=TWO),
    "api": ApiPolicies(rate_api=TWO),
}


class Answer:
    """One answer as the caller reads it."""

    def __init__(self, status: int, headers: Message, body: bytes) -> None:
        self.status, self.headers, self.body = status, headers, body

    @property
    def problem(self) -> dict[str, Any]:
        return dict(json.loads(self.body))


class Caller:
    """Calls a gateway."""

    def __init__(self, url: str, store: redis.Redis) -> None:
        self.url, self.store = url, store

    def call(self, who: str) -> Answer:
        bob = BOBS[who]
        asked = urllib.request.Request(f"{self.url}/{bob.path}/now", headers={"Authorization": f"APPCODE {bob.code}"})
        try:
            with urllib.request.urlopen(asked, timeout=10) as answer:
                return Answer(answer.status, answer.headers, answer.read())
        except urllib.error.HTTPError as refused:
            with refused:
                return Answer(refused.code, refused.headers, refused.read())

    def until_refused(self, who: str, *, calls_max: int = 50) -> tuple[int, Answer]:
        """How many were good, and the refusal."""
        for good in range(calls_max):
            answer = self.call(who)
            if answer.status != 200:
                return good, answer
        raise AssertionError("it was never refused")


@pytest.fixture(scope="module")
def caller() -> Iterator[Caller]:
    with valkey_own() as (folder, valkey), servers.running(seeding.upstream_program(folder)) as upstream:
        seeding.publish(valkey, POLICIES, BOBS.values(), upstream_url=upstream.url)
        environment = servers.environment_make(
            var=folder / "var", database_url="postgresql://nobody@127.0.0.1:9/none", valkey_url=valkey.url()
        )
        with servers.gateway(environment) as gateway:
            store = redis.Redis(unix_socket_path=str(valkey.socket))
            yield Caller(gateway.url, store)
            store.close()


@pytest.mark.parametrize(
    ("who", "code", "text"),
    [
        ("app", "T429AP", "Throttled by APP Flow Control"),
        ("organization", "T429US", "Throttled by USER Flow Control"),
        ("api", "T429PA", "Throttled by API Flow Control"),
        ("plan", "T429MR", "Too Many Requests, throttle by plan Basic"),
    ],
)
def test_each_rate_has_its_own_refusal_with_retry_after(caller: Caller, who: str, code: str, text: str) -> None:
    good, refused = caller.until_refused(who)
    assert (good, refused.status) == (2, 429)
    assert refused.headers["X-Ca-Error-Code"] == code == refused.problem["code"]
    assert refused.headers["X-Ca-Error-Message"].startswith(text)
    assert 1 <= int(refused.headers["Retry-After"]) <= SLOW / 2
    name = who if code != "T429MR" else "plan"
    assert refused.headers["RateLimit-Policy"] == f'"{name}";q=2;w={SLOW}'
    assert re.fullmatch(rf'"{name}";r=0;t=\d+', refused.headers["RateLimit"])


def test_an_app_with_an_exception_has_its_own_rate(caller: Caller) -> None:
    assert caller.until_refused("exception")[0] == 4


def test_a_quota_is_counted_down_and_its_refusal_names_the_plan_and_the_reset(caller: Caller) -> None:
    left = []
    for _ in range(3):
        answer = caller.call("quota")
        assert answer.status == 200
        assert re.fullmatch(r'"plan";q=500;w=1, "quota";q=3;w=86400', answer.headers["RateLimit-Policy"])
        found = re.fullmatch(r'"plan";r=\d+;t=1, "quota";r=(\d+);t=\d+', answer.headers["RateLimit"])
        assert found is not None
        left.append(int(found[1]))
    assert left == [2, 1, 0]
    refused = caller.call("quota")
    assert (refused.status, refused.headers["X-Ca-Error-Code"]) == (403, "B403MQ")
    assert refused.headers["X-Ca-Error-Message"] == "Api Market Subscription quota exhausted"  # clients test for it
    detail = refused.problem["detail"]
    assert "the plan Free allows 3 calls a day, and they are used up; it resets at " in detail
    reset = datetime.fromisoformat(detail.rpartition(" ")[2])
    assert reset.utcoffset() is not None and (reset.hour, reset.minute) == (0, 0)


def test_with_its_counters_lost_a_hard_quota_refuses_clearly_and_works_again_when_they_are_back(caller: Caller) -> None:
    assert caller.call("down").status == 200
    caller.store.delete(GENERATION_KEY)
    try:
        good, refused = caller.until_refused("down")
        assert good < 30  # what was leased already is spent first
        assert (refused.status, refused.headers["X-Ca-Error-Code"]) == (503, "X503BZ")
        assert "the quota cannot be checked now" in refused.problem["detail"] and refused.headers["Retry-After"] == "1"
    finally:
        caller.store.set(GENERATION_KEY, "first")
