"""Three independent clients call the running gateway: GET, form, JSON, Unicode, repeated keys; each as its users would."""

import json
from typing import Any

from tests.gateway.auth.clients import Answer, npm_calls, send, send_py3, send_signed, signed
from tests.gateway.auth.conftest import Live


def echoed(answer: Answer) -> Any:
    """What the upstream received; fails with the gateway's own words when it was refused."""
    assert answer.status == 200, (answer.code, answer.message)
    return answer.json


def test_aliyun_api_gateway_python_is_served(live: Live) -> None:
    def call(**options: Any) -> Any:
        return echoed(send_signed(live.url, signed(live.url, live.key, live.secret, **options)))

    assert call(query={"b": "2", "a": "1", "_": "", "A": "x"})["query"] == [
        ["b", "2"],
        ["a", "1"],
        ["_", ""],
        ["A", "x"],
    ]
    assert call(query=[("tag", "first"), ("tag", "second")])["query"] == [["tag", "first"], ["tag", "second"]]
    assert call(query={"城市": "杭州 西湖+1/2%"})["query"] == [["城市", "杭州 西湖+1/2%"]]
    assert call(path="/shop/echo/用户/张三")["path"] == "/echo/用户/张三"
    form = call(method="POST", form={"名": "李 四", "k": "form", "空": ""}, query={"k": "query"})
    assert form["body"] == "%E5%90%8D=%E6%9D%8E+%E5%9B%9B&k=form&%E7%A9%BA="
    assert json.loads(call(method="POST", json_body={"标题": "发票"})["body"]) == {"标题": "发票"}
    assert call(method="PUT", body=b"\x00\xff" * 100, content_type="application/octet-stream")["body_bytes"] == 200
    assert call(headers={"X-Business-Id": "42"}, additional_signed_headers=["X-Business-Id"])["method"] == "GET"
    assert call(signature_method="HmacSHA1")["method"] == "GET"


def test_aliyun_api_gateway_sign_py3_is_served(live: Live) -> None:
    def call(**options: Any) -> Any:
        return echoed(send_py3(live.url, live.key, live.secret, **options))

    assert call(path="/shop/echo?b=2&a=1")["query"] == [["b", "2"], ["a", "1"]]
    assert call(path="/shop/echo?city=杭州&tag=1&tag=2")["query"] == [["city", "杭州"], ["tag", "1"], ["tag", "2"]]
    assert call(path="/shop/echo", method="POST", form={"name": "李四", "a": "1"})["body_bytes"] > 0
    assert call(path="/shop/echo?q=1", method="POST", json_body={"a": 1})["body"] == '{"a": 1}'


def test_npm_aliyun_api_gateway_is_served_and_reads_its_refusals(live: Live) -> None:
    form = {"content-type": "application/x-www-form-urlencoded; charset=UTF-8"}
    echo = f"{live.url}/shop/echo"
    answers = npm_calls(
        live.key,
        live.secret,
        [
            {"method": "get", "url": echo, "options": {"query": {"b": "2", "a": "1", "empty": ""}}},
            {"method": "get", "url": echo, "options": {"query": {"城市": "杭州 西湖"}}},
            {"method": "get", "url": echo, "options": {"query": {"tag": ["first", "second"]}}},
            {"method": "post", "url": echo, "options": {"data": {"名": "李 四"}, "headers": form, "query": {"q": "1"}}},
            {"method": "post", "url": echo, "options": {"data": {"标题": "发票"}}},
            {"method": "put", "url": echo, "options": {"data": {"a": 1}}},
        ],
    )
    assert [answer.get("message") for answer in answers] == [None] * 6
    seen = [answer["ok"] for answer in answers]
    assert seen[0]["query"] == [["b", "2"], ["a", "1"], ["empty", ""]]
    assert seen[1]["query"] == [["城市", "杭州 西湖"]]
    assert seen[2]["query"] == [["tag", "first"], ["tag", "second"]]
    assert (seen[3]["body"], seen[3]["query"]) == ("%E5%90%8D=%E6%9D%8E%20%E5%9B%9B", [["q", "1"]])
    assert json.loads(seen[4]["body"]) == {"标题": "发票"}
    assert json.loads(seen[5]["body"]) == {"a": 1}

    (refused,) = npm_calls(live.key, "wrong", [{"method": "get", "url": echo, "options": {"query": {"a": "1"}}}])
    assert refused["code"] == 403
    assert refused["headers"]["x-ca-error-message"].startswith(
        "Invalid Signature, Server StringToSign:`GET#application/json##"
    )


def test_an_app_code_is_served_in_each_place_and_never_reaches_the_upstream(live: Live) -> None:
    code = live.world.code.app_code
    seen = [echoed(send(live.url, "/shop/echo?x=1", headers={"Authorization": f"APPCODE {code}"}))]
    seen.append(echoed(send(live.url, "/shop/echo?x=1", headers={"authorization": f"appcode {code}"})))
    spellings = ("AppCode", "appcode", "appCode", "APPCODE", "APPCode", "App%43ode")
    seen += [echoed(send(live.url, f"/shop/echo?{spelling}={code}&x=1")) for spelling in spellings]
    for request in seen:
        assert request["query"] == [["x", "1"]]
        assert code not in json.dumps(request)
