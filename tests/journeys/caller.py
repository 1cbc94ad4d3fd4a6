"""Parts 3 and 4 of the story: real calls, by AppCode and signed by a client from PyPI, up to every limit and beyond."""

import time
from collections import Counter
from urllib.request import urlopen

from tests.gateway.auth.clients import Answer, send, send_signed, signed
from tests.journeys.consumer import Credentials
from tests.journeys.provider import FREE_UNITS, PAID_INCLUDED, PAID_RATE, TIERS, Published
from tests.journeys.town import Town

TARGET = "/cities/%E5%8C%97%E4%BA%AC/forecast?days=2"
PATH = "/cities/北京/forecast"
SAMPLE_TARGETS = ("/forecast?city=Lisbon", "/stations/LPPT/observations")


def call_by_code(town: Town, published: Published, credentials: Credentials) -> Answer:
    """One call by AppCode."""
    headers = {"Authorization": f"APPCODE {credentials.app_code}"}
    return send(town.gateway_url, f"{published.base_path}{TARGET}", headers=headers)


def call_signed(town: Town, published: Published, credentials: Credentials, *, secret: str = "") -> Answer:
    """One call signed by aliyun-api-gateway-python, with another secret when one is given."""
    request = signed(
        town.gateway_url,
        credentials.app_key,
        secret or credentials.app_secret,
        path=f"{published.base_path}{PATH}",
        query={"days": "2", "单位": "metric"},
    )
    return send_signed(town.gateway_url, request)


def first_calls(town: Town, published: Published, credentials: Credentials) -> int:
    """Both kinds of credentials reach the upstream; the answers say what is left. Returns how many calls that were."""
    served = town.wait("subscribed to served", lambda: _if_served(call_by_code(town, published, credentials)))
    assert served.json["path"] == "/echo/cities/北京/forecast"
    assert not any(name.lower() == "authorization" for name, _ in served.json["headers"])
    assert f"r={FREE_UNITS - 1}" in served.headers["ratelimit"]
    by_key = call_signed(town, published, credentials)
    assert by_key.status == 200, (by_key.code, by_key.message)
    assert ["单位", "metric"] in by_key.json["query"]
    assert served.headers["x-ca-request-id"] != by_key.headers["x-ca-request-id"]
    return 2


def sample_calls(town: Town, published: Published, credentials: Credentials) -> None:
    """Both reading operations of the sample document answer 200, played by the demo's upstream."""
    headers = {"Authorization": f"APPCODE {credentials.app_code}"}
    for target in SAMPLE_TARGETS:
        path = f"{published.base_path}{target}"
        answer = town.wait(
            f"sample {target}", lambda path=path: _if_served(send(town.gateway_url, path, headers=headers))
        )
        assert b"celsius" in answer.body, answer.body


def quota_exhaust(town: Town, published: Published, credentials: Credentials, *, used: int) -> None:
    """The rest of the free plan's day, to the unit, then B403MQ that names the plan and the reset."""
    answers = [call_by_code(town, published, credentials) for _ in range(FREE_UNITS - used + 5)]
    assert Counter(answer.status for answer in answers) == {200: FREE_UNITS - used, 403: 5}
    refused = call_signed(town, published, credentials)
    problem = refusal(refused, status=403, code="B403MQ")
    assert refused.message == "Api Market Subscription quota exhausted"
    assert "Free" in problem["detail"], problem
    assert time.strftime("%Y-%m-%d", time.gmtime(time.time() + 86_400)) in problem["detail"], problem
    with urlopen(problem["type"], timeout=10) as page:
        assert b"B403MQ" in page.read()


def rate_exceed(town: Town, published: Published, credentials: Credentials) -> list[str]:
    """Calls of the paid plan until the rate refuses them. Returns the request ids of those that were served."""
    first = town.wait("second subscription served", lambda: _if_served(call_by_code(town, published, credentials)))
    answers = [first]
    while answers[-1].status == 200 and len(answers) < PAID_RATE * 3:
        answers.append(call_by_code(town, published, credentials))
    served = [answer.headers["x-ca-request-id"] for answer in answers if answer.status == 200]
    refused = answers[-1]
    refusal(refused, status=429, code="T429MR")
    assert len(served) > PAID_INCLUDED + TIERS[0][0], "the calls reach into both tiers"
    assert int(refused.headers["retry-after"]) >= 1
    assert "r=0" in refused.headers["ratelimit"]
    assert f"q={PAID_RATE}" in refused.headers["ratelimit-policy"]
    assert "w=60" in refused.headers["ratelimit-policy"]
    return served


def rights_refuse(town: Town, published: Published, credentials: Credentials) -> None:
    """An app without a grant, and a signature made with another secret, each with its own code."""
    assert town.wait("new app known", lambda: _if_not(call_by_code(town, published, credentials), "A400AC"))
    refusal(call_by_code(town, published, credentials), status=403, code="I403AA")
    refusal(call_signed(town, published, credentials), status=403, code="I403AA")
    wrong = call_signed(town, published, credentials, secret="0" * 32)
    refusal(wrong, status=403, code="A403IS")
    assert "Server StringToSign:`GET#" in wrong.message
    assert "/weather/cities/北京/forecast?days=2" in wrong.message


def refusal(answer: Answer, *, status: int, code: str) -> dict[str, object]:
    """The problem details of a refusal, which headers and body tell alike."""
    assert (answer.status, answer.code) == (status, code), (answer.status, answer.code, answer.message)
    assert answer.headers["content-type"] == "application/problem+json"
    problem: dict[str, object] = answer.json
    assert (problem["status"], problem["code"]) == (status, code)
    assert str(problem["detail"]).startswith(answer.message)
    assert problem["request_id"] == answer.headers["x-ca-request-id"]
    return problem


def _if_served(answer: Answer) -> Answer | None:
    return answer if answer.status == 200 else None


def _if_not(answer: Answer, code: str) -> Answer | None:
    return answer if answer.code != code else None
