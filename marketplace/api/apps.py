"""Endpoints of apps, their credentials, and the grants that they hold."""

from typing import Any

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from marketplace.api.apis import ApiEndpoint
from marketplace.api.base import NEVER_STORED, Endpoint, Paged, Strict, operation
from marketplace.models import App, CredentialKind, Grant
from marketplace.selectors import access as shown
from marketplace.selectors import accounts as people
from marketplace.selectors.paging import page_take
from marketplace.services import access
from marketplace.services.credentials import GRACE_S_MAX, IssuedCredential

APP_RATE = "60/h"
CREDENTIAL_RATE = "30/h"


class AppOut(serializers.Serializer[Any]):
    """An app."""

    id = serializers.CharField(source="public_id")
    organization = serializers.CharField(source="organization.public_id")
    name = serializers.CharField()
    description = serializers.CharField()
    is_suspended = serializers.BooleanField()
    created_at = serializers.DateTimeField()


class AppIn(Strict):
    """A new app, or what to change of one."""

    name = serializers.CharField(max_length=80)
    description = serializers.CharField(max_length=300, allow_blank=True, required=False)


class CredentialOut(serializers.Serializer[Any]):
    """A credential, without its secret."""

    id = serializers.CharField(source="public_id")
    app = serializers.CharField(source="app.public_id")
    kind = serializers.ChoiceField(choices=CredentialKind.choices)
    identifier = serializers.CharField(help_text="The AppKey, or the first characters of the AppCode.")
    expires_at = serializers.DateTimeField(allow_null=True)
    revoked_at = serializers.DateTimeField(allow_null=True)
    last_used_at = serializers.DateTimeField(allow_null=True)
    created_at = serializers.DateTimeField()


class IssuedCredentialOut(serializers.Serializer[Any]):
    """A new credential with its secrets, shown once; the ones of the other kind are empty."""

    credential = CredentialOut()
    app_key = serializers.CharField()
    app_secret = serializers.CharField()
    app_code = serializers.CharField()


class CredentialIn(Strict):
    """Which kind."""

    kind = serializers.ChoiceField(choices=CredentialKind.choices)


class RotateIn(Strict):
    """How long the old one lives on."""

    grace_s = serializers.IntegerField(min_value=0, max_value=GRACE_S_MAX, required=False)


class GrantOut(serializers.Serializer[Any]):
    """A permission to call an API."""

    id = serializers.CharField(source="public_id")
    app = serializers.CharField(source="app.public_id")
    app_name = serializers.CharField(source="app.name")
    consumer = serializers.CharField(source="app.organization.name")
    api = serializers.CharField(source="api.public_id")
    api_name = serializers.CharField(source="api.name")
    stage = serializers.CharField()
    limits = serializers.DictField()
    source = serializers.CharField()
    starts_at = serializers.DateTimeField()
    ends_at = serializers.DateTimeField(allow_null=True)
    revoked_at = serializers.DateTimeField(allow_null=True)


class OrganizationApps(Endpoint):
    @operation("List an organization's apps", scope="apps:read", query=Paged, answer=AppOut, many=True)
    def get(self, request: Request, organization: str) -> Response:
        found = people.organization_get(
            person=self.person, public_id=organization, action="app.view", within=self.within
        )
        rows = shown.apps_list(organization=found).select_related("organization")
        return self.page_response(page_take(rows, bound={"of": organization}, **self.query), AppOut)

    @operation("Create an app", scope="apps:write", body=AppIn, answer=AppOut, status=201, creates=True)
    def post(self, request: Request, organization: str) -> Response:
        found = people.organization_get(
            person=self.person, public_id=organization, action="app.manage", within=self.within
        )
        self.rate_limit("app_create", APP_RATE)
        app = access.app_create(organization=found, person=self.person, **self.body)
        return self.entity_response(AppOut(app).data, status=201)


