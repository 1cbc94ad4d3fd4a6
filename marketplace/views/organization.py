"""An organization's own pages: team and invitations, settings. Access tokens are in ``tokens``."""

from collections.abc import Callable
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST

from marketplace.forms.organization import InviteForm, OrganizationForm, RoleForm
from marketplace.models import Role
from marketplace.selectors.accounts import (
    invitation_get,
    invitations_list,
    members_list,
    membership_get,
)
from marketplace.services.accounts import member_remove, member_role_set, organization_update
from marketplace.services.invitations import invitation_withdraw, member_invite
from marketplace.views.doors import member_page, service_try


@require_http_methods(["GET", "HEAD", "POST"])
@member_page("organization", "member.view")
def team(request: HttpRequest) -> HttpResponse:
    """Members, open invitations, and the box to invite somebody."""
    form = InviteForm(request.POST or None)
    if request.method == "POST" and request.may.member_manage and form.is_valid():
        invited = service_try(
            request,
            member_invite,
            form=form,
            organization=request.organization,
            person=request.user,
            **form.cleaned_data,
        )
        if invited is not None:
            messages.success(request, _("An invitation is on its way to %(email)s.") % {"email": invited.email})
            return redirect("pages:team", request.organization.slug)
    context = {
        "form": form,
        "members": list(members_list(organization=request.organization)),
        "invitations": list(invitations_list(organization=request.organization).order_by("-id")),
        "roles": Role.choices,
    }
    return render(request, "marketplace/team.html", context)


@require_POST
@member_page("organization", "member.manage")
def member_role(request: HttpRequest, membership_id: str) -> HttpResponse:
    """Another role for a member."""
    membership = membership_get(person=request.user, public_id=membership_id, within=request.organization)
    form = RoleForm(request.POST)
    if not form.is_valid():
        messages.error(request, _("There is no such role."))
    elif service_try(
        request, member_role_set, membership=membership, role=form.cleaned_data["role"], person=request.user
    ):
        messages.success(request, _("The role is changed."))
    return redirect("pages:team", request.organization.slug)


@require_http_methods(["GET", "HEAD", "POST"])
@member_page("organization", "member.view")
def member_end(request: HttpRequest, membership_id: str) -> HttpResponse:
    """Remove a member (or leave), after showing what ends with it."""
    membership = membership_get(person=request.user, public_id=membership_id, within=request.organization)
    is_self = membership.person_id == request.user.id
    if request.method == "POST":
        name = membership.person.get_full_name()
        if _tried(request, member_remove, membership=membership, person=request.user):
            messages.success(request, _("%(name)s is no longer a member.") % {"name": name})
            return redirect("pages:home") if is_self else redirect("pages:team", request.organization.slug)
        return redirect("pages:team", request.organization.slug)
    return render(request, "marketplace/member_end.html", {"membership": membership, "is_self": is_self})


@require_POST
@member_page("organization", "member.manage")
def invitation_end(request: HttpRequest, invitation_id: str) -> HttpResponse:
    """Withdraw an invitation."""
    invitation = invitation_get(person=request.user, public_id=invitation_id, within=request.organization)
    if service_try(request, invitation_withdraw, invitation=invitation, person=request.user):
        messages.success(request, _("The invitation is withdrawn."))
    return redirect("pages:team", request.organization.slug)


@require_http_methods(["GET", "HEAD", "POST"])
@member_page("organization", "organization.view")
def organization_settings(request: HttpRequest) -> HttpResponse:
    """Names, legal details, language and time zone."""
    organization = request.organization
    form = OrganizationForm(request.POST or None, instance=organization)
    if request.method == "POST" and request.may.organization_update and form.is_valid():
        values = form.cleaned_data
        saved = service_try(
            request, organization_update, form=form, organization=organization, person=request.user, **values
        )
        if saved is not None:
            messages.success(request, _("Saved."))
            return redirect("pages:organization_settings", organization.slug)
    return render(request, "marketplace/organization_settings.html", {"form": form})


def _tried(request: HttpRequest, service: Callable[..., None], **arguments: Any) -> bool:
    """Call a service that returns nothing; whether it was done."""

    def done(**values: object) -> bool:
        service(**values)
        return True

    return bool(service_try(request, done, **arguments))
