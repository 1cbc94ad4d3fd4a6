"""The people and things of the auth tests: Alice's API, deployed; Bob's app, with credentials and a grant."""

from dataclasses import dataclass, field
from typing import Any

from django.utils import timezone

from marketplace.contracts.limits import Limits
from marketplace.models import Api, App, Operation, Organization, Person
from marketplace.services.access import app_create, grant_issue
from marketplace.services.accounts import organization_create, person_create
from marketplace.services.catalog import api_create, policies_set, stage_upstream_set
from marketplace.services.credentials import IssuedCredential, credential_issue
from marketplace.services.deployments import deployment_publish

OPERATIONS = (("GET", "/{rest+}"), ("POST", "/{rest+}"), ("PUT", "/{rest+}"))


@dataclass
class World:
    """Alice provides ``api`` (base path /shop) on release; Bob's ``app`` may call it, with ``pair`` and ``code``."""

    alice: Person
    bob: Person
    provider: Organization
    consumer: Organization
    api: Api
    app: App
    pair: IssuedCredential
    code: IssuedCredential
    extra: dict[str, Any] = field(default_factory=dict)


def world_make(*, upstream_url: str = "http://127.0.0.1:9", policies: dict[str, Any] | None = None) -> World:
    """Make Alice, Bob, the deployed API and the granted app."""
    alice = person_create(email="alice@example.com", name="Alice")
    bob = person_create(email="bob@example.com", name="Bob")
    provider = organization_create(name="Alice Weather", person=alice, is_provider=True)
    consumer = organization_create(name="Bob Shop", person=bob)
    api = api_create(provider=provider, name="Echo", base_path="/shop", person=alice)
    api_deploy(api, upstream_url=upstream_url, policies=policies, person=alice)
    app = app_create(organization=consumer, name="Bob's app", person=bob)
    pair = credential_issue(app=app, kind="key_pair", person=bob)
    code = credential_issue(app=app, kind="app_code", person=bob)
    grant_issue(app=app, api=api, stage="release", limits=Limits(), starts_at=timezone.now())
    return World(alice, bob, provider, consumer, api, app, pair, code)


def api_deploy(
    api: Api, *, upstream_url: str, person: Person, policies: dict[str, Any] | None = None, stage: str = "release"
) -> None:
    """Give an Api operations that take any path, and deploy it."""
    for position, (method, template) in enumerate(OPERATIONS):
        Operation.objects.get_or_create(
            api=api, method=method, path_template=template, defaults={"name": f"{method} any", "position": position}
        )
    policies_set(api=api, policies=policies or {}, person=person)
    stage_upstream_set(api=api, stage=stage, url=upstream_url, person=person)
    deployment_publish(api=api, stage=stage, person=person)
