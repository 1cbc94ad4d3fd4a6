"""People, organizations, roles, invitations by e-mail, sign-up."""

import re
from datetime import timedelta
from uuid import uuid4

import pytest
import time_machine
from django.core import mail
from django.utils import timezone

from marketplace import tasks
from marketplace.core import permissions
from marketplace.errors import Conflict, Gone, InvalidInput, NameTaken, NotFound, NotPermitted
from marketplace.models import AccessToken, Change, Invitation, Membership, Organization, Person
from marketplace.selectors import accounts as people_shown
from marketplace.services import access_tokens, accounts, invitations
from tests.marketplace import people

pytestmark = pytest.mark.django_db


def test_whoever_creates_an_organization_owns_it(bob: people.Party) -> None:
    assert people_shown.role_get(person=bob.person, organization=bob.organization) == "owner"


def test_an_address_has_one_account_in_any_case(bob: people.Party) -> None:
    with pytest.raises(NameTaken):
        accounts.person_create(email="BOB@example.com")


def test_a_weak_password_is_refused_with_the_reason(db: None) -> None:
    with pytest.raises(InvalidInput) as refusal:
        accounts.person_create(email="dora@example.com", password="short")
    assert {fault.pointer for fault in refusal.value.faults} == {"/password"}


def test_an_organization_keeps_its_last_owner(bob: people.Party, charlie: people.Party) -> None:
    own = bob.organization.memberships.get()
    with pytest.raises(Conflict, match="one owner"):
        accounts.member_remove(membership=own, person=bob.person)
    with pytest.raises(Conflict, match="one owner"):
        accounts.member_role_set(membership=own, role="viewer", person=bob.person)
    second = accounts.member_add(organization=bob.organization, person=charlie.person, role="owner")
    accounts.member_role_set(membership=own, role="viewer", person=bob.person)
    with pytest.raises(Conflict):
        accounts.member_remove(membership=second, person=charlie.person)


def test_removing_a_member_ends_their_tokens_of_the_organization(bob: people.Party, charlie: people.Party) -> None:
    membership = accounts.member_add(organization=bob.organization, person=charlie.person, role="developer")
    for organization in (bob.organization, None):
        access_tokens.access_token_issue(
            person=charlie.person, name="t", scopes=["apps:read"], organization=organization
        )
    accounts.member_remove(membership=membership, person=bob.person)
    assert [token.organization for token in AccessToken.objects.all()] == [None]


def test_unknown_zones_languages_and_fields_are_refused(bob: people.Party) -> None:
    for fields in ({"time_zone": "Mars/Base"}, {"language": "tlh"}, {"is_suspended": False}, {"billing_email": "x"}):
        with pytest.raises(InvalidInput) as refusal:
            accounts.organization_update(organization=bob.organization, person=bob.person, **fields)
        assert refusal.value.faults[0].pointer == f"/{next(iter(fields))}"
    with pytest.raises(InvalidInput, match="both"):
        accounts.organization_update(
            organization=bob.organization, person=bob.person, is_provider=False, is_consumer=False
        )
    with pytest.raises(InvalidInput):
        accounts.person_update(person=bob.person, is_staff=True)
    assert accounts.person_update(person=bob.person, language="zh-hans").language == "zh-hans"


def invited(alice: people.Party, email: str = "bob@example.com", role: str = "developer") -> tuple[Invitation, str]:
    """An invitation and the random part of the link in its mail."""
    invitation = invitations.member_invite(organization=alice.organization, email=email, role=role, person=alice.person)
    tasks.invitation_mail(str(invitation.id))
    found = re.search(r"/invitations/([^/\s]+)/", mail.outbox[-1].body)
    assert found is not None
    return invitation, found[1]


def test_an_invited_person_becomes_a_member_by_the_link_in_the_mail(alice: people.Party, bob: people.Party) -> None:
    _, token = invited(alice)
    message = mail.outbox[-1]
    assert message.to == ["bob@example.com"] and "Alice" in message.body and "Developer" in message.body
    membership = invitations.invitation_accept(token=token, person=bob.person)
    assert (membership.organization, membership.role) == (alice.organization, "developer")
    with pytest.raises(Conflict):
        invitations.invitation_accept(token=token, person=bob.person)


def test_only_the_hash_of_the_link_is_kept(alice: people.Party) -> None:
    invitation, token = invited(alice)
    invitation.refresh_from_db()
    assert len(invitation.token_hash) == 32 and token.encode() not in bytes(invitation.token_hash)


def test_a_link_works_for_its_address_only(alice: people.Party, charlie: people.Party) -> None:
    _, token = invited(alice)
    with pytest.raises(Conflict, match="another"):
        invitations.invitation_accept(token=token, person=charlie.person)


def test_expired_withdrawn_and_invented_links_are_refused(alice: people.Party, bob: people.Party) -> None:
    invitation, token = invited(alice)
    with time_machine.travel(timezone.now() + timedelta(days=8)), pytest.raises(Gone):
        invitations.invitation_accept(token=token, person=bob.person)
    invitations.invitation_withdraw(invitation=invitation, person=alice.person)
    with pytest.raises(Gone):
        invitations.invitation_accept(token=token, person=bob.person)
    for bad in ("", "x" * 5000, "\ud800"):
        with pytest.raises(NotFound):
            invitations.invitation_accept(token=bad, person=bob.person)


