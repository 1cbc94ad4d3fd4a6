"""Publishing an Api: creation, deployments that never change, rollback."""

import pytest
from django.db import DatabaseError, connection, transaction

from marketplace.contracts.definition import ApiDefinition
from marketplace.errors import Conflict, InvalidInput, NameTaken
from marketplace.models import Activation, Api, Change, Deployment, Stage
from marketplace.services import catalog
from tests.marketplace import people

pytestmark = pytest.mark.django_db


def test_a_new_api_has_three_stages_and_makes_its_organization_a_provider(bob: people.Party) -> None:
    api = catalog.api_create(provider=bob.organization, name="天气", base_path="/weather/", person=bob.person)
    bob.organization.refresh_from_db()
    assert bob.organization.is_provider
    assert api.base_path == "/weather"
    assert sorted(api.stages.values_list("name", flat=True)) == ["pre", "release", "test"]


@pytest.mark.parametrize("taken", ["/petstore", "/petstore/v2", "/petstore/"])
def test_a_base_path_that_would_share_calls_with_another_is_refused(api: Api, bob: people.Party, taken: str) -> None:
    with pytest.raises(NameTaken) as refusal:
        catalog.api_create(provider=bob.organization, name="Other", base_path=taken, person=bob.person)
    assert refusal.value.faults[0].pointer == "/base_path"


def test_a_base_path_beside_another_is_accepted(api: Api, bob: people.Party) -> None:
    catalog.api_create(provider=bob.organization, name="Other", base_path="/petstore2", person=bob.person)


@pytest.mark.parametrize("bad", ["", "/", "weather", "/a b", "/..", "/livez", "/a//b", "/a?b", "/" + "a" * 200])
def test_a_malformed_base_path_is_refused(alice: people.Party, bad: str) -> None:
    with pytest.raises(InvalidInput):
        catalog.api_create(provider=alice.organization, name="Other", base_path=bad, person=alice.person)


def test_a_deployment_carries_all_that_a_gateway_needs(api: Api) -> None:
    deployment = Deployment.objects.get(stage__api=api)
    definition = ApiDefinition.from_dict(deployment.definition)
    assert definition.api_id == str(api.id)
    assert definition.base_path == "/petstore"
    assert definition.upstream.url == "http://127.0.0.1:9000"
    assert {(operation.method, operation.path_template) for operation in definition.operations} == {
        ("GET", "/pets"),
        ("POST", "/pets"),
        ("GET", "/pets/{petId}"),
    }
    assert definition.deployment_id == str(deployment.id)


def test_deploying_announces_the_api_to_gateways(api: Api, alice: people.Party) -> None:
    Change.objects.all().delete()
    catalog.deployment_publish(api=api, stage="release", person=alice.person)
    assert list(Change.objects.values_list("kind", "subject_id")) == [("catalog", api.id)]


def test_an_api_without_operations_or_upstream_cannot_be_deployed(alice: people.Party) -> None:
    api = catalog.api_create(provider=alice.organization, name="Empty", base_path="/empty", person=alice.person)
    with pytest.raises(InvalidInput) as refusal:
        catalog.deployment_publish(api=api, stage="release", person=alice.person)
    assert [fault.pointer for fault in refusal.value.faults] == ["/operations", "/stage/upstream_url"]


def test_rolling_back_makes_the_earlier_deployment_live_unchanged(api: Api, alice: people.Party) -> None:
    first = Deployment.objects.get(stage__api=api)
    catalog.stage_upstream_set(api=api, stage="release", url="http://10.0.0.2:1", person=alice.person)
    second = catalog.deployment_publish(api=api, stage="release", person=alice.person, note="new cluster")
    stage = Stage.objects.get(api=api, name="release")
    assert (second.number, stage.live_deployment_id) == (2, second.id)
    catalog.deployment_rollback(stage=stage, deployment=first, person=alice.person)
    stage.refresh_from_db()
    assert stage.live_deployment.definition["upstream"]["url"] == "http://127.0.0.1:9000"
    assert list(Activation.objects.filter(stage=stage).order_by("id").values_list("kind", flat=True)) == [
        "deploy",
        "deploy",
        "rollback",
    ]
    with pytest.raises(Conflict):
        catalog.deployment_rollback(stage=stage, deployment=first, person=alice.person)


def test_a_deployment_of_another_stage_cannot_be_rolled_back_to(api: Api, alice: people.Party) -> None:
    with pytest.raises(InvalidInput):
        catalog.deployment_rollback(
            stage=api.stages.get(name="test"), deployment=Deployment.objects.get(stage__api=api), person=alice.person
        )


