"""What the running gateway refuses, with the protocol's codes and texts, over a real socket."""

import json
import time
from base64 import b64encode
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from hashlib import md5
from typing import Any

import pytest
from django.utils import timezone

from marketplace.models import Credential, Grant
from marketplace.selectors.catalog import catalog_list
from marketplace.services.access import app_create, app_suspend, grant_revoke
from marketplace.services.accounts import organization_suspend, person_create
from marketplace.services.credentials import credential_issue, credential_revoke, credential_rotate
from tests.gateway.auth.clients import Answer, send, send_signed, signed
from tests.gateway.auth.conftest import Live
from tests.gateway.auth.world import api_deploy
from tests.waiting import eventually

ECHO = "/shop/echo"
CHANGED_S_MAX = 2.0
"""What a change may take to reach every gateway: the promise of SECURITY.md."""
CONNECTIONS = 16
"""Fresh connections that together reach every one of two workers but for one case in 32,768."""


def refusal(answer: Answer) -> tuple[int, str, str]:
    """Status, code and text, after checking that header and body agree."""
    problem = answer.json
    assert answer.headers["content-type"] == "application/problem+json"
    assert (problem["code"], problem["status"]) == (answer.code, answer.status)
    assert problem["detail"].startswith(answer.message)
    assert problem["request_id"] == answer.headers["x-ca-request-id"]
    return answer.status, answer.code, answer.message


def test_a_wrong_signature_shows_the_servers_string(live: Live) -> None:
    request = signed(live.url, live.key, live.secret, query={"城市": "杭州", "a": "1"})
    status, code, message = refusal(send_signed(live.url, request, X_Ca_Nonce="another"))
    expected = request.string_to_sign.replace(request.headers["X-Ca-Nonce"], "another").replace("\n", "#")
    assert (status, code) == (403, "A403IS")
    assert message == f"Invalid Signature, Server StringToSign:`{expected}`"


def test_a_caller_without_valid_credentials_is_refused_with_the_protocols_codes(live: Live) -> None:
    good = signed(live.url, live.key, live.secret)
    strange = signed(live.url, "tgk_00000000000000000000", live.secret)
    code = live.world.code.app_code
    assert refusal(send(live.url, ECHO))[:2] == (400, "A400MA")
    assert "APPCODE" in send(live.url, ECHO).message
    assert refusal(send(live.url, ECHO, headers={"Authorization": "Bearer x"}))[:2] == (400, "A400MA")
    assert refusal(send_signed(live.url, strange)) == (400, "A400IK", "Invalid AppKey")
    wrong = (400, "A400AC", "Invalid AppCode `not exists`")
    for near in ("0" * 32, code[:-1], code + "0", code.upper(), code[:-1] + ("0" if code[-1] != "0" else "1"), ""):
        assert refusal(send(live.url, ECHO, headers={"Authorization": f"APPCODE {near}"})) == wrong
    assert refusal(send(live.url, ECHO, headers={"X-Ca-Key": live.key}))[:2] == (400, "I400MH")
    assert refusal(send_signed(live.url, good, X_Ca_Key=""))[:2] == (400, "I400MH")
    assert refusal(send_signed(live.url, good, X_Ca_Signature_Method="HmacMD5"))[:2] == (400, "I400HD")
    assert refusal(send_signed(live.url, good, X_Ca_Timestamp="soon"))[:2] == (400, "I400HD")
    assert refusal(send_signed(live.url, good, X_Ca_Signature_Headers="a b"))[:2] == (400, "I400HD")
    assert refusal(send(live.url, ECHO, headers={"X-Ca-Stage": "nowhere"}))[:2] == (400, "I400SG")


def test_an_app_code_in_the_query_serves_only_the_request_that_has_it(live_make: Callable[..., Live]) -> None:
    """What a worker remembers of a head must not let in the same head without the query."""
    live = live_make()
    code = live.world.code.app_code
    for headers in ({"Accept": "*/*"}, {"Authorization": "APPCODEX 1"}, {"Authorization": "Bearer APPCODE"}):
        assert send(live.url, f"{ECHO}?AppCode={code}", headers=headers).status == 200
        assert send(live.url, ECHO, headers=headers).code == "A400MA"


def test_near_miss_app_keys_are_never_accepted(live: Live) -> None:
    """The fault of tyk#3192: a short key hash let in a key with characters appended."""
    for near in (live.key + "a", live.key[:-1], live.key + "abc", live.key.upper(), " " + live.key + "0"):
        assert send_signed(live.url, signed(live.url, near.strip(), live.secret)).code == "A400IK"
    for near in (live.secret + "a", live.secret[:-1], live.secret.swapcase(), live.secret + "abc"):
        assert send_signed(live.url, signed(live.url, live.key, near)).code == "A403IS"


