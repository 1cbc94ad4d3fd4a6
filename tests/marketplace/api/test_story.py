"""The story over the REST API: publish, find, create an app, get a credential; and what strangers and roles are told."""

import pytest

from marketplace.models import Credential, Deployment, Stage
from marketplace.services import accounts
from tests.marketplace import people

pytestmark = pytest.mark.django_db


def test_a_provider_publishes_and_a_consumer_gets_a_credential(alice, bob, caller, nobody) -> None:
    provider, consumer = caller(alice), caller(bob)
    created = provider.post(
        f"organizations/{alice.organization.public_id}/apis",
        {"name": "Pets", "base_path": "/pets", "category": "Animals"},
    )
    assert created.status_code == 201, created.content
    api = created.json()["id"]
    report = provider.post(f"apis/{api}/import", {"document": people.petstore_text()})
    assert report.status_code == 200, report.content
    assert report.json()["created"] == ["GET /pets", "POST /pets", "GET /pets/{petId}"]
    assert report.json()["suggested_upstream"] == "http://petstore.swagger.io/v1"
    changed = provider.patch(f"apis/{api}/stages/release", {"upstream_url": "http://127.0.0.1:9000"})
    assert changed.status_code == 200, changed.content
    assert nobody.get("catalogue").json()["data"] == []
    deployed = provider.post(f"apis/{api}/stages/release/deployments", {"note": "first"})
    assert deployed.status_code == 201, deployed.content
    assert (deployed.json()["number"], deployed.json()["is_live"]) == (1, True)

    (listed,) = nobody.get("catalogue?search=pets").json()["data"]
    assert listed["id"] == api
    assert [one["name"] for one in nobody.get(f"catalogue/{listed['slug']}/operations").json()["data"]] == [
        "listPets",
        "createPets",
        "showPetById",
    ]
    assert nobody.get(f"catalogue/{api}/openapi").json()["info"]["title"] == "Swagger Petstore"

    app = consumer.post(f"organizations/{bob.organization.public_id}/apps", {"name": "Robot"}).json()["id"]
    issued = consumer.post(f"apps/{app}/credentials", {"kind": "key_pair"})
    assert issued.status_code == 201, issued.content
    assert issued["Cache-Control"] == "no-store"
    assert issued.json()["app_key"].startswith("tgk_") and issued.json()["app_secret"].startswith("tgs_")
    (shown,) = consumer.get(f"apps/{app}/credentials").json()["data"]
    assert "app_secret" not in shown and shown["identifier"] == issued.json()["app_key"]
    rotated = consumer.post(f"credentials/{shown['id']}/rotate", {"grace_s": 60})
    assert rotated.status_code == 201, rotated.content
    again = consumer.post(f"credentials/{shown['id']}/rotate", {"grace_s": 60})
    assert (again.status_code, again.json()["code"]) == (409, "credentials_two")
    assert consumer.post(f"credentials/{shown['id']}/revoke").json()["revoked_at"] is not None
    assert Credential.objects.filter(app__organization=bob.organization, revoked_at=None).count() == 1


def test_a_provider_rolls_back_and_withdraws(alice, api, caller) -> None:
    provider = caller(alice)
    first = Deployment.objects.get(stage__api=api).public_id
    provider.post(f"apis/{api.public_id}/stages/release/deployments")
    back = provider.post(f"apis/{api.public_id}/stages/release/rollback", {"deployment": first})
    assert back.json()["live_deployment"] == first
    numbers = [
        (row["number"], row["is_live"]) for row in provider.get(f"apis/{api.public_id}/deployments").json()["data"]
    ]
    assert numbers == [(2, False), (1, True)]
    assert provider.post(f"apis/{api.public_id}/stages/release/withdraw").json()["live_deployment"] is None
    assert Stage.objects.get(api=api, name="release").live_deployment is None


def test_a_stranger_is_told_that_nothing_exists(alice, bob, charlie, api, app, caller) -> None:
    stranger = caller(charlie)
    grant = people.grant_make(app, api)
    paths = [
        f"organizations/{bob.organization.public_id}",
        f"organizations/{bob.organization.public_id}/members",
        f"organizations/{bob.organization.public_id}/apps",
        f"organizations/{bob.organization.public_id}/usage",
        f"organizations/{bob.organization.public_id}/usage.csv",
        f"organizations/{bob.organization.public_id}/invitations",
        f"apis/{api.public_id}",
        f"apis/{api.public_id}/stages",
        f"apis/{api.public_id}/stages/release",
        f"apis/{api.public_id}/policies",
        f"apis/{api.public_id}/deployments",
        f"apis/{api.public_id}/grants",
        f"apps/{app.public_id}",
        f"apps/{app.public_id}/credentials",
        f"apps/{app.public_id}/grants",
        f"grants/{grant.public_id}",
        f"memberships/{bob.organization.memberships.get().public_id}",
    ]
    for path in paths:
        answer = stranger.get(path)
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found"), path
    for path in (f"apps/{app.public_id}/credentials", f"apis/{api.public_id}/stages/release/deployments"):
        assert stranger.post(path, {"kind": "key_pair"} if "apps" in path else {}).status_code == 404
    assert stranger.get("organizations").json()["data"][0]["id"] == charlie.organization.public_id


