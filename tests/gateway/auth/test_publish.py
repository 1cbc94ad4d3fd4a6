"""Publishing to the gateways' store: what a change writes, what a revocation removes, which copy wins, how loss heals."""

import json
from datetime import timedelta
from hashlib import sha256
from typing import Any
from unittest.mock import ANY

import pytest
from django.core.management import CommandError, call_command
from django.test import override_settings
from django.utils import timezone

from gateway.errors import StoreUnreachable
from gateway.models import SnapshotBuild
from gateway.selectors.snapshot import snapshot_build_latest
from gateway.services import directory, publish, store
from gateway.services.snapshot import snapshot_publish
from gateway.tasks import changes_publish, directory_sweep, publish_heal
from marketplace.contracts.definition import ApiDefinition
from marketplace.contracts.limits import Limits
from marketplace.core.secrets import KeyRing
from marketplace.models import Change, Credential
from marketplace.services.access import app_delete, app_suspend, grant_issue, grant_revoke
from marketplace.services.accounts import organization_suspend
from marketplace.services.catalog import api_suspend
from marketplace.services.credentials import credential_issue, credential_revoke, credential_rotate
from marketplace.services.deployments import deployment_withdraw
from tests.gateway.auth.world import World, world_make
from tests.harness import TEST_SECRETS

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def world() -> World:
    return world_make()


def entry(valkey: Any, key: str) -> dict[str, Any] | None:
    """A directory entry as gateways read it."""
    text = valkey.get(key)
    return json.loads(text) if text else None


def key_of(world: World) -> str:
    return f"tg:dir:key:{world.pair.app_key}"


def code_of(world: World) -> str:
    return f"tg:dir:code:{sha256(world.code.app_code.encode()).hexdigest()}"


def test_an_entry_holds_what_a_gateway_needs_and_nothing_in_the_clear(world: World, valkey: Any) -> None:
    found = entry(valkey, key_of(world))
    assert found is not None
    grant = world.app.grants.get()
    assert found == {
        "app_id": str(world.app.id),
        "app_name": "Bob's app",
        "organization_id": str(world.consumer.id),
        "organization_name": "Bob Shop",
        "suspended": False,
        "credential_id": str(world.pair.credential.id),
        "kind": "key_pair",
        "secret": ANY,
        "expires_at": None,
        "revision": ANY,
        "grants": [
            {
                "id": str(grant.id),
                "api_id": str(world.api.id),
                "stage": "release",
                "starts_at": grant.starts_at.timestamp(),
                "ends_at": None,
                "limits": {"plan_name": "", "rates": [], "quota": None},
            }
        ],
    }
    assert KeyRing.parse(TEST_SECRETS["TOLLGATE_SECRET_KEYS"]).decrypt(found["secret"]) == world.pair.app_secret
    simple = entry(valkey, code_of(world))
    assert simple is not None
    assert (simple["kind"], simple["secret"], simple["grants"]) == ("app_code", "", found["grants"])


def test_the_snapshot_holds_the_live_deployments_in_the_shape_that_gateways_load(world: World, valkey: Any) -> None:
    snapshot = json.loads(valkey.get("tg:snapshot"))
    assert int(valkey.get("tg:snapshot:version")) == snapshot["version"]
    (api,) = [ApiDefinition.from_dict(item) for item in snapshot["apis"]]
    assert (api.api_id, api.stage, api.base_path) == (str(world.api.id), "release", "/shop")
    build = snapshot_build_latest()
    assert build is not None
    assert (build.version, build.checksum, build.api_count) == (snapshot["version"], snapshot["checksum"], 1)


def test_publishing_the_same_snapshot_again_changes_nothing(world: World, valkey: Any) -> None:
    version = valkey.get("tg:snapshot:version")
    assert snapshot_publish() is None
    assert valkey.get("tg:snapshot:version") == version


def test_a_revoked_credential_is_gone_and_its_sibling_stays(world: World, valkey: Any) -> None:
    listener = valkey.pubsub(ignore_subscribe_messages=True)
    listener.subscribe("tg:invalidate")
    listener.get_message(timeout=1)
    credential_revoke(credential=world.pair.credential, person=world.bob)
    assert entry(valkey, key_of(world)) is None
    assert entry(valkey, code_of(world)) is not None
    assert listener.get_message(timeout=1)["data"] == f"app:{world.app.id}".encode()
    listener.close()