def test_signature_headers_come_before_an_app_code(live: Live) -> None:
    request = signed(live.url, live.key, "wrong")
    answer = send_signed(live.url, request, Authorization=f"APPCODE {live.world.code.app_code}")
    assert answer.code == "A403IS"


@pytest.mark.parametrize("offset_s", [-16 * 60, 16 * 60])
def test_a_timestamp_outside_fifteen_minutes_is_refused(live_make: Callable[..., Live], offset_s: int) -> None:
    live = live_make()
    moment = str(int((time.time() + offset_s) * 1000))
    expired = signed(live.url, live.key, live.secret, timestamp=moment)
    assert refusal(send_signed(live.url, expired)) == (403, "S403TE", "X-Ca-Timestamp is expired")
    fresh = signed(live.url, live.key, live.secret, timestamp=str(int((time.time() + offset_s * 0.9) * 1000)))
    assert send_signed(live.url, fresh).status == 200


def test_a_replayed_nonce_is_refused_at_every_worker(live: Live) -> None:
    request = signed(live.url, live.key, live.secret)
    with ThreadPoolExecutor(CONNECTIONS) as pool:
        answers = list(pool.map(lambda _: send_signed(live.url, request), range(CONNECTIONS)))
    assert sorted(answer.status for answer in answers) == [200] + [403] * (CONNECTIONS - 1)
    assert {refusal(answer)[1:] for answer in answers if answer.status == 403} == {("S403NU", "Nonce Used")}


def test_nonces_of_two_keys_do_not_meet(live: Live) -> None:
    other = credential_issue(app=live.world.app, kind="key_pair", person=live.world.bob)
    for key, secret in ((live.key, live.secret), (other.app_key, other.app_secret)):
        assert send_signed(live.url, signed(live.url, key, secret, nonce="the-same")).status == 200
    assert send_signed(live.url, signed(live.url, live.key, live.secret, nonce="the-same")).code == "S403NU"


def test_an_api_that_demands_a_nonce_wants_it_signed_and_with_a_timestamp(live_make: Callable[..., Live]) -> None:
    live = live_make(policies={"nonce_required": True})
    good = signed(live.url, live.key, live.secret)
    bare = live.world.code.app_code
    assert send(live.url, ECHO, headers={"Authorization": f"APPCODE {bare}"}).status == 200
    assert send_signed(live.url, good).status == 200
    for dropped, expected in (("X-Ca-Nonce", "I400NC"), ("X-Ca-Timestamp", "I400MH")):
        assert send_signed(live.url, unsigned_header(live, dropped)).code == expected


def unsigned_header(live: Live, dropped: str) -> Any:
    """A request whose signature is right but does not cover the header ``dropped``."""
    from dataclasses import replace

    from gateway.core.signatures.verify import SigningKey

    request = signed(live.url, live.key, live.secret)
    headers = dict(request.headers)
    headers["X-Ca-Signature-Headers"] = ",".join(
        name for name in headers["X-Ca-Signature-Headers"].split(",") if name != dropped
    )
    string = request.string_to_sign.replace(f"{dropped}:{headers[dropped]}\n", "")
    headers["X-Ca-Signature"] = SigningKey(live.secret.encode()).sign(string.encode()).decode()
    return replace(request, headers=headers)


def test_policies_narrow_places_and_methods(live_make: Callable[..., Live]) -> None:
    live = live_make(policies={"app_code": "header", "signature_methods": ["HmacSHA256"]})
    code = live.world.code.app_code
    assert send(live.url, f"{ECHO}?AppCode={code}").code == "A400MA"
    assert send(live.url, ECHO, headers={"Authorization": f"APPCODE {code}"}).status == 200
    weak = signed(live.url, live.key, live.secret, signature_method="HmacSHA1")
    assert refusal(send_signed(live.url, weak)) == (
        400,
        "I400HD",
        "Invalid Header `X-Ca-Signature-Method` this API takes HmacSHA256",
    )
    world = live.world
    api_deploy(
        world.api,
        upstream_url=world.api.stages.get(name="release").upstream_url,
        person=world.alice,
        policies={"app_code": "disable"},
    )
    assert eventually(
        lambda: send(live.url, ECHO, headers={"Authorization": f"APPCODE {code}"}).code == "A400MA",
        within_s=CHANGED_S_MAX,
    )


def test_an_anonymous_api_asks_for_nothing_and_ignores_signatures(live_make: Callable[..., Live]) -> None:
    live = live_make(policies={"auth": "anonymous"})
    assert send(live.url, ECHO).status == 200
    assert send_signed(live.url, signed(live.url, "unknown", "wrong")).status == 200


