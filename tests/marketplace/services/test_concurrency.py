"""Two people at the same moment: locks, not luck."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier, Event
from typing import Any

import pytest
from django.db import connection, transaction
from django.db.models import Q

from marketplace.errors import ApplicationError, Conflict, LimitReached, NameTaken
from marketplace.models import Api, Change, Credential, Deployment, IdempotentAnswer, Organization, Stage
from marketplace.services import access, accounts, catalog, changes, idempotency
from tests.marketplace import people
from tests.waiting import eventually

pytestmark = pytest.mark.django_db(transaction=True)


def at_once(*works: Callable[[], Any]) -> list[Any]:
    """Run all works in threads of their own, starting together; return what each returned, or its refusal."""
    barrier = Barrier(len(works))

    def run(work: Callable[[], Any]) -> Any:
        try:
            barrier.wait(10)
            return work()
        except ApplicationError as error:
            return error
        finally:
            connection.close()

    with ThreadPoolExecutor(len(works)) as pool:
        return list(pool.map(run, works))


@pytest.fixture
def alice(transactional_db: None) -> people.Party:
    return people.alice_make()


@pytest.fixture
def bob(transactional_db: None) -> people.Party:
    return people.bob_make()


def test_rotations_at_once_keep_at_most_two_live_credentials(bob: people.Party) -> None:
    app = people.app_make(bob)
    first = access.credential_issue(app=app, kind="key_pair", person=bob.person).credential
    answers = at_once(
        *[lambda: access.credential_rotate(credential=first, person=bob.person, grace_s=60) for _ in range(4)]
    )
    assert sum(isinstance(answer, LimitReached) for answer in answers) == 3
    assert app.credentials.filter(revoked_at=None).count() == 2


def test_issuing_at_once_never_makes_a_third(bob: people.Party) -> None:
    app = people.app_make(bob)
    at_once(*[lambda: access.credential_issue(app=app, kind="app_code", person=bob.person) for _ in range(5)])
    assert Credential.objects.filter(app=app, revoked_at=None).count() == 2


def test_deploys_at_once_number_without_a_gap(alice: people.Party) -> None:
    api = people.api_make(alice, is_live=False)
    at_once(*[lambda: catalog.deployment_publish(api=api, stage="release", person=alice.person) for _ in range(5)])
    assert sorted(Deployment.objects.values_list("number", flat=True)) == [1, 2, 3, 4, 5]
    newest = Deployment.objects.get(number=5)
    assert api.stages.get(name="release").live_deployment_id == newest.id


def test_one_of_two_overlapping_base_paths_wins(alice: people.Party, bob: people.Party) -> None:
    answers = at_once(
        lambda: catalog.api_create(provider=alice.organization, name="A", base_path="/a", person=alice.person),
        lambda: catalog.api_create(provider=bob.organization, name="B", base_path="/a/b", person=bob.person),
    )
    assert sum(isinstance(answer, NameTaken) for answer in answers) == 1
    assert Api.objects.count() == 1


def test_two_owners_who_remove_each_other_leave_one(alice: people.Party, bob: people.Party) -> None:
    own = alice.organization.memberships.get()
    other = accounts.member_add(organization=alice.organization, person=bob.person, role="owner")
    at_once(
        lambda: accounts.member_remove(membership=own, person=bob.person),
        lambda: accounts.member_remove(membership=other, person=alice.person),
    )
    assert alice.organization.memberships.filter(role="owner").count() == 1


def test_one_grant_for_an_api_and_stage_however_many_ask(alice: people.Party, bob: people.Party) -> None:
    api, app = people.api_make(alice), people.app_make(bob)
    answers = at_once(*[lambda: people.grant_make(app, api) for _ in range(3)])
    assert sum(isinstance(answer, Conflict) for answer in answers) == 2
    assert app.grants.filter(revoked_at=None).count() == 1


def test_one_of_two_requests_with_the_same_key_runs(db: None) -> None:
    def claim() -> Any:
        return idempotency.answer_begin(owner="o", key="k", fingerprint="f")

    answers = at_once(claim, claim, claim)
    assert sum(isinstance(answer, IdempotentAnswer) for answer in answers) == 1
    assert sum(isinstance(answer, Conflict) for answer in answers) == 2


def test_a_change_is_published_after_commit_and_again_until_it_worked(
    bob: people.Party, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard: list[tuple[str, Any]] = []
    is_down = True

    def publish(*, kind: str, subject_id: Any) -> None:
        if is_down:
            raise OSError("the store is away")
        heard.append((kind, subject_id))

    monkeypatch.setattr(changes, "_publishers", [publish])
    app = people.app_make(bob)
    assert Change.objects.filter(~Q(published_at=None)).count() == 0
    is_down = False
    assert changes.changes_publish(limit=10) == 1
    assert heard == [("app", app.id)]
    assert changes.changes_publish(limit=10) == 0
    access.app_update(app=app, person=bob.person, name="Other")
    assert heard == [("app", app.id)] * 2
    assert not Change.objects.filter(published_at=None).exists()


def test_a_deploy_takes_the_api_before_the_stage_and_never_the_provider(alice: people.Party) -> None:
    api = people.api_make(alice)
    stage = api.stages.get(name="release")

    def others() -> int:
        """How many sessions wait for a row of ours."""
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_stat_clear_snapshot()")  # else a transaction sees what it saw at its first look
            cursor.execute(
                "SELECT count(*) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND wait_event_type = 'Lock'"
            )
            return int(cursor.fetchone()[0])

    def deploy() -> Deployment:
        try:
            with transaction.atomic():
                found = catalog.deployment_publish(api=api, stage="release", person=alice.person)
                deployed.set()
                assert checked.wait(10)
                return found
        finally:
            connection.close()

    deployed, checked = Event(), Event()
    with ThreadPoolExecutor(1) as pool:
        with transaction.atomic():
            Api.objects.select_for_update().get(id=api.id)
            work = pool.submit(deploy)
            assert eventually(others, within_s=10)
            Stage.objects.select_for_update(nowait=True).get(id=stage.id)
        assert deployed.wait(10)
        with transaction.atomic():  # rows that refer to the provider go on being written while a deploy runs
            Organization.objects.select_for_update(nowait=True, no_key=True).get(id=alice.organization.id)
        checked.set()
        assert work.result().number == 2