def test_rotation_publishes_both_pairs_and_the_end_of_the_old_one(world: World, valkey: Any) -> None:
    issued = credential_rotate(credential=world.pair.credential, person=world.bob, grace_s=3600)
    old = entry(valkey, key_of(world))
    new = entry(valkey, f"tg:dir:key:{issued.app_key}")
    assert old is not None
    assert new is not None
    assert 3500 < old["expires_at"] - timezone.now().timestamp() <= 3600
    assert new["expires_at"] is None


def test_a_suspended_app_or_organization_is_marked_and_a_deleted_app_is_gone(world: World, valkey: Any) -> None:
    app_suspend(app=world.app, person=world.bob)
    assert entry(valkey, key_of(world))["suspended"] is True  # type: ignore[index]
    app_suspend(app=world.app, person=world.bob, is_suspended=False)
    organization_suspend(organization=world.consumer, person=world.alice)
    assert entry(valkey, key_of(world))["suspended"] is True  # type: ignore[index]
    app_delete(app=world.app, person=world.bob)
    assert entry(valkey, key_of(world)) is None
    assert entry(valkey, code_of(world)) is None


def test_a_revoked_grant_leaves_the_entry_while_an_ended_one_stays_with_its_end(world: World, valkey: Any) -> None:
    grant_revoke(grant=world.app.grants.get())
    now = timezone.now()
    ended = grant_issue(
        app=world.app,
        api=world.api,
        stage="test",
        limits=Limits(),
        starts_at=now - timedelta(days=2),
        ends_at=now - timedelta(days=1),
    )
    found = entry(valkey, key_of(world))
    assert [(g["id"], g["ends_at"]) for g in found["grants"]] == [(str(ended.id), ended.ends_at.timestamp())]  # type: ignore[index, union-attr]


def test_withdrawn_and_suspended_apis_leave_the_snapshot(world: World, valkey: Any) -> None:
    api_suspend(api=world.api, person=world.alice)
    assert json.loads(valkey.get("tg:snapshot"))["apis"] == []
    api_suspend(api=world.api, person=world.alice, is_suspended=False)
    for is_suspended, served in ((True, 0), (False, 1)):
        organization_suspend(organization=world.provider, person=world.alice, is_suspended=is_suspended)
        assert len(json.loads(valkey.get("tg:snapshot"))["apis"]) == served
    assert len(json.loads(valkey.get("tg:snapshot"))["apis"]) == 1
    deployment_withdraw(stage=world.api.stages.get(name="release"), person=world.alice)
    assert json.loads(valkey.get("tg:snapshot"))["apis"] == []


def test_an_older_copy_of_an_app_never_overwrites_a_newer_one(world: World, valkey: Any, monkeypatch: Any) -> None:
    """A publisher that read before a revocation and writes after it must not bring the key back."""
    slow = {"revision": store.revision_next(), "rows": directory.app_entries_list([world.app.id], now=timezone.now())}
    credential_revoke(credential=world.pair.credential, person=world.bob)
    monkeypatch.setattr(directory, "revision_next", lambda: slow["revision"])
    monkeypatch.setattr(directory, "app_entries_list", lambda ids, now: slow["rows"])
    assert directory.app_publish(app_id=world.app.id) is False
    assert entry(valkey, key_of(world)) is None


def test_an_older_snapshot_never_overwrites_a_newer_one(world: World, valkey: Any, monkeypatch: Any) -> None:
    old = store.revision_next()
    deployment_withdraw(stage=world.api.stages.get(name="release"), person=world.alice)
    newest = valkey.get("tg:snapshot")
    monkeypatch.setattr("gateway.services.snapshot.revision_next", lambda: old)
    monkeypatch.setattr("gateway.services.snapshot.live_definitions_list", lambda: [{"old": True}])
    assert snapshot_publish() is None
    assert valkey.get("tg:snapshot") == newest


def test_what_could_not_be_published_waits_in_the_outbox_and_goes_out_later(world: World, valkey: Any) -> None:
    away = settings_with_valkey("unix:///nonexistent/valkey.sock?db=0")
    with override_settings(TOLLGATE=away):
        credential_revoke(credential=world.pair.credential, person=world.bob)
        assert entry(valkey, key_of(world)) is not None
        assert Change.objects.filter(published_at=None).count() == 1
        with pytest.raises(StoreUnreachable):
            publish.publish_all()
        with pytest.raises(CommandError, match="does not answer"):
            call_command("publish")
    changes_publish()
    assert entry(valkey, key_of(world)) is None
    assert not Change.objects.filter(published_at=None).exists()