def test_inviting_again_replaces_the_open_offer(alice: people.Party, bob: people.Party) -> None:
    _, first = invited(alice, role="viewer")
    _, second = invited(alice, role="owner")
    with pytest.raises(Gone):
        invitations.invitation_accept(token=first, person=bob.person)
    assert invitations.invitation_accept(token=second, person=bob.person).role == "owner"


def test_a_mail_that_was_never_sent_is_found_by_the_sweep(alice: people.Party) -> None:
    invitation = invitations.member_invite(
        organization=alice.organization, email="x@example.com", role="viewer", person=alice.person
    )
    later = timezone.now() + timedelta(hours=1)
    assert list(people_shown.invitations_unsent(older_than=later)) == [invitation]
    tasks.invitation_mail(str(invitation.id))
    assert not people_shown.invitations_unsent(older_than=later)
    sent = len(mail.outbox)
    tasks.invitation_mail(str(invitation.id))
    assert len(mail.outbox) == sent


def test_the_mail_speaks_the_language_of_its_reader(alice: people.Party, bob: people.Party) -> None:
    accounts.person_update(person=bob.person, language="zh-hans")
    invited(alice)
    assert 'lang="zh-hans"' in mail.outbox[-1].alternatives[0][0]


def test_a_stranger_gets_not_found_and_a_viewer_not_permitted(bob: people.Party, charlie: people.Party) -> None:
    with pytest.raises(NotFound):
        people_shown.organization_get(person=charlie.person, public_id=bob.organization.public_id)
    accounts.member_add(organization=bob.organization, person=charlie.person, role="viewer")
    found = people_shown.organization_get(person=charlie.person, public_id=bob.organization.slug)
    assert found == bob.organization
    with pytest.raises(NotPermitted):
        people_shown.organization_get(
            person=charlie.person, public_id=bob.organization.public_id, action="organization.update"
        )


def test_an_operator_looks_at_everything_and_changes_nothing(bob: people.Party, db: None) -> None:
    operator = accounts.person_create(email="op@example.com", is_platform_operator=True)
    people_shown.organization_get(person=operator, public_id=bob.organization.public_id)
    with pytest.raises(NotPermitted):
        people_shown.organization_get(
            person=operator, public_id=bob.organization.public_id, action="organization.update"
        )


@pytest.mark.parametrize("role", ["owner", "developer", "finance", "viewer"])
def test_every_role_may_look_and_only_owners_manage_members(role: str) -> None:
    assert all(
        permissions.role_permits(role, action)
        for action in permissions.ACTIONS
        if action.endswith(".view") and action not in ("billing.view", "invoice.view")
    )
    assert permissions.role_permits(role, "billing.view") == (role != "viewer")
    assert permissions.role_permits(role, "invoice.view") == (role in ("owner", "finance"))
    assert permissions.role_permits(role, "member.manage") == (role == "owner")
    assert permissions.role_permits(role, "billing.manage") == (role in ("owner", "finance"))


def test_signing_up_creates_an_organization_silently(client, db: None) -> None:
    answer = client.post(
        "/accounts/signup/",
        {"email": "erin@example.com", "password1": "correct-horse-7-battery"},
        HTTP_ACCEPT_LANGUAGE="zh-hans",
    )
    assert answer.status_code == 302, answer.content.decode()[:2000]
    person = Person.objects.get(email="erin@example.com")
    organization = Organization.objects.get(memberships__person=person)
    assert "erin" in organization.name
    assert Membership.objects.get(person=person).role == "owner"
    assert person.language == "zh-hans"
    assert mail.outbox[-1].to == ["erin@example.com"]


def test_the_sign_up_door_has_a_limit(client, db: None) -> None:
    codes = [
        client.post("/accounts/signup/", {"email": "not-an-address", "password1": "x"}).status_code for _ in range(21)
    ]
    assert codes[0] == 200 and codes[-1] == 429


def test_the_login_door_has_a_limit(client, bob: people.Party) -> None:
    attempt = {"login": "bob@example.com", "password": "wrong"}
    codes = [client.post("/accounts/login/", attempt).status_code for _ in range(31)]
    assert codes[0] == 200 and codes[-1] == 429


def test_a_mail_waits_for_its_next_try_less_than_the_queue_waits_for_its_worker() -> None:
    from config.queue import VISIBILITY_TIMEOUT_S

    assert tasks.MAIL_RETRY_S * 2 ** (tasks.MAIL_RETRIES_MAX - 1) < VISIBILITY_TIMEOUT_S


def test_only_a_new_name_is_told_to_the_gateways(bob: people.Party) -> None:
    people.app_make(bob)
    before = Change.objects.count()
    accounts.organization_update(organization=bob.organization, person=bob.person, address="Elsewhere 1")
    assert Change.objects.count() == before
    accounts.organization_update(organization=bob.organization, person=bob.person, name="Another house")
    assert Change.objects.count() == before + 1


def test_whatever_has_ended_is_forgotten_in_as_many_batches_as_it_takes(db: None) -> None:
    old = timezone.now() - timedelta(days=8)
    Change.objects.bulk_create(Change(kind="app", subject_id=uuid4(), published_at=old) for _ in range(10_001))
    waiting = Change.objects.create(kind="app", subject_id=uuid4())
    tasks.ended_forget()
    assert list(Change.objects.all()) == [waiting]