class AppOne(Endpoint):
    def app_change(self, app: str) -> App:
        """The app of the address, locked, when it is the version that the caller read."""
        found = shown.app_get(person=self.person, public_id=app, action="app.manage", within=self.within)
        locked = App.objects.select_for_update(of=("self",)).select_related("organization").get(id=found.id)
        self.match_require(AppOut(locked).data)
        return locked

    @operation("Show an app", scope="apps:read", answer=AppOut, has_etag=True)
    def get(self, request: Request, app: str) -> Response:
        return self.entity_response(AppOut(shown.app_get(person=self.person, public_id=app, within=self.within)).data)

    @operation("Change an app", scope="apps:write", body=AppIn, answer=AppOut, has_etag=True)
    def patch(self, request: Request, app: str) -> Response:
        changed = access.app_update(app=self.app_change(app), person=self.person, **self.body)
        return self.entity_response(AppOut(changed).data)

    @operation("Delete an app: its credentials and grants end now", scope="apps:write", status=204, has_etag=True)
    def delete(self, request: Request, app: str) -> Response:
        access.app_delete(app=self.app_change(app), person=self.person)
        return Response(status=204)


class AppCredentials(Endpoint):
    @operation("List an app's live credentials", scope="apps:read", query=Paged, answer=CredentialOut, many=True)
    def get(self, request: Request, app: str) -> Response:
        found = shown.app_get(person=self.person, public_id=app, within=self.within)
        rows = shown.credentials_list(app=found).select_related("app")
        return self.page_response(page_take(rows, bound={"of": app}, **self.query), CredentialOut)

    @operation(
        "Issue a credential (its secret is shown once)",
        scope="apps:write",
        body=CredentialIn,
        answer=IssuedCredentialOut,
        status=201,
        creates=True,
    )
    def post(self, request: Request, app: str) -> Response:
        found = shown.app_get(person=self.person, public_id=app, action="credential.manage", within=self.within)
        self.rate_limit("credential_issue", CREDENTIAL_RATE)
        return _issued(access.credential_issue(app=found, kind=self.body["kind"], person=self.person))


class CredentialRotate(Endpoint):
    @operation(
        "Rotate a credential (the new secret is shown once)",
        scope="apps:write",
        body=RotateIn,
        answer=IssuedCredentialOut,
        status=201,
        creates=True,
    )
    def post(self, request: Request, credential: str) -> Response:
        found = shown.credential_get(person=self.person, public_id=credential, within=self.within)
        self.rate_limit("credential_issue", CREDENTIAL_RATE)
        return _issued(access.credential_rotate(credential=found, person=self.person, **self.body))


class CredentialRevoke(Endpoint):
    @operation("Revoke a credential now", scope="apps:write", answer=CredentialOut)
    def post(self, request: Request, credential: str) -> Response:
        found = shown.credential_get(person=self.person, public_id=credential, within=self.within)
        return Response(CredentialOut(access.credential_revoke(credential=found, person=self.person)).data)


class AppGrants(Endpoint):
    @operation("List an app's live grants", scope="apps:read", query=Paged, answer=GrantOut, many=True)
    def get(self, request: Request, app: str) -> Response:
        found = shown.app_get(person=self.person, public_id=app, within=self.within)
        page = page_take(shown.grants_list(app=found), bound={"of": app}, **self.query)
        return self.page_response(page, GrantOut)


class ApiGrants(ApiEndpoint):
    @operation("List who may call an API", scope="apis:read", query=Paged, answer=GrantOut, many=True)
    def get(self, request: Request, api: str) -> Response:
        page = page_take(shown.grants_list(api=self.api_find(api)), bound={"of": api}, **self.query)
        return self.page_response(page, GrantOut)


class GrantOne(Endpoint):
    @operation("Show a grant", scope="apps:read", answer=GrantOut, has_etag=True)
    def get(self, request: Request, grant: str) -> Response:
        found: Grant = shown.grant_get(person=self.person, public_id=grant, within=self.within)
        return self.entity_response(GrantOut(found).data)


def _issued(issued: IssuedCredential) -> Response:
    return Response(IssuedCredentialOut(issued).data, status=201, headers=NEVER_STORED)