def test_an_emptied_store_is_filled_again_even_after_a_single_change_wrote_to_it(world: World, valkey: Any) -> None:
    publish.publish_all()
    valkey.flushdb()
    grant_revoke(grant=world.app.grants.get())
    snapshot_publish()
    other = credential_issue(app=world.app, kind="key_pair", person=world.bob)
    valkey.delete(f"tg:dir:key:{other.app_key}")
    publish_heal()
    assert entry(valkey, f"tg:dir:key:{other.app_key}") is not None
    assert entry(valkey, key_of(world)) is not None
    assert publish.publish_heal() is None


def test_a_store_that_is_ahead_of_a_restored_database_is_overwritten(world: World, valkey: Any) -> None:
    """After a restore from backup the sequence starts lower than what the store has seen."""
    ahead = store.revision_next() + 1_000_000
    valkey.set("tg:revision", ahead)
    valkey.set("tg:snapshot:version", ahead)
    valkey.set(f"tg:dir:rev:{world.app.id}", ahead)
    valkey.delete(key_of(world))
    rebuilt = publish.publish_all()
    assert rebuilt.version > ahead
    assert entry(valkey, key_of(world)) is not None


def test_a_rebuild_reaches_every_batch_and_sweeps_keys_of_nobody(world: World, valkey: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr(directory, "APPS_PER_BATCH", 1)
    monkeypatch.setattr(directory, "KEYS_PER_BATCH", 1)
    from marketplace.services.access import app_create

    others = [app_create(organization=world.consumer, name=f"App {n}", person=world.bob) for n in range(3)]
    keys = [credential_issue(app=app, kind="key_pair", person=world.bob).app_key for app in others]
    valkey.flushdb()
    valkey.set("tg:dir:key:of-nobody", "{}")
    valkey.set("tg:dir:code:" + "0" * 64, "{}")
    rebuilt = publish.publish_all()
    assert (rebuilt.apps, rebuilt.swept) == (4, 2)
    assert all(entry(valkey, f"tg:dir:key:{key}") for key in keys)
    assert not valkey.exists("tg:dir:key:of-nobody")


def test_expired_credentials_are_swept(world: World, valkey: Any) -> None:
    Credential.objects.filter(id=world.pair.credential.id).update(expires_at=timezone.now() - timedelta(seconds=1))
    directory_sweep()
    assert entry(valkey, key_of(world)) is None
    assert entry(valkey, code_of(world)) is not None


def test_the_command_rebuilds_and_if_missing_leaves_a_full_store_alone(world: World, capsys: Any) -> None:
    call_command("publish")
    assert "1 apps published" in capsys.readouterr().out
    call_command("publish", "--if-missing")
    assert "Nothing to do" in capsys.readouterr().out


def test_old_builds_are_forgotten_beyond_the_number_kept(world: World, monkeypatch: Any) -> None:
    monkeypatch.setattr("gateway.services.snapshot.BUILDS_KEPT", 2)
    stage = world.api.stages.get(name="release")
    first = stage.live_deployment
    for _ in range(3):
        deployment_withdraw(stage=stage, person=world.alice)
        stage.live_deployment = first
        stage.save()
        snapshot_publish()
    assert SnapshotBuild.objects.count() <= 3


def test_secrets_move_to_the_new_key_and_the_directory_follows(world: World, valkey: Any, capsys: Any) -> None:
    with override_settings(TOLLGATE=settings_with_keys(new_first=True)):
        call_command("rotate_secrets")
        assert "1 secrets re-encrypted" in capsys.readouterr().out
    stored = Credential.objects.get(id=world.pair.credential.id).secret_encrypted
    assert stored.startswith("new:")
    assert entry(valkey, key_of(world))["secret"] == stored  # type: ignore[index]
    with override_settings(TOLLGATE=settings_with_keys(new_first=False)), pytest.raises(CommandError) as refused:
        call_command("rotate_secrets")
    assert world.pair.credential.public_id in str(refused.value)
    assert world.pair.app_secret not in str(refused.value)


def settings_with_valkey(url: str) -> Any:
    """The settings with another Valkey."""
    from dataclasses import replace

    from django.conf import settings

    return replace(settings.TOLLGATE, valkey_url=url)


def settings_with_keys(*, new_first: bool) -> Any:
    """The settings after a new key was put in front, or with only the old key left."""
    from dataclasses import replace

    from django.conf import settings

    old = settings.TOLLGATE.secret_keys
    new = ("new", "bmV3LWtleS1uZXcta2V5LW5ldy1rZXktbmV3LWtleS0=")
    return replace(settings.TOLLGATE, secret_keys=(new, *old) if new_first else old)