def test_both_parties_see_a_grant(alice, bob, api, app, caller) -> None:
    grant = people.grant_make(app, api)
    for party in (alice, bob):
        assert caller(party).get(f"grants/{grant.public_id}").json()["id"] == grant.public_id
    assert [row["id"] for row in caller(alice).get(f"apis/{api.public_id}/grants").json()["data"]] == [grant.public_id]


@pytest.mark.parametrize(("role", "status"), [("viewer", 403), ("finance", 403), ("developer", 201), ("owner", 201)])
def test_a_role_decides_who_may_create_an_app(bob, charlie, caller, role: str, status: int) -> None:
    accounts.member_add(organization=bob.organization, person=charlie.person, role=role)
    answer = caller(charlie).post(f"organizations/{bob.organization.public_id}/apps", {"name": "Robot"})
    assert answer.status_code == status
    assert caller(charlie).get(f"organizations/{bob.organization.public_id}/apps").status_code == 200


def test_scopes_bound_what_a_token_does(bob, app, caller) -> None:
    reader = caller(bob, scopes=["apps:read"])
    assert reader.get(f"apps/{app.public_id}").status_code == 200
    refused = reader.post(f"apps/{app.public_id}/credentials", {"kind": "app_code"})
    assert (refused.status_code, refused.json()["code"]) == (403, "scope_missing")
    assert reader.get("organizations").status_code == 403


def test_an_organization_token_sees_its_organization_only(bob, app, caller) -> None:
    accounts.organization_create(name="Second house", person=bob.person)
    narrow, wide = caller(bob, is_organizational=True), caller(bob)
    assert len(wide.get("organizations").json()["data"]) == 2
    assert [row["id"] for row in narrow.get("organizations").json()["data"]] == [bob.organization.public_id]
    second = next(row["id"] for row in wide.get("organizations").json()["data"] if row["name"] == "Second house")
    assert narrow.get(f"organizations/{second}").status_code == 404
    assert narrow.get(f"apps/{app.public_id}").status_code == 200
    assert narrow.post("organizations", {"name": "Third"}).json()["code"] == "personal_required"


def test_a_token_ends_with_the_membership_and_with_revocation(bob, charlie, caller) -> None:
    membership = accounts.member_add(organization=bob.organization, person=charlie.person, role="developer")
    own = caller(charlie)
    narrow = caller(people.Party(charlie.person, bob.organization), is_organizational=True)
    assert narrow.get("me").status_code == 200
    accounts.member_remove(membership=membership, person=bob.person)
    assert narrow.get("me").status_code == 401
    assert own.get("me").status_code == 200
    charlie.person.access_tokens.update(revoked_at="2026-01-01T00:00Z")
    assert own.get("me").status_code == 401


def test_tokens_cannot_make_tokens(bob, caller) -> None:
    refused = caller(bob).post("access_tokens", {"name": "x", "scopes": ["apps:read"]})
    assert (refused.status_code, refused.json()["code"]) == (403, "session_required")


def test_a_login_issues_a_token_once_and_it_works(bob, client, caller) -> None:
    from tests.marketplace.api.conftest import Caller

    client.force_login(bob.person)
    issued = client.post(
        "/api/v1/access_tokens", {"name": "ci", "scopes": ["apps:read"]}, content_type="application/json"
    )
    assert issued.status_code == 201, issued.content
    text = issued.json()["text"]
    assert text not in client.get("/api/v1/access_tokens").content.decode()
    holder = Caller({"Authorization": f"Bearer {text}"})
    assert holder.get(f"organizations/{bob.organization.public_id}/apps").status_code == 200
    assert client.post(f"/api/v1/access_tokens/{issued.json()['id']}/revoke").status_code == 200
    assert holder.get(f"organizations/{bob.organization.public_id}/apps").status_code == 401


@pytest.mark.parametrize("header", ["Bearer", "Bearer x", "Bearer tgp_" + "a" * 49, "Bearer a b", "Bearer \xff"])
def test_a_bad_bearer_is_challenged(nobody, header: str) -> None:
    answer = nobody.get("me", authorization=header)
    assert answer.status_code == 401
    assert answer["WWW-Authenticate"].startswith("Bearer")
    assert nobody.get("me").status_code == 401
