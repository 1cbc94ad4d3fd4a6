"""Endpoints of access tokens. Issuing one wants a login: a token never makes another."""

from typing import Any

from allauth.account.internal.flows.reauthentication import is_reauthentication_required
from django.utils.translation import gettext as _
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from marketplace.api.base import NEVER_STORED, Endpoint, Paged, Strict, operation
from marketplace.core.permissions import SCOPES
from marketplace.errors import NotPermitted
from marketplace.selectors import accounts as people
from marketplace.selectors.paging import page_take
from marketplace.services import access_tokens

ISSUE_RATE = "20/h"


class AccessTokenOut(serializers.Serializer[Any]):
    """An access token, without its text."""

    id = serializers.CharField(source="public_id")
    name = serializers.CharField()
    prefix = serializers.CharField(help_text="The first characters of its text.")
    scopes = serializers.ListField(child=serializers.ChoiceField(choices=SCOPES))
    organization = serializers.SerializerMethodField()
    expires_at = serializers.DateTimeField(allow_null=True)
    last_used_at = serializers.DateTimeField(allow_null=True)
    revoked_at = serializers.DateTimeField(allow_null=True)
    created_at = serializers.DateTimeField()

    def get_organization(self, token: Any) -> str | None:
        """Public id, null for a person's own token."""
        return token.organization.public_id if token.organization else None


class AccessTokenIssued(AccessTokenOut):
    """A new access token with its text, shown once."""

    text = serializers.SerializerMethodField()

    def get_text(self, token: Any) -> str:
        """The bearer itself."""
        return str(self.context["text"])


class AccessTokenIn(Strict):
    """What an access token may do, and for how long."""

    name = serializers.CharField(max_length=80)
    scopes = serializers.ListField(child=serializers.ChoiceField(choices=SCOPES), min_length=1, max_length=len(SCOPES))
    organization = serializers.CharField(max_length=64, required=False, help_text="Leave out for a token of your own.")
    expires_at = serializers.DateTimeField(required=False, allow_null=True, default=None)


class AccessTokens(Endpoint):
    @operation("List your access tokens", query=Paged, answer=AccessTokenOut, many=True, is_session_only=True)
    def get(self, request: Request) -> Response:
        page = page_take(people.access_tokens_list(person=self.person), **self.query)
        return self.page_response(page, AccessTokenOut)

    @operation(
        "Issue an access token (shown once)",
        body=AccessTokenIn,
        answer=AccessTokenIssued,
        status=201,
        is_session_only=True,
        creates=True,
    )
    def post(self, request: Request) -> Response:
        fields = dict(self.body)
        public_id = fields.pop("organization", "")
        organization = (
            people.organization_get(person=self.person, public_id=public_id, action="token.manage")
            if public_id
            else None
        )
        if is_reauthentication_required(request._request, app="allauth.account"):
            detail = _("Confirm that it is you at /accounts/reauthenticate/ first, then send this again.")
            raise NotPermitted(detail, code="reauthentication_required")
        self.rate_limit("access_token_issue", ISSUE_RATE)
        issued = access_tokens.access_token_issue(person=self.person, organization=organization, **fields)
        body = AccessTokenIssued(issued.access_token, context={"text": issued.text}).data
        return Response(body, status=201, headers=NEVER_STORED)


class OrganizationAccessTokens(Endpoint):
    @operation(
        "List an organization's access tokens", query=Paged, answer=AccessTokenOut, many=True, is_session_only=True
    )
    def get(self, request: Request, organization: str) -> Response:
        found = people.organization_get(person=self.person, public_id=organization, action="token.manage")
        rows = people.access_tokens_list(person=self.person, organization=found)
        return self.page_response(page_take(rows, bound={"of": organization}, **self.query), AccessTokenOut)


class AccessTokenRevoke(Endpoint):
    @operation("Revoke an access token", answer=AccessTokenOut, is_session_only=True)
    def post(self, request: Request, access_token: str) -> Response:
        found = people.access_token_get(person=self.person, public_id=access_token)
        revoked = access_tokens.access_token_revoke(access_token=found, person=self.person)
        return Response(AccessTokenOut(revoked).data)
