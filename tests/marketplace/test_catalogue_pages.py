"""The public listing says what the gateway serves: the live deployment, never what waits for the next one."""

from dataclasses import asdict, replace

import pytest
from django.test import Client

from marketplace.contracts.definition import ApiPolicies
from marketplace.models import Api
from marketplace.selectors.catalog import stage_get
from marketplace.services import catalog
from tests.marketplace import people

pytestmark = pytest.mark.django_db

ANONYMOUS = asdict(replace(ApiPolicies(), auth="anonymous"))


def listing(client: Client, api: Api, tab: str = "") -> str:
    return client.get(f"/apis/{api.slug}/{tab}").content.decode()


def policies_save(api: Api, alice: people.Party, **fields: object) -> None:
    catalog.policies_set(api=api, policies=asdict(ApiPolicies()) | fields, person=alice.person)


def test_a_saved_policy_shows_only_when_it_is_deployed_and_goes_with_a_rollback(
    api: Api, alice: people.Party, client: Client
) -> None:
    policies_save(api, alice, auth="anonymous")
    assert "AppCode or signature" in listing(client, api) and "None needed" not in listing(client, api)
    first = stage_get(api=api, name="release").live_deployment
    catalog.deployment_publish(api=api, stage="release", person=alice.person)
    assert "None needed" in listing(client, api)
    catalog.deployment_rollback(stage=stage_get(api=api, name="release"), deployment=first, person=alice.person)
    assert "None needed" not in listing(client, api)


@pytest.mark.parametrize(
    ("fields", "words"),
    [({"app_code": "disable"}, "<dd>Signature</dd>"), ({"signature_methods": []}, "<dd>AppCode</dd>")],
)
def test_sign_in_names_only_what_is_taken(
    api: Api, alice: people.Party, client: Client, fields: dict[str, object], words: str
) -> None:
    policies_save(api, alice, **fields)
    catalog.deployment_publish(api=api, stage="release", person=alice.person)
    assert words in listing(client, api)


def test_operations_and_version_are_the_live_deployments(api: Api, alice: people.Party, client: Client) -> None:
    toys = "  /toys:\n    get: {operationId: toysList, responses: {'200': {description: ok}}}\ncomponents:"
    text = people.petstore_text().replace("version: 1.0.0", "version: 9.9.9").replace("    post:\n", "    x-post:\n")
    catalog.api_import_openapi(api=api, text=text.replace("components:", toys), person=alice.person)
    shown = listing(client, api, "operations/")
    assert "Create a pet" in shown and "/toys" not in shown
    assert "1.0.0" in listing(client, api) and "9.9.9" not in listing(client, api)
    assert {row["path_template"] for row in operations_by_rest(client, api)} == {"/pets", "/pets/{petId}"}
    catalog.deployment_publish(api=api, stage="release", person=alice.person)
    shown = listing(client, api, "operations/")
    assert "/toys" in shown and "Create a pet" not in shown
    assert "9.9.9" in listing(client, api)
    assert "/toys" in {row["path_template"] for row in operations_by_rest(client, api)}


def test_before_the_first_deployment_its_people_see_what_will_be(alice: people.Party, client: Client) -> None:
    draft = people.api_make(alice, is_live=False)
    client.force_login(alice.person)
    shown = listing(client, draft)
    assert "Not live on Release yet" in shown and "Create a pet" in shown


def test_a_category_that_came_by_rest_is_not_lost_by_saving_the_listing(
    api: Api, alice: people.Party, client: Client
) -> None:
    catalog.api_update(api=api, person=alice.person, category="Astrology")
    client.force_login(alice.person)
    page = f"/o/{alice.organization.slug}/provider/apis/{api.public_id}/listing/"
    form = client.get(page).context["form"]
    assert 'value="Astrology" selected' in str(form["category"])
    values = {name: form[name].value() or "" for name in form.fields}
    assert client.post(page, {**values, "summary": "Pets"}).status_code == 302
    api.refresh_from_db()
    assert (api.category, api.summary) == ("Astrology", "Pets")


def operations_by_rest(client: Client, api: Api) -> list[dict[str, str]]:
    found: list[dict[str, str]] = client.get(f"/api/v1/catalogue/{api.slug}/operations").json()["data"]
    return found
