"""Loads the demo once: four people, a provider with three APIs (one in Chinese) and plans, a consumer with an app that may call.

No ORM writes here.
"""

import json
import secrets
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from billing.models import Plan
from billing.services.plans import PriceDraft, commission_rate_set, plan_create, plan_publish
from billing.services.subscriptions import subscription_start
from marketplace.contracts.limits import Limits, QuotaLimit, RateLimit
from marketplace.models import Api, App, Organization, Person
from marketplace.services.access import app_create, credential_issue
from marketplace.services.accounts import organization_create, organization_update, person_create, person_email_verify
from marketplace.services.catalog import api_create, stage_upstream_set
from marketplace.services.deployments import deployment_publish
from marketplace.services.imports import api_import_openapi

FOLDER = Path(__file__).resolve().parent
DOMAIN = "demo.tollgate.example"
STAGES = ("test", "release")
COMMISSION = Decimal("0.15")
PASSWORD_BYTES = 9

PEOPLE: dict[str, dict[str, Any]] = {
    "provider": {"name": "Alice Cirrus"},
    "consumer": {"name": "Bob Bluebird"},
    "finance": {"name": "Fiona Finance", "is_platform_finance": True},
    "operator": {"name": "Oscar Operator", "is_platform_operator": True, "is_staff": True, "is_superuser": True},
}


@dataclass(frozen=True)
class ApiOffer:
    """An API of the demo; its category is one that the listing's form offers."""

    name: str
    base_path: str
    document: str
    summary: str
    category: str


APIS = (
    ApiOffer("Weather", "/weather", "weather.yaml", "Current weather and forecasts", "Weather"),
    ApiOffer("城市天气", "/tianqi", "tianqi.yaml", "全国城市的实时天气与天气预报", "Weather"),
    ApiOffer("Workshop", "/workshop", "workshop.yaml", "See your requests echoed", "Developer tools"),
)


@dataclass(frozen=True)
class PlanOffer:
    """A plan of the demo, without its API."""

    name: str
    summary: str
    limits: Limits
    prices: tuple[PriceDraft, ...] = ()


FREE = PlanOffer(
    name="Free",
    summary="100 calls a day, at no cost. Calls beyond them are refused until midnight.",
    limits=Limits(rates=(RateLimit(calls=10, period_s=1),), quota=QuotaLimit(units=100, window="day")),
)
STANDARD = PlanOffer(
    name="Standard",
    summary="10,000 calls a month included; the more beyond them, the cheaper.",
    limits=Limits(rates=(RateLimit(calls=100, period_s=1, burst=200),)),
    prices=(
        PriceDraft("Monthly fee", {"kind": "flat", "unit_amount": "29"}),
        PriceDraft(
            "Calls",
            {
                "kind": "included",
                "included_units": 10_000,
                "tiers": [
                    {"up_to": 100_000, "unit_amount": "0.0025"},
                    {"up_to": 1_000_000, "unit_amount": "0.0018"},
                    {"up_to": None, "unit_amount": "0.0009"},
                ],
            },
        ),
    ),
)


def demo_path() -> Path:
    """Where the demo's credentials are kept, readable by their owner only."""
    return Path(settings.TOLLGATE.var) / "demo.json"


def demo_is_loaded() -> bool:
    """Whether both the database and the file hold the demo."""
    return demo_path().exists() and Person.objects.filter(email=_email("provider")).exists()


def demo_load(*, upstream_url: str) -> None:
    """Make the demo in one transaction, and write its credentials to ``demo_path``."""
    try:
        with transaction.atomic():
            _file_write(_demo_make(upstream_url))
    except BaseException:
        demo_path().unlink(missing_ok=True)
        raise


def _demo_make(upstream_url: str) -> dict[str, Any]:
    passwords = {role: secrets.token_urlsafe(PASSWORD_BYTES) for role in PEOPLE}
    people = {role: _person_make(role, passwords[role]) for role in PEOPLE}
    commission_rate_set(rate=COMMISSION, effective_on=date(timezone.now().year, 1, 1), person=people["operator"])
    provider = _organization_make("Cirrus Weather", people["provider"], is_provider=True)
    consumer = _organization_make("Bluebird Travel", people["consumer"], is_provider=False)
    weather, tianqi, workshop = (_api_make(provider, offer, upstream_url) for offer in APIS)
    plans = {
        (api.slug, offer.name): _plan_make(api, offer)
        for api in (weather, tianqi, workshop)
        for offer in (FREE, STANDARD)
    }
    app = app_create(organization=consumer, name="Trip planner", person=people["consumer"])
    _subscribe(consumer, app, plans[weather.slug, STANDARD.name], people["consumer"])
    _subscribe(consumer, app, plans[workshop.slug, FREE.name], people["consumer"])
    pair = credential_issue(app=app, kind="key_pair", person=people["consumer"])
    code = credential_issue(app=app, kind="app_code", person=people["consumer"])
    return {
        "people": {role: {"email": people[role].email, "password": passwords[role]} for role in PEOPLE},
        "consumer_app": {"app_key": pair.app_key, "app_secret": pair.app_secret, "app_code": code.app_code},
        "api": {
            "base_path": weather.base_path,
            "stage": "release",
            "operations": [
                {"method": operation.method, "path": operation.path_template}
                for operation in weather.operations.order_by("position")
            ],
        },
    }


def _person_make(role: str, password: str) -> Person:
    person = person_create(email=_email(role), password=password, **PEOPLE[role])
    person_email_verify(person=person)
    return person


def _organization_make(name: str, owner: Person, *, is_provider: bool) -> Organization:
    organization = organization_create(name=name, person=owner, is_provider=is_provider)
    address = "1 Cloud Street\n1017 Amsterdam" if is_provider else "7 Feather Lane\n310000 Hangzhou"
    country = "NL" if is_provider else "CN"
    return organization_update(
        organization=organization,
        person=owner,
        legal_name=f"{name} Ltd",
        address=address,
        country=country,
        billing_email=owner.email,
    )


def _api_make(provider: Organization, offer: ApiOffer, upstream_url: str) -> Api:
    api = api_create(
        provider=provider,
        name=offer.name,
        base_path=offer.base_path,
        person=None,
        summary=offer.summary,
        category=offer.category,
    )
    api_import_openapi(api=api, text=(FOLDER / offer.document).read_text(encoding="utf-8"), person=None)
    for stage in STAGES:
        stage_upstream_set(api=api, stage=stage, url=upstream_url, person=None)
        deployment_publish(api=api, stage=stage, person=None, note="demo")
    return api


def _plan_make(api: Api, offer: PlanOffer) -> Plan:
    plan = plan_create(
        api=api,
        name=offer.name,
        currency="EUR",
        person=None,
        prices=offer.prices,
        summary=offer.summary,
        limits=offer.limits,
    )
    return plan_publish(plan=plan, person=None, now=timezone.now())


def _subscribe(organization: Organization, app: App, plan: Plan, person: Person) -> None:
    subscription_start(organization=organization, plan=plan, app=app, person=person, now=timezone.now())


def _email(role: str) -> str:
    return f"{role}@{DOMAIN}"


def _file_write(demo: dict[str, Any]) -> None:
    path = demo_path()
    part = path.with_suffix(".part")
    part.unlink(missing_ok=True)
    part.touch(mode=0o600)
    part.write_text(json.dumps(demo, indent=2))
    part.replace(path)
