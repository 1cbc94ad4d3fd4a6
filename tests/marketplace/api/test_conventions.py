"""What holds for every endpoint: problem details, idempotency keys, ETags, cursors, strict input, limits at human doors."""

import json

import pytest
from django.db import connection
from django.test import Client

from marketplace.models import App, IdempotentAnswer
from marketplace.services import access
from tests.marketplace import people

pytestmark = pytest.mark.django_db


def apps_path(bob: people.Party) -> str:
    return f"organizations/{bob.organization.public_id}/apps"


def test_a_problem_says_all_that_rfc_9457_and_we_ask(bob, caller) -> None:
    answer = caller(bob).post(apps_path(bob), {"name": "", "colour": "red"})
    assert answer.status_code == 400
    assert answer["Content-Type"] == "application/problem+json"
    body = answer.json()
    assert body["type"].endswith("/errors/input_invalid")
    assert (body["title"], body["status"], body["code"]) == ("Bad Request", 400, "input_invalid")
    assert body["instance"] == f"/api/v1/{apps_path(bob)}"
    assert body["request_id"] == answer["X-Request-Id"]
    assert {"pointer": "/colour", "detail": "There is no such field."} in body["errors"]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ("{", 400),
        ("[]", 400),
        ("null", 400),
        ('"x"', 400),
        ('{"name": "a\\u0000b"}', 400),
        ('{"name": "\\ud800"}', 400),
        ('{"name": NaN}', 400),
        ('{"name": ' + "[" * 100_000 + "]" * 100_000 + "}", 400),
        ('{"name": ' + '{"a":' * 40 + "1" + "}" * 40 + "}", 400),
        ('{"name": ' + "9" * 5000 + "}", 400),
        ('{"name": {"a": 1}}', 400),
        ('{"name": "' + "a" * 81 + '"}', 400),
        ('{"name": "' + "a" * 6_000_000 + '"}', 413),
        (b'{"name": "\xff\xfe"}', 400),
    ],
    ids=range(14),
)
def test_bad_bodies_are_refused_and_never_break_us(bob, caller, body, status: int) -> None:
    answer = caller(bob).post(apps_path(bob), body)
    assert answer.status_code == status, answer.content[:300]
    assert answer["Content-Type"] == "application/problem+json"
    assert not App.objects.exists()


def test_other_media_types_and_methods_are_refused(bob, caller) -> None:
    assert (
        caller(bob).post(apps_path(bob), "name=x", content_type="application/x-www-form-urlencoded").status_code == 415
    )
    answer = caller(bob).call("PUT", apps_path(bob), {})
    assert (answer.status_code, answer.json()["code"]) == (405, "method_not_allowed")
    assert caller(bob).get(apps_path(bob), accept="text/html").status_code == 406


@pytest.mark.parametrize(
    "query",
    [
        "colour=red",
        "limit=0",
        "limit=101",
        "limit=x",
        "limit=" + "9" * 6000,
        "limit=1&limit=2",
        "cursor=x",
        "cursor=%00",
        "%00=1",
    ],
)
def test_unknown_and_bad_query_parameters_are_refused(bob, caller, query: str) -> None:
    answer = caller(bob).get(f"{apps_path(bob)}?{query}")
    assert (answer.status_code, answer["Content-Type"]) == (400, "application/problem+json")


@pytest.mark.parametrize(
    "public_id", ["x", "org_", "org_" + "z" * 26, "app_" + "0" * 26, "%00", "%ff", "org_" + "0" * 5000, "☃"]
)
def test_ids_that_are_none_are_not_found(bob, caller, public_id: str) -> None:
    for path in (f"organizations/{public_id}", f"apps/{public_id}", f"apis/{public_id}", f"catalogue/{public_id}"):
        assert caller(bob).get(path).status_code == 404


