"""Endpoints of the caller's own profile, organizations, their members and invitations."""

from typing import Any

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from marketplace.api.base import Endpoint, Paged, Strict, operation
from marketplace.models import Organization, Role
from marketplace.selectors import accounts as people
from marketplace.selectors.paging import page_take
from marketplace.services import accounts, invitations

INVITE_RATE = "30/h"
CREATE_RATE = "20/h"


class OrganizationOut(serializers.Serializer[Any]):
    """An organization."""

    id = serializers.CharField(source="public_id")
    name = serializers.CharField()
    slug = serializers.CharField()
    is_provider = serializers.BooleanField()
    is_consumer = serializers.BooleanField()
    is_suspended = serializers.BooleanField()
    legal_name = serializers.CharField()
    address = serializers.CharField()
    country = serializers.CharField()
    tax_id = serializers.CharField()
    billing_email = serializers.CharField()
    language = serializers.CharField()
    time_zone = serializers.CharField()
    created_at = serializers.DateTimeField()


class OrganizationIn(Strict):
    """What an organization is made of."""

    name = serializers.CharField(max_length=120)
    is_provider = serializers.BooleanField(default=False)


class OrganizationChange(Strict):
    """What an organization says about itself."""

    name = serializers.CharField(max_length=120, required=False)
    is_provider = serializers.BooleanField(required=False)
    is_consumer = serializers.BooleanField(required=False)
    legal_name = serializers.CharField(max_length=200, required=False, allow_blank=True)
    address = serializers.CharField(max_length=500, required=False, allow_blank=True)
    country = serializers.RegexField(r"^([A-Z]{2})?\Z", max_length=2, required=False, allow_blank=True)
    tax_id = serializers.CharField(max_length=40, required=False, allow_blank=True)
    billing_email = serializers.EmailField(max_length=254, required=False, allow_blank=True)
    language = serializers.ChoiceField(choices=["en", "zh-hans"], required=False)
    time_zone = serializers.CharField(max_length=64, required=False)


class PersonOut(serializers.Serializer[Any]):
    """A person."""

    id = serializers.CharField(source="public_id")
    email = serializers.EmailField()
    name = serializers.CharField()


class MembershipOut(serializers.Serializer[Any]):
    """A person's role in an organization."""

    id = serializers.CharField(source="public_id")
    organization = serializers.CharField(source="organization.public_id")
    person = PersonOut()
    role = serializers.ChoiceField(choices=Role.choices)
    created_at = serializers.DateTimeField()


class RoleIn(Strict):
    """Another role."""

    role = serializers.ChoiceField(choices=Role.choices)


class InvitationOut(serializers.Serializer[Any]):
    """An open offer of a role. Its link is only in the e-mail."""

    id = serializers.CharField(source="public_id")
    organization = serializers.CharField(source="organization.public_id")
    email = serializers.EmailField()
    role = serializers.ChoiceField(choices=Role.choices)
    invited_by = serializers.CharField(source="invited_by.public_id")
    expires_at = serializers.DateTimeField()
    created_at = serializers.DateTimeField()


class InvitationIn(Strict):
    """Whom to offer which role."""

    email = serializers.EmailField(max_length=254)
    role = serializers.ChoiceField(choices=Role.choices)


class AcceptIn(Strict):
    """The random part of the link in the e-mail."""

    token = serializers.CharField(max_length=200)


class MeOut(PersonOut):
    """The caller."""

    language = serializers.CharField()
    time_zone = serializers.CharField()
    memberships = MembershipOut(many=True)


class Me(Endpoint):
    @operation("Show who you are and where you are a member", scope="organizations:read", answer=MeOut)
    def get(self, request: Request) -> Response:
        memberships = people.memberships_list(person=self.person, within=self.within)
        names = ("public_id", "email", "name", "language", "time_zone")
        return Response(
            MeOut({**{name: getattr(self.person, name) for name in names}, "memberships": memberships}).data
        )


class Organizations(Endpoint):
    @operation("List your organizations", scope="organizations:read", query=Paged, answer=OrganizationOut, many=True)
    def get(self, request: Request) -> Response:
        rows = people.organizations_list(person=self.person, within=self.within)
        return self.page_response(page_take(rows, **self.query), OrganizationOut)

    @operation(
        "Create an organization",
        scope="organizations:write",
        body=OrganizationIn,
        answer=OrganizationOut,
        status=201,
        creates=True,
    )
    def post(self, request: Request) -> Response:
        self.personal_require()
        self.rate_limit("organization_create", CREATE_RATE)
        organization = accounts.organization_create(person=self.person, **self.body)
        return self.entity_response(OrganizationOut(organization).data, status=201)