def test_withdrawing_leaves_nothing_live(api: Api, alice: people.Party) -> None:
    stage = api.stages.get(name="release")
    catalog.deployment_withdraw(stage=stage, person=alice.person)
    stage.refresh_from_db()
    assert stage.live_deployment is None
    with pytest.raises(Conflict):
        catalog.deployment_withdraw(stage=stage, person=alice.person)


@pytest.mark.parametrize(
    "table",
    ["marketplace_deployment", "marketplace_activation", "marketplace_auditevent"],
)
def test_the_database_refuses_to_change_or_delete_facts(api: Api, table: str) -> None:
    for statement in (f"UPDATE {table} SET id = id", f"DELETE FROM {table}"):
        with pytest.raises(DatabaseError, match="keeps facts"), transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(statement)


@pytest.mark.parametrize(
    "url",
    [
        "ftp://host/",
        "http://",
        "http://me:secret@host/",
        "http://169.254.169.254/latest",
        "http://[::ffff:169.254.169.254]/",
        "http://2852039166/",
        "http://0xa9.0xfe.0xa9.0xfe/",
        "http://[fe80::1]/",
        "http://100.100.100.200/",
        "http://metadata.google.internal/",
        "http://0.0.0.0/",
        "http://224.0.0.1/",
        "http://host:99999/",
        "http://host/a?b=c",
        "http://host/../a",
        "http://ho st/",
        "http://host\x00/",
        "javascript:alert(1)",
    ],
)
def test_a_dangerous_upstream_is_refused(api: Api, alice: people.Party, url: str) -> None:
    with pytest.raises(InvalidInput) as refusal:
        catalog.stage_upstream_set(api=api, stage="release", url=url, person=alice.person)
    assert refusal.value.faults[0].pointer == "/upstream_url"


@pytest.mark.parametrize(
    "host",
    ["a.example:80\r\nX-Evil: 1", "a.example:", "a.example:0", "a.example:99999", "a b", "a/b", "x:y:80", "é.example"],
)
def test_a_host_header_that_is_more_than_a_host_is_refused(api: Api, alice: people.Party, host: str) -> None:
    with pytest.raises(InvalidInput) as refusal:
        catalog.stage_upstream_set(
            api=api, stage="release", url="http://127.0.0.1:9000", host=host, person=alice.person
        )
    assert [fault.pointer for fault in refusal.value.faults] == ["/upstream_host"]


@pytest.mark.parametrize("host", ["a.example", "a.example:8443", "10.0.0.1:80", "[::1]:8080", ""])
def test_a_host_header_with_or_without_a_port_is_taken(api: Api, alice: people.Party, host: str) -> None:
    stage = catalog.stage_upstream_set(
        api=api, stage="release", url="http://127.0.0.1:9000", host=host, person=alice.person
    )
    assert stage.upstream_host == host


def test_a_private_upstream_is_accepted_unless_the_platform_forbids_it(
    api: Api, alice: people.Party, settings: object
) -> None:
    catalog.stage_upstream_set(api=api, stage="release", url="http://weather.default.svc:8080/v1/", person=alice.person)
    assert api.stages.get(name="release").upstream_url == "http://weather.default.svc:8080/v1"
    settings.TOLLGATE_UPSTREAM_PRIVATE = False  # type: ignore[attr-defined]
    for url in ("http://10.1.2.3/", "http://127.0.0.1/", "http://localhost/", "http://127.1/"):
        with pytest.raises(InvalidInput):
            catalog.stage_upstream_set(api=api, stage="release", url=url, person=alice.person)
    catalog.stage_upstream_set(api=api, stage="release", url="https://api.example.com", person=alice.person)


def test_policies_are_checked_field_by_field(api: Api, alice: people.Party) -> None:
    with pytest.raises(InvalidInput) as refusal:
        catalog.policies_set(
            api=api,
            person=alice.person,
            policies={"auth": "none", "speed": 1, "rate_app": {"calls": 0, "period_s": True}},
        )
    assert {fault.pointer for fault in refusal.value.faults} == {"/speed", "/auth", "/rate_app/period_s"}


def test_policies_reach_the_next_deployment(api: Api, alice: people.Party, app: object) -> None:
    policies = {
        "rate_app": {"calls": 5, "period_s": 1},
        "rate_app_exceptions": {app.public_id: {"calls": 9, "period_s": 1}},
    }  # type: ignore[attr-defined]
    catalog.policies_set(api=api, policies=policies, person=alice.person)
    deployment = catalog.deployment_publish(api=api, stage="release", person=alice.person)
    frozen = ApiDefinition.from_dict(deployment.definition).policies
    assert frozen.rate_app is not None and frozen.rate_app.calls == 5
    assert frozen.rate_app_exceptions[str(app.id)].calls == 9  # type: ignore[attr-defined]