def test_pages_follow_each_other_by_cursor_and_link(bob, caller) -> None:
    for number in range(5):
        people.app_make(bob, name=f"Robot {number}")
    program, seen, path = caller(bob), [], f"{apps_path(bob)}?limit=2"
    while path:
        answer = program.get(path)
        seen += [row["name"] for row in answer.json()["data"]]
        assert answer.json()["has_more"] == ("Link" in answer.headers) == bool(answer.json()["next_cursor"])
        path = answer["Link"].split(">")[0].split("/api/v1/")[1] if "Link" in answer.headers else ""
    assert seen == [f"Robot {number}" for number in (4, 3, 2, 1, 0)]
    first = program.get(f"{apps_path(bob)}?limit=2").json()["next_cursor"]
    other = program.get(f"organizations/{bob.organization.public_id}/members?cursor={first}")
    assert (other.status_code, other.json()["code"]) == (400, "cursor_invalid")


def test_a_repeated_post_with_a_key_creates_one_thing_and_gives_the_same_answer(bob, caller) -> None:
    program = caller(bob)
    first = program.post(apps_path(bob), {"name": "Robot"}, idempotency_key="k-1")
    second = program.post(apps_path(bob), {"name": "Robot"}, idempotency_key="k-1")
    assert (first.status_code, second.status_code) == (201, 201)
    assert second.json() == first.json()
    assert second["Idempotent-Replayed"] == "true"
    assert second["Cache-Control"] == "no-store", "a replayed answer may hold a secret"
    assert App.objects.count() == 1
    other = program.post(apps_path(bob), {"name": "Other"}, idempotency_key="k-1")
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")


def test_keys_of_two_people_do_not_meet(bob, charlie, caller) -> None:
    for party in (bob, charlie):
        assert caller(party).post(apps_path(party), {"name": "Robot"}, idempotency_key="same").status_code == 201
    assert App.objects.count() == 2


def test_a_key_whose_request_still_runs_is_a_conflict_and_a_failed_one_is_free_again(bob, caller) -> None:
    program = caller(bob)
    assert program.post(apps_path(bob), {"name": "a" * 80 + "\n\n"}, idempotency_key="k").status_code == 201
    IdempotentAnswer.objects.update(status=None, body=None)
    running = program.post(apps_path(bob), {"name": "a" * 80 + "\n\n"}, idempotency_key="k")
    assert (running.status_code, running.json()["code"]) == (409, "idempotency_running")
    app = App.objects.get()
    for _ in range(2):
        access.credential_issue(app=app, kind="app_code", person=bob.person)
    path = f"apps/{app.public_id}/credentials"
    assert program.post(path, {"kind": "app_code"}, idempotency_key="again").status_code == 409
    access.credential_revoke(credential=app.credentials.first(), person=bob.person)
    assert program.post(path, {"kind": "app_code"}, idempotency_key="again").status_code == 201


def test_stored_answers_hold_no_secret_in_the_clear(bob, app, caller) -> None:
    program = caller(bob)
    issued = program.post(f"apps/{app.public_id}/credentials", {"kind": "key_pair"}, idempotency_key="k").json()
    with connection.cursor() as cursor:
        cursor.execute("SELECT body::text FROM marketplace_idempotentanswer")
        assert issued["app_secret"] not in cursor.fetchone()[0]
    again = program.post(f"apps/{app.public_id}/credentials", {"kind": "key_pair"}, idempotency_key="k").json()
    assert again == issued
    assert app.credentials.count() == 1


@pytest.mark.parametrize("key", ["", "x" * 256, "\x07"])
def test_malformed_keys_are_refused(bob, caller, key: str) -> None:
    assert caller(bob).post(apps_path(bob), {"name": "Robot"}, idempotency_key=key).status_code == 400


def test_a_change_needs_the_version_that_was_read(bob, app, caller) -> None:
    program, path = caller(bob), f"apps/{app.public_id}"
    tag = program.get(path)["ETag"]
    assert program.get(path, if_none_match=tag).status_code == 304
    assert program.call("PATCH", path, {"name": "New"}).status_code == 428
    assert program.patch(path, {"name": "New"}, if_match='"other"').status_code == 412
    changed = program.patch(path, {"name": "New"}, if_match=tag)
    assert (changed.status_code, changed.json()["name"]) == (200, "New")
    assert program.patch(path, {"name": "Newer"}, if_match=tag).status_code == 412
    assert program.patch(path, {"description": "x"}, if_match=changed["ETag"]).json()["name"] == "New"
    assert program.call("DELETE", path).status_code == 428
    assert program.call("DELETE", path, if_match="*").status_code == 204
    assert program.get(path).status_code == 404


