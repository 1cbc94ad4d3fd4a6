"""Access tokens of the REST API on pages: an organization's, and a person's own. A new one is shown once.

Making one asks who one is when that was not asked for some minutes: it is a way in that outlives the session.
"""

from datetime import timedelta

from allauth.account.internal.flows.reauthentication import raise_if_reauthentication_required
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST

from marketplace.errors import NotFound
from marketplace.forms.organization import TokenForm
from marketplace.models import Organization
from marketplace.selectors.accounts import access_token_get, access_tokens_list
from marketplace.services.access_tokens import IssuedAccessToken, access_token_issue, access_token_revoke
from marketplace.views.doors import member_page, service_try


@require_http_methods(["GET", "HEAD", "POST"])
@member_page("organization", "token.manage")
def token_list(request: HttpRequest) -> HttpResponse:
    """Tokens that act in this organization alone."""
    return _page(request, organization=request.organization)


@require_POST
@member_page("organization", "token.manage")
def token_end(request: HttpRequest, token_id: str) -> HttpResponse:
    """Revoke an access token."""
    _revoke(request, token_id)
    return redirect("pages:token_list", request.organization.slug)


@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
@login_required
def own_token_list(request: HttpRequest) -> HttpResponse:
    """A person's own tokens, which act wherever they are a member; those for one organization are shown with its name."""
    request.area = "account"
    return _page(request, organization=None)


@require_POST
@never_cache
@login_required
def own_token_end(request: HttpRequest, token_id: str) -> HttpResponse:
    """Revoke an access token of one's own."""
    try:
        _revoke(request, token_id)
    except NotFound as error:
        raise Http404 from error
    return redirect("pages:own_token_list")


def _page(request: HttpRequest, *, organization: Organization | None) -> HttpResponse:
    form = TokenForm(request.POST or None)
    issued: IssuedAccessToken | None = None
    if request.method == "POST" and form.is_valid():
        raise_if_reauthentication_required(request, app="allauth.account")
        issued = _issue(request, form, organization)
    tokens = list(access_tokens_list(person=request.user, organization=organization).order_by("-id"))
    context = {
        "form": TokenForm() if issued else form,
        "tokens": [(token, _revoke_url(organization, token.public_id)) for token in tokens],
        "secret": [(_("Access token"), issued.text, True)] if issued else None,
        "is_own": organization is None,
    }
    response = render(request, "marketplace/token_list.html", context)
    if issued:
        response["Cache-Control"] = "no-store"
    return response


def _issue(request: HttpRequest, form: TokenForm, organization: Organization | None) -> IssuedAccessToken | None:
    days = form.cleaned_data["days"]
    issued: IssuedAccessToken | None = service_try(
        request,
        access_token_issue,
        form=form,
        person=request.user,
        organization=organization,
        name=form.cleaned_data["name"],
        scopes=form.cleaned_data["scopes"],
        expires_at=timezone.now() + timedelta(days=int(days)) if days else None,
    )
    return issued


def _revoke(request: HttpRequest, token_id: str) -> None:
    token = access_token_get(person=request.user, public_id=token_id)
    if service_try(request, access_token_revoke, access_token=token, person=request.user):
        messages.success(request, _("The token is revoked."))


def _revoke_url(organization: Organization | None, token_id: str) -> str:
    if organization is None:
        return reverse("pages:own_token_end", args=[token_id])
    return reverse("pages:token_end", args=[organization.slug, token_id])