def test_a_stage_is_served_to_those_who_may_call_it(live: Live) -> None:
    world = live.world
    upstream = world.api.stages.get(name="release").upstream_url
    api_deploy(world.api, upstream_url=upstream, person=world.alice, stage="test")
    headers = {"Authorization": f"APPCODE {world.code.app_code}", "X-Ca-Stage": "TEST"}
    assert eventually(lambda: send(live.url, ECHO, headers=headers).code == "I403AA", within_s=CHANGED_S_MAX)
    assert send(live.url, ECHO, headers={**headers, "X-Ca-Stage": "PRE"}).code == "I404NF"
    assert send(live.url, ECHO, headers={**headers, "X-Ca-Stage": "RELEASE"}).status == 200


def test_a_body_that_is_not_the_signed_one_is_refused_and_never_reaches_the_upstream_whole(live: Live) -> None:
    request = signed(live.url, live.key, live.secret, method="POST", json_body={"amount": 1})
    parts = dict(request.headers)
    answer = send(live.url, ECHO, method="POST", headers=parts, body=request.body.replace(b"1", b"2"))  # type: ignore[union-attr]
    assert refusal(answer)[:2] == (400, "I400I5")
    empty = signed(live.url, live.key, live.secret, method="POST", body=b"x")
    assert send(live.url, ECHO, method="POST", headers=dict(empty.headers), body=b"").code == "I400I5"


def test_a_signed_upload_larger_than_what_is_held_streams_and_is_checked(live: Live) -> None:
    content = bytes(range(256)) * 4 * 1024 * 5
    digest = b64encode(md5(content, usedforsecurity=False).digest()).decode()
    request = signed(
        live.url, live.key, live.secret, method="POST", path="/shop/upload", body=content, content_type="image/png"
    )
    assert request.headers["Content-MD5"] == digest
    answer = send_signed(live.url, request)
    assert (answer.status, answer.json["bytes"]) == (200, len(content))
    again = signed(
        live.url, live.key, live.secret, method="POST", path="/shop/upload", body=content, content_type="image/png"
    )
    wrong = send(live.url, "/shop/upload", method="POST", headers=dict(again.headers), body=content[:-1] + b"!")
    assert refusal(wrong)[:2] == (400, "I400I5")


def test_grants_decide_who_may_call(live: Live) -> None:
    world = live.world
    headers = {"Authorization": f"APPCODE {world.code.app_code}"}
    other = app_create(organization=world.consumer, name="Without a grant", person=world.bob)
    stranger = credential_issue(app=other, kind="app_code", person=world.bob)
    assert refusal(send(live.url, ECHO, headers={"Authorization": f"APPCODE {stranger.app_code}"})) == (
        403,
        "I403AA",
        "Unauthorized",
    )
    app_suspend(app=world.app, person=world.bob)
    assert eventually(
        lambda: send(live.url, ECHO, headers=headers).json["detail"] == "Unauthorized: the app is suspended",
        within_s=CHANGED_S_MAX,
    )
    app_suspend(app=world.app, person=world.bob, is_suspended=False)
    assert eventually(lambda: send(live.url, ECHO, headers=headers).status == 200, within_s=CHANGED_S_MAX)
    grant = Grant.objects.get(app=world.app)
    grant.ends_at = timezone.now() - timedelta(seconds=1)
    grant.save()
    from gateway.services.directory import app_publish

    app_publish(app_id=world.app.id)
    assert eventually(lambda: send(live.url, ECHO, headers=headers).code == "A403EP", within_s=CHANGED_S_MAX)
    assert send(live.url, ECHO, headers=headers).message == "App authorization expired"
    grant_revoke(grant=grant)
    assert eventually(lambda: send(live.url, ECHO, headers=headers).code == "I403AA", within_s=CHANGED_S_MAX)


def test_the_apis_of_a_suspended_provider_are_neither_served_nor_listed_until_it_may_go_on(live: Live) -> None:
    world = live.world
    oscar = person_create(email="oscar@example.com", is_platform_operator=True)
    headers = {"Authorization": f"APPCODE {world.code.app_code}"}
    assert is_everywhere(200, live, headers)
    for _round in range(2):
        organization_suspend(organization=world.provider, person=oscar, reason="Sells what is not theirs")
        assert eventually(lambda: is_everywhere(404, live, headers), within_s=CHANGED_S_MAX)
        assert refusal(send(live.url, ECHO, headers=headers))[:2] == (404, "I404NF")
        assert catalog_list().rows == []
        organization_suspend(organization=world.provider, person=oscar, is_suspended=False, reason="Cleared up")
        assert eventually(lambda: is_everywhere(200, live, headers), within_s=CHANGED_S_MAX)
        assert catalog_list().rows == [world.api]


