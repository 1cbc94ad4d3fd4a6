"""Credentials of an app: issue, rotate with a grace time, revoke. A new secret is shown once, on the answer to the click itself.

The answer to the POST is the page (never a redirect): so the secret is stored nowhere, not even in a session.
"""

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_http_methods
from django_ratelimit.decorators import ratelimit

from marketplace.forms.consumer import CredentialForm, RotateForm
from marketplace.models import App, Credential, CredentialKind
from marketplace.selectors.access import app_get, credential_get
from marketplace.services.credentials import IssuedCredential, credential_issue, credential_revoke, credential_rotate
from marketplace.views.consumer import app_context
from marketplace.views.doors import is_repeated, member_page, service_try
from marketplace.views.first_call import sample_call

ISSUE_RATE = "30/m"
"""New credentials by one person."""
SHOWN_ALREADY = gettext_lazy(
    "This form was sent before. A secret is shown only once: if it is lost, issue or rotate again."
)


@require_http_methods(["GET", "HEAD", "POST"])
@member_page("consumer", "credential.manage")
@ratelimit(group="credential", key="user", rate=ISSUE_RATE, method="POST")
def credential_new(request: HttpRequest, app_id: str) -> HttpResponse:
    """Issue a credential and show its secret, this once. Whoever opens the address again is led to the app's page."""
    if request.method != "POST":
        return redirect("pages:app_detail", request.organization.slug, app_id)
    app = app_get(person=request.user, public_id=app_id, action="credential.manage", within=request.organization)
    form = CredentialForm(request.POST)
    issued = None
    if is_repeated(request):
        messages.info(request, SHOWN_ALREADY)
    elif form.is_valid():
        kind = form.cleaned_data["kind"]
        issued = service_try(request, credential_issue, app=app, kind=kind, person=request.user)
    else:
        messages.error(request, _("Choose a kind of credential."))
    return _shown(request, app, issued)


@require_http_methods(["GET", "HEAD", "POST"])
@member_page("consumer", "credential.manage")
@ratelimit(group="credential", key="user", rate=ISSUE_RATE, method="POST")
def credential_renew(request: HttpRequest, credential_id: str) -> HttpResponse:
    """Rotate: a new credential now, the old one goes on for a while."""
    credential = credential_get(person=request.user, public_id=credential_id, within=request.organization)
    if credential.has_ended:
        return _ended(request, credential)
    form = RotateForm(request.POST or None)
    if request.method == "POST" and is_repeated(request):
        messages.info(request, SHOWN_ALREADY)
        return _shown(request, credential.app, None)
    if request.method == "POST" and form.is_valid():
        issued = service_try(
            request, credential_rotate, form=form, credential=credential, person=request.user, **form.cleaned_data
        )
        if issued is not None:
            return _shown(request, credential.app, issued)
    context = {
        "credential": credential,
        "app": credential.app,
        "form": form,
        "crumbs": _crumbs(request, credential.app, _("Rotate")),
    }
    return render(request, "marketplace/credential_rotate.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@member_page("consumer", "credential.manage")
def credential_end(request: HttpRequest, credential_id: str) -> HttpResponse:
    """Revoke, after showing what that means."""
    credential = credential_get(person=request.user, public_id=credential_id, within=request.organization)
    if credential.has_ended:
        return _ended(request, credential)
    if request.method == "POST":
        if service_try(request, credential_revoke, credential=credential, person=request.user) is not None:
            messages.success(request, _("The credential is revoked. Every gateway refuses it within two seconds."))
        return redirect("pages:app_detail", request.organization.slug, credential.app.public_id)
    context = {"credential": credential, "app": credential.app, "crumbs": _crumbs(request, credential.app, _("Revoke"))}
    return render(request, "marketplace/credential_revoke.html", context)


def _ended(request: HttpRequest, credential: Credential) -> HttpResponse:
    """Somebody was faster, or comes from an old page: nothing is left to do."""
    messages.info(request, _("The credential %(name)s has ended already.") % {"name": credential.identifier})
    return redirect("pages:app_detail", request.organization.slug, credential.app.public_id)


def _shown(request: HttpRequest, app: App, issued: IssuedCredential | None) -> HttpResponse:
    if issued is None:
        return redirect("pages:app_detail", request.organization.slug, app.public_id)
    context = app_context(request, app)
    if issued.credential.kind == CredentialKind.APP_CODE:
        context |= {"secret_title": _("Your new AppCode"), "secret": [(_("AppCode"), issued.app_code, True)]}
        if context["grants"]:
            grant = context["grants"][0]  # type: ignore[index]
            context["call"] = sample_call(grant.api, app_code=issued.app_code, stage=grant.stage)
    else:
        rows = [(_("AppKey"), issued.app_key, False), (_("AppSecret"), issued.app_secret, True)]
        text = _(
            "Copy the secret now and keep it safe: it is shown this once. We keep it encrypted, for a signature cannot be "
            "checked without it."
        )
        context |= {"secret_title": _("Your new key and secret"), "secret": rows, "secret_text": text}
    response = render(request, "marketplace/app_detail.html", context)
    response["Cache-Control"] = "no-store"
    return response


def _crumbs(request: HttpRequest, app: App, last: str) -> list[tuple[str, str]]:
    slug = request.organization.slug
    return [
        (_("Apps"), reverse("pages:app_list", args=[slug])),
        (app.name, reverse("pages:app_detail", args=[slug, app.public_id])),
        (last, ""),
    ]
