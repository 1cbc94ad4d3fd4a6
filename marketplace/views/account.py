"""A person's own pages: landing, profile, theme, a new organization, an invitation. Login and second factors are allauth's."""

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST

from marketplace.errors import NotFound
from marketplace.forms.organization import OrganizationNewForm, ProfileForm
from marketplace.selectors.accounts import invitation_by_token
from marketplace.services.accounts import organization_create, person_update
from marketplace.services.invitations import invitation_accept
from marketplace.views.context import THEME_COOKIE, THEMES, home_url
from marketplace.views.doors import service_try
from marketplace.views.invited import invitation_forget, invitation_remember

THEME_COOKIE_S = 365 * 24 * 3600


@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
@login_required
def profile(request: HttpRequest) -> HttpResponse:
    """Name, language, time zone and theme."""
    request.area = "account"
    form = ProfileForm(request.POST or None, instance=request.user)
    if request.method == "POST" and form.is_valid():
        saved = service_try(request, person_update, form=form, person=request.user, **form.cleaned_data)
        if saved is not None:
            messages.success(request, _("Saved."))
            response = redirect("pages:profile")
            response.set_cookie(
                settings.LANGUAGE_COOKIE_NAME,
                form.cleaned_data["language"],
                THEME_COOKIE_S,
                samesite="Lax",
                secure=request.is_secure(),
            )
            return response
    return render(request, "marketplace/profile.html", {"form": form})


@require_POST
def theme_set(request: HttpRequest) -> HttpResponse:
    """Remember light, dark, or the system's choice in this browser; then back to the page."""
    theme = request.POST.get("theme", "")
    onward = request.POST.get("next", "/")
    if not url_has_allowed_host_and_scheme(
        onward, allowed_hosts={request.get_host()}, require_https=request.is_secure()
    ):
        onward = "/"
    response = redirect(onward)
    if theme in THEMES:
        response.set_cookie(
            THEME_COOKIE, theme, THEME_COOKIE_S, httponly=True, samesite="Lax", secure=request.is_secure()
        )
    return response


@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
@login_required
def organization_new(request: HttpRequest) -> HttpResponse:
    """One more organization, owned by the person."""
    request.area = "account"
    form = OrganizationNewForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        organization = service_try(request, organization_create, form=form, person=request.user, **form.cleaned_data)
        if organization is not None:
            messages.success(request, _("%(name)s exists. You are its owner.") % {"name": organization.name})
            home = "pages:provider_home" if organization.is_provider else "pages:consumer_home"
            return redirect(home, organization.slug)
    return render(request, "marketplace/organization_new.html", {"form": form})


@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
def invitation(request: HttpRequest, token: str) -> HttpResponse:
    """What an invitation's link opens: who invites where, and a button to accept."""
    found = invitation_by_token(token=token)
    if found is None:
        return render(request, "marketplace/invitation.html", {"invitation": None}, status=404)
    if request.method == "POST":
        if not request.user.is_authenticated:
            invitation_remember(request, token)
            return redirect_to_login(request.path)
        try:
            membership = service_try(request, invitation_accept, token=token, person=request.user)
        except NotFound:
            return redirect("pages:invitation", token)
        if membership is None:
            return redirect("pages:invitation", token)
        invitation_forget(request)
        messages.success(request, _("Welcome to %(name)s.") % {"name": membership.organization.name})
        return redirect(home_url(request, membership))
    if not request.user.is_authenticated:
        invitation_remember(request, token)
    is_other = request.user.is_authenticated and not found.is_for(request.user.email)
    return render(request, "marketplace/invitation.html", {"invitation": found, "is_other": is_other})
