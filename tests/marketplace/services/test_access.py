"""Apps, credentials and grants: shown once, rotated with a grace time, ended at once, announced to gateways."""

from datetime import timedelta

import pytest
import time_machine
from django.utils import timezone

from marketplace.contracts.limits import Limits, QuotaLimit, RateLimit
from marketplace.core.credentials import secret_hash
from marketplace.errors import Conflict, InvalidInput, LimitReached, NameTaken
from marketplace.models import Api, App, AuditEvent, Change, Credential
from marketplace.selectors import access as shown
from marketplace.services import access
from marketplace.services.keyring import keyring_get
from tests.marketplace import people

pytestmark = pytest.mark.django_db


def announced(app: App) -> bool:
    """Whether gateways were told about the app since the last question."""
    rows = Change.objects.filter(kind="app", subject_id=app.id)
    return rows.delete()[0] > 0


def test_a_key_pair_is_kept_encrypted_and_an_app_code_hashed(app: App, bob: people.Party) -> None:
    pair = access.credential_issue(app=app, kind="key_pair", person=bob.person)
    code = access.credential_issue(app=app, kind="app_code", person=bob.person)
    assert pair.app_key == pair.credential.identifier
    assert pair.app_secret not in pair.credential.secret_encrypted
    assert keyring_get().decrypt(pair.credential.secret_encrypted) == pair.app_secret
    assert code.credential.code_hash == secret_hash(code.app_code) and len(code.app_code) == 32
    assert pair.app_secret not in repr(pair) and code.app_code not in repr(code)
    assert not AuditEvent.objects.filter(detail__icontains=pair.app_secret).exists()


def test_a_third_live_credential_of_a_kind_is_refused(app: App, bob: people.Party) -> None:
    for _ in range(2):
        access.credential_issue(app=app, kind="key_pair", person=bob.person)
    with pytest.raises(LimitReached):
        access.credential_issue(app=app, kind="key_pair", person=bob.person)
    access.credential_issue(app=app, kind="app_code", person=bob.person)
    with pytest.raises(InvalidInput):
        access.credential_issue(app=app, kind="password", person=bob.person)


def test_after_the_grace_time_only_the_new_credential_lives(app: App, bob: people.Party) -> None:
    old = access.credential_issue(app=app, kind="key_pair", person=bob.person).credential
    new = access.credential_rotate(credential=old, person=bob.person, grace_s=60).credential
    assert set(shown.credentials_list(app=app)) == {old, new}
    with time_machine.travel(timezone.now() + timedelta(seconds=61)):
        assert set(shown.credentials_list(app=app)) == {new}
        with pytest.raises(Conflict):
            access.credential_rotate(credential=old, person=bob.person)
        access.credential_rotate(credential=new, person=bob.person, grace_s=60)


def test_a_rotation_without_grace_ends_the_old_one_now(app: App, bob: people.Party) -> None:
    old = access.credential_issue(app=app, kind="app_code", person=bob.person).credential
    new = access.credential_rotate(credential=old, person=bob.person, grace_s=0).credential
    assert list(shown.credentials_list(app=app)) == [new]
    for bad in (-1, 10**9):
        with pytest.raises(InvalidInput):
            access.credential_rotate(credential=new, person=bob.person, grace_s=bad)


def test_every_change_of_an_app_is_announced_in_its_transaction(app: App, api: Api, bob: people.Party) -> None:
    assert announced(app)
    credential = access.credential_issue(app=app, kind="key_pair", person=bob.person).credential
    assert announced(app)
    access.credential_revoke(credential=credential, person=bob.person)
    assert announced(app)
    access.credential_revoke(credential=credential, person=bob.person)
    assert not announced(app)
    grant = people.grant_make(app, api)
    assert announced(app)
    access.grant_limits_set(grant=grant, limits=Limits(rates=(RateLimit(1, 1),)))
    assert announced(app)
    access.grant_revoke(grant=grant)
    assert announced(app)
    access.app_suspend(app=app, person=bob.person)
    assert announced(app)


