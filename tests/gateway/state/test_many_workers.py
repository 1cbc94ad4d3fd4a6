"""One quota over several workers as its caller sees it: what is left is never random, and a redeploy forgets nothing."""

import json
import re
import urllib.error
import urllib.request
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import asdict, replace
from uuid import UUID

import pytest
import redis

from config.embedded.valkey import Valkey
from gateway.dataplane.snapshot import snapshot_checksum
from marketplace.contracts.definition import ApiDefinition, ApiPolicies, OperationDefinition
from marketplace.contracts.limits import Limits, QuotaLimit, RateLimit
from tests import servers
from tests.gateway.state import seeding
from tests.gateway.state.seeding import Bob, valkey_own
from tests.waiting import eventually

WORKERS = 3
LIMIT, SMALL = 60, 10
SEEN_S_MAX = 15.0
STEADY = Bob(1, Limits(plan_name="Free", quota=QuotaLimit(units=LIMIT, window="day")), path="free")
MOVED = Bob(2, Limits(plan_name="Free", quota=QuotaLimit(units=SMALL, window="day")), path="free")


class Town:
    """A gateway of three workers, its store, and callers that connect anew for each call, so that they meet all of them."""

    def __init__(self, url: str, valkey: Valkey, upstream_url: str) -> None:
        self.url, self.valkey, self.upstream_url = url, valkey, upstream_url

    def call(self, bob: Bob, path: str = "now") -> tuple[int, str]:
        """The status, and the header RateLimit."""
        asked = urllib.request.Request(
            f"{self.url}/{bob.path}/{path}", headers={"Authorization": f"APPCODE {bob.code}"}
        )
        try:
            with urllib.request.urlopen(asked, timeout=20) as answer:
                return answer.status, answer.headers["RateLimit"]
        except urllib.error.HTTPError as refused:
            with refused:
                return refused.code, str(refused.headers["RateLimit"])

    def redeploy(self, api: ApiDefinition, *, version: int) -> None:
        """Publish a snapshot of this one Api, as a deployment does."""
        values = json.loads(json.dumps([asdict(api)]))
        client = redis.Redis(unix_socket_path=str(self.valkey.socket))
        client.set(
            "tg:snapshot", json.dumps({"version": version, "checksum": snapshot_checksum(values), "apis": values})
        )
        client.set("tg:snapshot:version", version)
        client.publish("tg:invalidate", f"snapshot:{version}")
        client.close()


@pytest.fixture(scope="module")
def town() -> Iterator[Town]:
    with valkey_own() as (folder, valkey), servers.running(seeding.upstream_program(folder)) as upstream:
        seeding.publish(valkey, {"free": ApiPolicies()}, [STEADY, MOVED], upstream_url=upstream.url)
        environment = servers.environment_make(
            var=folder / "var", database_url="postgresql://nobody@127.0.0.1:9/none", valkey_url=valkey.url()
        )
        with servers.gateway(environment, workers=WORKERS) as gateway:
            yield Town(gateway.url, valkey, upstream.url)


def left_of(header: str) -> int:
    found = re.search(r'"quota";r=(\d+)', header)
    assert found is not None, header
    return int(found.group(1))


def climbs(seen: list[int]) -> int:
    """The longest run of rising values, others between them left out: as many as there are views that only fall."""
    tails: list[int] = []
    for value in seen:
        at = bisect_left(tails, value)
        tails[at : at + 1] = [value]
    return len(tails)


def test_what_is_left_is_never_random_over_several_workers(town: Town) -> None:
    """Each worker tells what it knows, which only falls (unless a lease came back); a random header would climb 15 times."""
    seen: list[int] = []
    while (answer := town.call(STEADY))[0] == 200:
        seen.append(left_of(answer[1]))
    assert (answer[0], left_of(answer[1])) == (403, 0)
    assert len(seen) == LIMIT
    assert max(seen) == LIMIT - 1 and seen[-1] == 0
    assert climbs(seen) <= 2 * WORKERS, seen


def test_a_redeploy_with_other_operations_policies_and_names_forgets_no_use(town: Town) -> None:
    for _ in range(6):
        assert town.call(MOVED)[0] == 200
    before = seeding.api_make(1, "free", ApiPolicies(), town.upstream_url)
    changed = replace(
        before,
        api_name="Another name",
        deployment_id=str(UUID(int=999)),
        operations=(OperationDefinition(str(UUID(int=998)), "GET", "/later", "later"), *before.operations),
        policies=ApiPolicies(rate_app=RateLimit(calls=1_000, period_s=1), signature_methods=("HmacSHA256",)),
    )
    town.redeploy(changed, version=2)
    assert eventually(lambda: [town.call(STEADY, "later")[0] for _ in range(8)] == [403] * 8, within_s=SEEN_S_MAX)
    after = [town.call(MOVED)[0] for _ in range(SMALL)]
    assert after == [200] * (SMALL - 6) + [403] * 6