def test_a_revoked_credential_is_refused_within_two_seconds_at_every_worker(live: Live) -> None:
    world = live.world
    headers = {"Authorization": f"APPCODE {world.code.app_code}"}
    assert is_everywhere(200, live, headers)
    credential_revoke(credential=world.code.credential, person=world.bob)
    assert eventually(lambda: is_everywhere(400, live, headers), within_s=CHANGED_S_MAX)
    assert send_signed(live.url, signed(live.url, live.key, live.secret)).status == 200


def test_two_pairs_live_side_by_side_while_a_key_is_rotated(live: Live) -> None:
    world = live.world
    new = credential_rotate(credential=world.pair.credential, person=world.bob, grace_s=3600)
    assert send_signed(live.url, signed(live.url, live.key, live.secret)).status == 200
    assert send_signed(live.url, signed(live.url, new.app_key, new.app_secret)).status == 200
    assert send_signed(live.url, signed(live.url, new.app_key, live.secret)).code == "A403IS"
    Credential.objects.filter(id=world.pair.credential.id).update(expires_at=timezone.now() + timedelta(seconds=1))
    from gateway.services.directory import app_publish

    app_publish(app_id=world.app.id)
    assert eventually(
        lambda: send_signed(live.url, signed(live.url, live.key, live.secret)).code == "A400IK", within_s=4
    )
    assert send_signed(live.url, signed(live.url, new.app_key, new.app_secret)).status == 200


def test_nothing_secret_is_in_plain_text_in_stores_or_logs(live: Live, valkey: Any) -> None:
    """The fault of Kong/kong#5437: keys kept in plain text."""
    world = live.world
    code = world.code.app_code
    assert send(live.url, ECHO, headers={"Authorization": f"APPCODE {code}"}).status == 200
    assert send(live.url, f"{ECHO}?AppCode={code}").status == 200
    assert send_signed(live.url, signed(live.url, live.key, live.secret)).status == 200
    assert send_signed(live.url, signed(live.url, live.key, "wrong")).status == 403
    kept = database_text() + valkey_text(valkey) + folder_text(live.environment["TOLLGATE_VAR"])
    assert world.pair.app_key.encode() in kept
    for secret in (world.pair.app_secret, code, world.pair.app_secret[4:40], code[8:]):
        assert secret.encode() not in kept


def test_a_flood_of_wrong_keys_from_one_address_is_held_off_without_touching_good_callers(
    live_make: Callable[..., Live],
) -> None:
    live = live_make(TOLLGATE_AUTH_FAILURES_PER_S="1")
    headers = {"Authorization": f"APPCODE {live.world.code.app_code}"}
    assert send(live.url, ECHO, headers=headers).status == 200
    codes = [send(live.url, ECHO, headers={"Authorization": f"APPCODE {n:032x}"}).code for n in range(20)]
    assert codes[:10] == ["A400AC"] * 10
    assert "T429MR" in codes
    throttled = send(live.url, ECHO, headers={"Authorization": "APPCODE " + "f" * 32})
    assert (throttled.status, throttled.headers["retry-after"]) == (429, "1")
    assert send(live.url, ECHO, headers=headers).status == 200


def is_everywhere(status: int, live: Live, headers: dict[str, str]) -> bool:
    """Whether calls over many fresh connections, by which every worker is reached, are all answered so."""
    with ThreadPoolExecutor(CONNECTIONS) as pool:
        found = pool.map(lambda _: send(live.url, ECHO, headers=headers).status, range(CONNECTIONS))
        return set(found) == {status}


def database_text() -> bytes:
    """Every row of every table, as text."""
    from django.db import connection

    with connection.cursor() as cursor:
        tables = connection.introspection.table_names(cursor)
        rows = []
        for table in tables:
            cursor.execute(f'SELECT t::text FROM "{table}" t')
            rows += [row[0] for row in cursor.fetchall()]
    return "\n".join(rows).encode()


def valkey_text(valkey: Any) -> bytes:
    """Every key and value."""
    parts = []
    for key in valkey.scan_iter():
        parts.append(key)
        kind = valkey.type(key)
        parts.append(valkey.get(key) if kind == b"string" else json.dumps(str(valkey.dump(key))).encode())
    return b"\n".join(parts)


def folder_text(folder: str) -> bytes:
    """Every file below a folder: logs, journal, the snapshot on disk."""
    from pathlib import Path

    return b"\n".join(path.read_bytes() for path in Path(folder).rglob("*") if path.is_file())
