"""The three people of the marketplace's tests: Alice provides, Bob consumes, Charlie must see nothing."""

from dataclasses import dataclass
from pathlib import Path

from django.utils import timezone

from marketplace.contracts.limits import Limits
from marketplace.models import Api, App, Grant, Organization, Person
from marketplace.services import access, accounts, catalog

DATA = Path(__file__).parent.parent / "data" / "openapi"


@dataclass(frozen=True)
class Party:
    """A person and the organization that they own."""

    person: Person
    organization: Organization


def party_make(name: str, *, is_provider: bool = False) -> Party:
    """Create a person with an organization of their own."""
    person = accounts.person_create(email=f"{name.lower()}@example.com", name=name)
    organization = accounts.organization_create(name=f"{name}'s house", person=person, is_provider=is_provider)
    return Party(person, organization)


def alice_make() -> Party:
    """Alice, who provides."""
    return party_make("Alice", is_provider=True)


def bob_make() -> Party:
    """Bob, who consumes."""
    return party_make("Bob")


def charlie_make() -> Party:
    """Charlie, a stranger."""
    return party_make("Charlie")


def petstore_text() -> str:
    """The petstore document (OpenAPI 3.0, YAML)."""
    return (DATA / "petstore-3.0.yaml").read_text()


def api_make(alice: Party, *, base_path: str = "/petstore", name: str = "Petstore", is_live: bool = True) -> Api:
    """An Api of Alice's from the petstore document, live on release unless told otherwise."""
    api = catalog.api_create(provider=alice.organization, name=name, base_path=base_path, person=alice.person)
    catalog.api_import_openapi(api=api, text=petstore_text(), person=alice.person)
    catalog.stage_upstream_set(api=api, stage="release", url="http://127.0.0.1:9000", person=alice.person)
    if is_live:
        catalog.deployment_publish(api=api, stage="release", person=alice.person)
    api.refresh_from_db()
    return api


def app_make(bob: Party, *, name: str = "Bob's robot") -> App:
    """An app of Bob's without credentials."""
    return access.app_create(organization=bob.organization, name=name, person=bob.person)


def grant_make(app: App, api: Api, *, limits: Limits | None = None) -> Grant:
    """A grant from now on."""
    return access.grant_issue(app=app, api=api, stage="release", limits=limits or Limits(), starts_at=timezone.now())
