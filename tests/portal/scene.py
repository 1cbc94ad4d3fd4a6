"""A small world for the pages: Alice provides two APIs, Bob consumes one of them, Charlie has an organization of his own.

Made through the services, like everything real; only the tallies of past calls are written directly, as the shipper does.
"""

import json
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import uuid4

from django.utils import timezone

PASSWORD = "correct horse battery staple"
DAYS = 30
OUTCOMES = (("succeeded", 1.0), ("client_error", 0.08), ("rejected:T429AP", 0.05), ("upstream_failed", 0.01))


@dataclass(slots=True)
class Scene:
    """Who and what the pages show."""

    alice: Any
    bob: Any
    charlie: Any
    oscar: Any
    nimbus: Any
    bluebird: Any
    stranger: Any
    api: Any
    draft: Any
    app: Any
    empty_app: Any
    credential: Any


def person_make(email: str, name: str, *, with_password: bool = True, **roles: bool) -> Any:
    """A person who can log in at once (with a password only where a browser types it: hashing is slow on purpose)."""
    from marketplace.services.accounts import person_create, person_email_verify

    person = person_create(email=email, password=PASSWORD if with_password else None, name=name, **roles)
    person_email_verify(person=person)
    return person


def scene_make(*, is_light: bool = False) -> Scene:
    """Build the world in the present database. ``is_light``: without passwords and past usage, for tests without a browser."""
    from marketplace.contracts.limits import Limits, QuotaLimit, RateLimit
    from marketplace.services.access import app_create, credential_issue, grant_issue
    from marketplace.services.accounts import member_add, organization_create
    from marketplace.services.catalog import (
        api_create,
        api_import_openapi,
        deployment_publish,
        policies_set,
        stage_upstream_set,
    )
    from marketplace.services.invitations import member_invite
    from marketplace.views.provider import sample_document

    alice = person_make("alice@nimbus.example", "Alice Martin", with_password=not is_light)
    bob = person_make("bob@bluebird.example", "Bob Lindqvist", with_password=not is_light)
    charlie = person_make("charlie@stranger.example", "Charlie Stone", with_password=not is_light)
    oscar = person_make("oscar@tollgate.example", "Oscar Ode", with_password=not is_light, is_platform_operator=True)
    nimbus = organization_create(name="Nimbus Weather", person=alice, is_provider=True)
    bluebird = organization_create(name="Bluebird Travel", person=bob)
    stranger = organization_create(name="Stranger Industries", person=charlie)
    member_add(organization=bluebird, person=alice, role="viewer")
    member_invite(organization=bluebird, email="dora@bluebird.example", role="developer", person=bob)
    api = api_create(
        provider=nimbus,
        person=alice,
        name="Weather",
        base_path="/weather",
        category="Weather",
        summary="Forecasts and observations for every place on Earth, hour by hour, ten days ahead.",
    )
    api_import_openapi(api=api, text=sample_document(), person=alice)
    for stage in ("test", "release"):
        stage_upstream_set(api=api, stage=stage, url="http://127.0.0.1:9000", person=alice)
    rate = {"calls": 1000, "period_s": 60, "burst": 0, "store_down": "allow"}
    policies_set(api=api, policies={"rate_app": rate}, person=alice)
    deployment_publish(api=api, stage="test", person=alice, note="First version")
    deployment_publish(api=api, stage="release", person=alice, note="First version")
    deployment_publish(api=api, stage="release", person=alice, note="Faster forecasts")
    draft = api_create(provider=nimbus, person=alice, name="Tides", base_path="/tides", category="Weather")
    app = app_create(organization=bluebird, name="Trip planner", description="The planner on our site", person=bob)
    empty_app = app_create(organization=bluebird, name="Newsletter", person=bob)
    credential = credential_issue(app=app, kind="key_pair", person=bob).credential
    credential_issue(app=app, kind="app_code", person=bob)
    limits = Limits(
        plan_name="Free", rates=(RateLimit(calls=10, period_s=1),), quota=QuotaLimit(units=100, window="day")
    )
    grant = grant_issue(app=app, api=api, stage="release", limits=limits, starts_at=timezone.now())
    if not is_light:
        usage_make(api=api, app=app, grant=grant)
    return Scene(alice, bob, charlie, oscar, nimbus, bluebird, stranger, api, draft, app, empty_app, credential)


def usage_make(*, api: Any, app: Any, grant: Any) -> None:
    """Tallies of the last thirty days, as one shipped segment."""
    from marketplace.contracts.usage import LATENCY_BUCKETS_MS
    from marketplace.models import UsageSegment, UsageTally

    now = timezone.now()
    hour = now.replace(minute=0, second=0, microsecond=0)
    segment = UsageSegment.objects.create(
        id=uuid4(),
        node="node-1",
        boot=uuid4(),
        sequence=1,
        opened_at=now,
        sealed_at=now,
        events=4242,
        size_bytes=9000,
        sha256="0" * 64,
        evidence="node-1/1.seg.zst",
    )
    rows = []
    for day in range(DAYS):
        base = 40 + (day * 37) % 90
        for at, operation in enumerate(api.operations.all()):
            for outcome, part in OUTCOMES:
                calls = int(base * part / (at + 1))
                histogram = [0] * (len(LATENCY_BUCKETS_MS) + 1)
                histogram[4] = calls
                rows.append(
                    UsageTally(
                        segment=segment,
                        hour=hour - timedelta(days=day),
                        grant_id=grant.id,
                        app_id=app.id,
                        api_id=api.id,
                        operation_id=operation.id,
                        stage="release",
                        outcome=outcome,
                        calls=calls,
                        units=calls if outcome in ("succeeded", "client_error") else 0,
                        request_bytes=calls * 300,
                        response_bytes=calls * 900,
                        latency_ms_sum=calls * 18,
                        latency_histogram=histogram,
                    )
                )
    UsageTally.objects.bulk_create([row for row in rows if row.calls])


def main() -> None:
    """Build the scene in the database of the environment, and print what the browser tests need to know of it."""
    import django

    django.setup()
    from tests.portal.pages import pages_list

    scene = scene_make()
    facts = {
        "pages": pages_list(scene),
        "consumer": scene.bluebird.slug,
        "provider": scene.nimbus.slug,
        "api": scene.api.slug,
        "app": scene.app.public_id,
        "empty_app": scene.empty_app.public_id,
    }
    print(json.dumps(facts))


if __name__ == "__main__":
    main()
