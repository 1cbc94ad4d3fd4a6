"""The three people of the tests can really log in."""

import pytest
from django.test import Client

from tests import people


@pytest.mark.django_db
def test_alice_bob_and_charlie_are_strangers_to_each_other(client: Client) -> None:
    alice, bob, charlie = people.alice(), people.bob(), people.charlie()
    assert alice.organization.is_provider
    owners = {party.organization.memberships.get().person for party in (alice, bob, charlie)}
    assert owners == {alice.person, bob.person, charlie.person}


@pytest.mark.django_db
def test_a_verified_person_logs_in_by_e_mail(client: Client) -> None:
    bob = people.bob()
    answer = client.post("/accounts/login/", {"login": bob.person.email, "password": people.PASSWORD})
    assert answer.status_code == 302
    assert client.session["_auth_user_id"] == str(bob.person.pk)