def test_deleting_an_app_ends_its_credentials_and_grants_and_keeps_its_row(
    app: App, api: Api, bob: people.Party
) -> None:
    access.credential_issue(app=app, kind="key_pair", person=bob.person)
    grant = people.grant_make(app, api)
    access.app_delete(app=app, person=bob.person)
    access.app_delete(app=app, person=bob.person)
    grant.refresh_from_db()
    assert grant.revoked_at is not None
    assert not Credential.objects.filter(app=app, revoked_at=None).exists()
    assert App.objects.filter(id=app.id).exists()
    for refused in (
        lambda: access.credential_issue(app=app, kind="key_pair", person=bob.person),
        lambda: access.app_update(app=app, person=bob.person, name="x"),
        lambda: people.grant_make(app, api),
    ):
        with pytest.raises(Conflict, match="deleted"):
            refused()


def test_one_live_grant_for_an_api_and_stage(app: App, api: Api) -> None:
    grant = people.grant_make(app, api)
    with pytest.raises(Conflict):
        people.grant_make(app, api)
    access.grant_issue(app=app, api=api, stage="test", limits=Limits(), starts_at=timezone.now())
    access.grant_revoke(grant=grant)
    people.grant_make(app, api)
    with pytest.raises(Conflict):
        access.grant_limits_set(grant=grant, limits=Limits())


def test_limits_come_back_by_value(app: App, api: Api) -> None:
    limits = Limits(
        "Basic", (RateLimit(10, 1), RateLimit(100, 60, burst=5)), QuotaLimit(100, "day", time_zone="Asia/Shanghai")
    )
    grant = people.grant_make(app, api, limits=limits)
    grant.refresh_from_db()
    assert Limits.from_dict(grant.limits) == limits


@pytest.mark.parametrize(
    ("limits", "pointer"),
    [
        (Limits(rates=(RateLimit(0, 1),)), "/limits/rates/0/calls"),
        (Limits(rates=(RateLimit(1, 0),)), "/limits/rates/0/period_s"),
        (Limits(rates=(RateLimit(1, 1),) * 9), "/limits/rates"),
        (Limits(quota=QuotaLimit(-1, "day")), "/limits/quota/units"),
        (Limits(quota=QuotaLimit(1, "week")), "/limits/quota/window"),  # type: ignore[arg-type]
        (Limits(quota=QuotaLimit(1, "period")), "/limits/quota/period_end"),
        (Limits(quota=QuotaLimit(1, "day", time_zone="Mars")), "/limits/quota/time_zone"),
        (Limits(quota=QuotaLimit(1, "day", charged=("rejected",))), "/limits/quota/charged"),
    ],
)
def test_limits_that_make_no_sense_are_refused(app: App, api: Api, limits: Limits, pointer: str) -> None:
    with pytest.raises(InvalidInput) as refusal:
        people.grant_make(app, api, limits=limits)
    assert [fault.pointer for fault in refusal.value.faults] == [pointer]


def test_a_grant_must_end_after_it_starts_on_a_stage_that_exists(app: App, api: Api) -> None:
    now = timezone.now()
    with pytest.raises(InvalidInput) as refusal:
        access.grant_issue(app=app, api=api, stage="live", limits=Limits(), starts_at=now, ends_at=now)
    assert {fault.pointer for fault in refusal.value.faults} == {"/stage", "/ends_at"}


def test_two_living_apps_of_one_organization_never_share_a_name(bob: people.Party, charlie: people.Party) -> None:
    robot = people.app_make(bob, name="Robot")
    for again in ("Robot", "ROBOT ", "robot"):
        with pytest.raises(NameTaken) as refused:
            people.app_make(bob, name=again)
        assert [fault.pointer for fault in refused.value.faults] == ["/name"]
    other = people.app_make(bob, name="Other")
    with pytest.raises(NameTaken):
        access.app_update(app=other, person=bob.person, name="robot")
    assert access.app_update(app=robot, person=bob.person, name="Robot", description="ours").description == "ours"
    assert people.app_make(charlie, name="Robot").name == "Robot"
    access.app_delete(app=robot, person=bob.person)
    assert people.app_make(bob, name="Robot").name == "Robot"