class OrganizationOne(Endpoint):
    @operation("Show an organization", scope="organizations:read", answer=OrganizationOut, has_etag=True)
    def get(self, request: Request, organization: str) -> Response:
        found = people.organization_get(person=self.person, public_id=organization, within=self.within)
        return self.entity_response(OrganizationOut(found).data)

    @operation(
        "Change an organization",
        scope="organizations:write",
        body=OrganizationChange,
        answer=OrganizationOut,
        has_etag=True,
    )
    def patch(self, request: Request, organization: str) -> Response:
        found = people.organization_get(
            person=self.person, public_id=organization, action="organization.update", within=self.within
        )
        found = Organization.objects.select_for_update().get(id=found.id)
        self.match_require(OrganizationOut(found).data)
        changed = accounts.organization_update(organization=found, person=self.person, **self.body)
        return self.entity_response(OrganizationOut(changed).data)


class Members(Endpoint):
    @operation("List members", scope="organizations:read", query=Paged, answer=MembershipOut, many=True)
    def get(self, request: Request, organization: str) -> Response:
        found = people.organization_get(
            person=self.person, public_id=organization, action="member.view", within=self.within
        )
        page = page_take(people.members_list(organization=found), bound={"of": organization}, **self.query)
        return self.page_response(page, MembershipOut)


class MemberOne(Endpoint):
    @operation("Change a member's role", scope="organizations:write", body=RoleIn, answer=MembershipOut, has_etag=True)
    def patch(self, request: Request, membership: str) -> Response:
        found = people.membership_get(person=self.person, public_id=membership, within=self.within)
        people.permission_require(person=self.person, organization=found.organization, action="member.manage")
        self.match_require(MembershipOut(found).data)
        role = self.body.get("role", found.role)
        changed = accounts.member_role_set(membership=found, role=role, person=self.person)
        return self.entity_response(MembershipOut(changed).data)

    @operation("Show a membership", scope="organizations:read", answer=MembershipOut, has_etag=True)
    def get(self, request: Request, membership: str) -> Response:
        found = people.membership_get(
            person=self.person, public_id=membership, action="member.view", within=self.within
        )
        return self.entity_response(MembershipOut(found).data)

    @operation("Remove a member, or leave", scope="organizations:write", status=204, has_etag=True)
    def delete(self, request: Request, membership: str) -> Response:
        found = people.membership_get(person=self.person, public_id=membership, within=self.within)
        self.match_require(MembershipOut(found).data)
        accounts.member_remove(membership=found, person=self.person)
        return Response(status=204)


class Invitations(Endpoint):
    @operation("List open invitations", scope="organizations:read", query=Paged, answer=InvitationOut, many=True)
    def get(self, request: Request, organization: str) -> Response:
        found = people.organization_get(
            person=self.person, public_id=organization, action="member.manage", within=self.within
        )
        page = page_take(people.invitations_list(organization=found), bound={"of": organization}, **self.query)
        return self.page_response(page, InvitationOut)

    @operation(
        "Invite somebody by e-mail",
        scope="organizations:write",
        body=InvitationIn,
        answer=InvitationOut,
        status=201,
        creates=True,
    )
    def post(self, request: Request, organization: str) -> Response:
        found = people.organization_get(
            person=self.person, public_id=organization, action="member.manage", within=self.within
        )
        self.rate_limit("member_invite", INVITE_RATE)
        invitation = invitations.member_invite(organization=found, person=self.person, **self.body)
        return Response(InvitationOut(invitation).data, status=201)


class InvitationWithdraw(Endpoint):
    @operation("Withdraw an invitation", scope="organizations:write", answer=InvitationOut)
    def post(self, request: Request, invitation: str) -> Response:
        found = people.invitation_get(person=self.person, public_id=invitation, within=self.within)
        return Response(InvitationOut(invitations.invitation_withdraw(invitation=found, person=self.person)).data)


class InvitationAccept(Endpoint):
    @operation("Accept an invitation", body=AcceptIn, answer=MembershipOut, is_session_only=True)
    def post(self, request: Request) -> Response:
        self.rate_limit("invitation_accept", INVITE_RATE)
        membership = invitations.invitation_accept(token=self.body["token"], person=self.person)
        return Response(MembershipOut(membership).data)
