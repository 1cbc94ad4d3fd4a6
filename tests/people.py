"""Alice provides an API, Bob consumes it, Charlie must see nothing. Made by the real services, one organization each."""

from dataclasses import dataclass

from django.test import Client

from marketplace.models import Organization, Person
from marketplace.services.accounts import organization_create, person_create, person_email_verify

PASSWORD = "correct horse battery"


@dataclass(frozen=True)
class Party:
    """A person and the organization they own."""

    person: Person
    organization: Organization


def alice() -> Party:
    """A provider."""
    return _party("alice", "Alice Weather", is_provider=True)


def bob() -> Party:
    """A consumer."""
    return _party("bob", "Bob Travel")


def charlie() -> Party:
    """A stranger: an owner of an organization that has nothing to do with anybody."""
    return _party("charlie", "Charlie Strangers")


def finance() -> Person:
    """The platform's finance."""
    return _person("finance", is_platform_finance=True)


def operator() -> Person:
    """The platform's operator."""
    return _person("operator", is_platform_operator=True, is_staff=True)


def client_of(person: Person) -> Client:
    """A client that is logged in as a person."""
    client = Client()
    client.force_login(person)
    return client


def _party(name: str, organization: str, *, is_provider: bool = False) -> Party:
    person = _person(name)
    return Party(person, organization_create(name=organization, person=person, is_provider=is_provider))


def _person(name: str, **roles: bool) -> Person:
    person = person_create(email=f"{name}@tests.tollgate.example", password=PASSWORD, name=name.title(), **roles)
    person_email_verify(person=person)
    return person
