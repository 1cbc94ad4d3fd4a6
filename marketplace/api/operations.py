"""Endpoints of the platform's operators: suspend organizations, APIs and apps, or let them go on, each with a reason."""

from collections.abc import Callable
from typing import Any

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from marketplace.api.apis import ApiOut
from marketplace.api.apps import AppOut
from marketplace.api.base import Endpoint, Strict, operation
from marketplace.api.organizations import OrganizationOut
from marketplace.models import Api, App, Organization
from marketplace.selectors.accounts import entity_find, operator_require
from marketplace.services.access import app_suspend
from marketplace.services.accounts import organization_suspend
from marketplace.services.catalog import api_suspend

REASON_LENGTH_MAX = 300


class SuspendIn(Strict):
    """Why: it is kept in the audit trail."""

    reason = serializers.CharField(max_length=REASON_LENGTH_MAX)


class OperatorEndpoint(Endpoint):
    """For people with the platform's operator role, in person or by their own token. All steps are safe to repeat."""

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Refuse everybody else before anything is looked up."""
        super().initial(request, *args, **kwargs)
        operator_require(person=self.person, within=self.within)

    def turned(self, service: Callable[..., Any], *, is_suspended: bool, **subject: Any) -> Any:
        """Suspend the subject, or let it go on, in this person's name."""
        return service(**subject, person=self.person, is_suspended=is_suspended, reason=self.body["reason"])


class OrganizationTurn(OperatorEndpoint):
    """Shared by suspending and resuming an organization."""

    def turned_one(self, organization: str, *, is_suspended: bool) -> Response:
        """Do it and show the organization."""
        found = entity_find(Organization, Organization.objects.all(), organization)
        changed = self.turned(organization_suspend, organization=found, is_suspended=is_suspended)
        return self.entity_response(OrganizationOut(changed).data)


class OrganizationSuspend(OrganizationTurn):
    @operation(
        "Suspend an organization: its apps' calls stop, its APIs leave every gateway and the catalogue",
        scope="organizations:write",
        body=SuspendIn,
        answer=OrganizationOut,
    )
    def post(self, request: Request, organization: str) -> Response:
        return self.turned_one(organization, is_suspended=True)


class OrganizationResume(OrganizationTurn):
    @operation("Let an organization go on", scope="organizations:write", body=SuspendIn, answer=OrganizationOut)
    def post(self, request: Request, organization: str) -> Response:
        return self.turned_one(organization, is_suspended=False)


class ApiTurn(OperatorEndpoint):
    """Shared by suspending and resuming an API."""

    def turned_one(self, api: str, *, is_suspended: bool) -> Response:
        """Do it and show the API."""
        found = entity_find(Api, Api.objects.select_related("provider"), api)
        changed = self.turned(api_suspend, api=found, is_suspended=is_suspended)
        return self.entity_response(ApiOut(changed).data)


class ApiSuspend(ApiTurn):
    @operation(
        "Suspend an API: off every gateway and out of the catalogue",
        scope="apis:write",
        body=SuspendIn,
        answer=ApiOut,
    )
    def post(self, request: Request, api: str) -> Response:
        return self.turned_one(api, is_suspended=True)


class ApiResume(ApiTurn):
    @operation("Let an API go on", scope="apis:write", body=SuspendIn, answer=ApiOut)
    def post(self, request: Request, api: str) -> Response:
        return self.turned_one(api, is_suspended=False)


class AppTurn(OperatorEndpoint):
    """Shared by suspending and resuming an app."""

    def turned_one(self, app: str, *, is_suspended: bool) -> Response:
        """Do it and show the app."""
        living = App.objects.filter(deleted_at=None).select_related("organization")
        changed = self.turned(app_suspend, app=entity_find(App, living, app), is_suspended=is_suspended)
        return self.entity_response(AppOut(changed).data)


class AppSuspend(AppTurn):
    @operation("Suspend an app: its calls stop", scope="apps:write", body=SuspendIn, answer=AppOut)
    def post(self, request: Request, app: str) -> Response:
        return self.turned_one(app, is_suspended=True)


class AppResume(AppTurn):
    @operation("Let an app go on", scope="apps:write", body=SuspendIn, answer=AppOut)
    def post(self, request: Request, app: str) -> Response:
        return self.turned_one(app, is_suspended=False)
