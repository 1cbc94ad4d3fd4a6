"""Make it so: one step from a pricing page to a working subscription, with an app that may not exist yet. All or nothing."""

from datetime import datetime

from django.db import transaction

from billing.models import Plan, Subscription
from billing.services.subscriptions import subscription_start
from marketplace.errors import Fault, InvalidInput, NameTaken
from marketplace.models import App, Organization, Person
from marketplace.services.access import app_create


@transaction.atomic
def subscription_checkout(
    *,
    organization: Organization,
    plan: Plan,
    app: App | None,
    app_name: str,
    stage: str,
    person: Person | None,
    now: datetime,
) -> Subscription:
    """Subscribe ``app``, or a new one called ``app_name`` when it is None. A refused subscription leaves no app behind.

    Raises what ``app_create`` and ``subscription_start`` raise; faults of the app's name point at ``/app_name``.
    """
    if app is None:
        try:
            app = app_create(organization=organization, name=app_name, person=person)
        except (InvalidInput, NameTaken) as problem:
            faults = [Fault("/app_name", fault.detail) for fault in problem.faults]
            raise type(problem)(problem.message, code=problem.code, faults=faults) from problem
    return subscription_start(organization=organization, plan=plan, app=app, person=person, now=now, stage=stage)