def test_issuing_credentials_has_a_limit(bob, app, caller) -> None:
    program = caller(bob)
    answers = [program.post(f"apps/{app.public_id}/credentials", {"kind": "app_code"}) for _ in range(31)]
    assert [answer.status_code for answer in answers[:3]] == [201, 201, 409]
    assert (answers[-1].status_code, answers[-1].json()["code"]) == (429, "rate_limited")
    assert int(answers[-1]["Retry-After"]) > 0


def test_a_session_needs_a_csrf_token_to_write(bob) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(bob.person)
    assert client.get(f"/api/v1/{apps_path(bob)}").status_code == 200
    answer = client.post(f"/api/v1/{apps_path(bob)}", {"name": "x"}, content_type="application/json")
    assert answer.status_code == 403


def test_a_document_can_be_sent_as_it_is(alice, api, caller) -> None:
    path = f"apis/{api.public_id}/import"
    sent = caller(alice).post(path, people.petstore_text(), content_type="application/yaml")
    assert (sent.status_code, len(sent.json()["kept"])) == (200, 3)
    refused = caller(alice).post(path, "openapi: 3.0.0\npaths: {x: {}}", content_type="application/yaml")
    assert (refused.status_code, refused.json()["code"]) == (400, "document_refused")
    assert any(fault["pointer"] == "/paths/x" for fault in refused.json()["errors"])
    assert caller(alice).post(path, b"\xff", content_type="application/yaml").status_code == 400


def test_policies_are_replaced_whole_and_refused_field_by_field(alice, api, caller) -> None:
    program, path = caller(alice), f"apis/{api.public_id}/policies"
    tag = program.get(path)["ETag"]
    good = program.call("PUT", path, {"nonce_required": True, "rate_app": {"calls": 5, "period_s": 1}}, if_match=tag)
    assert good.status_code == 200, good.content
    assert good.json()["rate_app"]["calls"] == 5
    bad = program.call("PUT", path, {"rate_app": {"calls": -1, "period_s": 1}}, if_match=good["ETag"])
    assert bad.json()["errors"] == [{"pointer": "/rate_app/calls", "detail": "Must be from 1 to 10000000"}]


def test_usage_questions_are_checked(bob, alice, app, api, caller) -> None:
    program, path = caller(bob), f"organizations/{bob.organization.public_id}/usage"
    assert program.get(path).json()["totals"]["calls"] == 0
    assert (
        program.get(f"{path}?app={app.public_id}&api={api.public_id}&grain=day&time_zone=Asia/Shanghai").status_code
        == 200
    )
    csv = program.get(f"{path}.csv")
    assert (csv.status_code, csv["Content-Type"]) == (200, "text/csv; charset=utf-8")
    for query in (
        "time_zone=Mars",
        "since=0001-01-01T00:00:00Z",
        "until=9999-12-31T23:59:59-12:00",
        "since=2026-01-02T00:00:00Z&until=2026-01-01T00:00:00Z",
        "since=2020-01-01T00:00:00Z",
        "side=both",
    ):
        assert program.get(f"{path}?{query}").status_code == 400, query
    assert program.get(f"{path}?side=provider&api={api.public_id}").status_code == 404
    assert (
        caller(alice).get(f"organizations/{alice.organization.public_id}/usage?app={app.public_id}").status_code == 404
    )


def test_our_own_document_is_openapi_3_1_and_names_every_endpoint(client) -> None:
    from openapi_spec_validator import OpenAPIV31SpecValidator

    document = client.get("/api/v1/schema/?format=json").json()
    assert document["openapi"].startswith("3.1")
    assert not list(OpenAPIV31SpecValidator.schema_validator.iter_errors(json.loads(json.dumps(document))))
    assert len([path for path in document["paths"] if path.startswith("/api/v1/")]) >= 38
    assert document["components"]["securitySchemes"]["bearer"]["scheme"] == "bearer"
