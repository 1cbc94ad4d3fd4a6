"""Endpoints of subscriptions: start, change, cancel, resume; and what the current period used and costs so far."""

from typing import Any

from django.utils import timezone
from rest_framework.request import Request
from rest_framework.response import Response

from billing.api.shapes import PlanChoiceIn, SubscriptionIn, SubscriptionOut, SubscriptionUsageOut
from billing.core.money import decimal_show
from billing.models import Subscription
from billing.selectors import subscriptions as shown
from billing.selectors.invoices import money_show
from billing.selectors.overviews import SubscriptionOverview, subscription_overview
from billing.selectors.permits import plan_find, subscribe_action, subscription_find
from billing.services import plan_changes, subscriptions
from marketplace.api.base import Endpoint, Nothing, Paged, operation
from marketplace.models import App
from marketplace.selectors.accounts import entity_find, organization_get
from marketplace.selectors.paging import page_take


def usage_show(overview: SubscriptionOverview) -> dict[str, Any]:
    """Return an overview as the API shows it."""
    currency = overview.subscription.plan.currency
    quota = overview.quota
    body = {
        "period_start": overview.period.start,
        "period_end": overview.period.end,
        "quota": quota
        and {
            "units": quota.limit.units,
            "window": quota.limit.window,
            "hard": quota.limit.hard,
            "used": quota.used,
            "left": quota.left,
            "resets_at": quota.resets_at,
        },
        "meters": [
            {
                "meter": use.meter.public_id,
                "name": use.meter.name,
                "units": use.units,
                "projected_units": use.projected_units,
            }
            for use in overview.meters
        ],
        "lines": [
            {
                "description": line.description,
                "quantity": decimal_show(line.rated.quantity),
                "amount": money_show(line.rated.amount_minor, currency),
                "explanation": line.rated.explanation,
            }
            for line in overview.lines
        ],
        "spent": money_show(overview.spent_minor, currency),
        "projected": money_show(overview.projected_minor, currency),
    }
    return dict(SubscriptionUsageOut(body).data)


class OrganizationSubscriptions(Endpoint):
    """The subscriptions of an organization."""

    @operation(
        "List an organization's subscriptions", scope="billing:read", query=Paged, answer=SubscriptionOut, many=True
    )
    def get(self, request: Request, organization: str) -> Response:
        """Ended ones too."""
        found = organization_get(person=self.person, public_id=organization, action="billing.view", within=self.within)
        rows = shown.subscription_list(organization=found).select_related("organization")
        return self.page_response(page_take(rows, bound={"of": organization}, **self.query), SubscriptionOut)

    @operation(
        "Subscribe an app to a plan",
        scope="billing:write",
        body=SubscriptionIn,
        answer=SubscriptionOut,
        status=201,
        creates=True,
    )
    def post(self, request: Request, organization: str) -> Response:
        """The app may call within the plan's limits at once."""
        plan = plan_find(person=self.person, public_id=self.body["plan"])
        found = organization_get(
            person=self.person, public_id=organization, action=subscribe_action(plan), within=self.within
        )
        app = entity_find(App, found.apps.all(), self.body["app"])
        subscription = subscriptions.subscription_start(
            organization=found,
            plan=plan,
            app=app,
            stage=self.body["stage"],
            person=self.person,
            now=timezone.now(),
        )
        return self.entity_response(SubscriptionOut(subscription).data, status=201)


class SubscriptionEndpoint(Endpoint):
    """Finds the subscription of the address."""

    def managed(self, public_id: str) -> Subscription:
        """One that the caller may change: whoever could subscribe to its plan. Raises NotFound, NotPermitted."""
        seen = subscription_find(person=self.person, public_id=public_id, within=self.within)
        action = subscribe_action(seen.plan)
        return subscription_find(person=self.person, public_id=public_id, action=action, within=self.within)

    def shown(self, subscription: Subscription) -> Response:
        """The subscription as it is now."""
        fresh = Subscription.objects.select_related("organization", "plan", "next_plan", "api", "app").get(
            id=subscription.id
        )
        return self.entity_response(SubscriptionOut(fresh).data)


class SubscriptionOne(SubscriptionEndpoint):
    """One subscription."""

    @operation("Show a subscription", scope="billing:read", answer=SubscriptionOut, has_etag=True)
    def get(self, request: Request, subscription: str) -> Response:
        """Plan, period, end."""
        return self.shown(subscription_find(person=self.person, public_id=subscription, within=self.within))


class SubscriptionChangePlan(SubscriptionEndpoint):
    """A change of plan."""

    @operation("Change the plan", scope="billing:write", body=PlanChoiceIn, answer=SubscriptionOut, creates=True)
    def post(self, request: Request, subscription: str) -> Response:
        """From the next whole UTC hour (``next_plan_at``), at once if that can only be dearer; to its own plan: stays."""
        plan = plan_find(person=self.person, public_id=self.body["plan"])
        found = self.managed(subscription)
        action = subscribe_action(plan)
        subscription_find(person=self.person, public_id=subscription, action=action, within=self.within)
        plan_changes.subscription_change(subscription=found, plan=plan, person=self.person, now=timezone.now())
        return self.shown(found)


class SubscriptionCancel(SubscriptionEndpoint):
    """The end of a subscription."""

    @operation(
        "Cancel at the end of the period", scope="billing:write", body=Nothing, answer=SubscriptionOut, creates=True
    )
    def post(self, request: Request, subscription: str) -> Response:
        """Until then everything goes on."""
        found = self.managed(subscription)
        subscriptions.subscription_cancel(subscription=found, person=self.person, now=timezone.now())
        return self.shown(found)


class SubscriptionResume(SubscriptionEndpoint):
    """A cancellation withdrawn."""

    @operation("Withdraw a cancellation", scope="billing:write", body=Nothing, answer=SubscriptionOut, creates=True)
    def post(self, request: Request, subscription: str) -> Response:
        """Possible until the period ends."""
        found = self.managed(subscription)
        subscriptions.subscription_resume(subscription=found, person=self.person, now=timezone.now())
        return self.shown(found)


class SubscriptionUsage(SubscriptionEndpoint):
    """Usage and spend of the current period."""

    @operation("Show usage and spend so far", scope="billing:read", answer=SubscriptionUsageOut)
    def get(self, request: Request, subscription: str) -> Response:
        """Rated by the code that makes the invoice."""
        found = subscription_find(person=self.person, public_id=subscription, within=self.within)
        return Response(usage_show(subscription_overview(subscription=found, now=timezone.now())))
