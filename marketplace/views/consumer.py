"""The consumer's pages: home with the way to the first call, and apps. Credentials are in ``credentials``, usage in ``usage``."""

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_safe

from marketplace.forms.consumer import AppForm, CredentialForm
from marketplace.models import App
from marketplace.selectors.access import app_get, apps_list, credentials_list, grants_list
from marketplace.selectors.paging import page_take
from marketplace.services.access import app_create, app_delete, app_update
from marketplace.views.doors import member_page, service_try
from marketplace.views.first_call import checklist_make, sample_call
from marketplace.views.usage_pictures import summary_make

RECENT_MAX = 5


@require_safe
@member_page("consumer", "app.view")
def consumer_home(request: HttpRequest) -> HttpResponse:
    """Where a consumer lands: what is left to do until the first call, then usage, grants and apps."""
    organization = request.organization
    grants = grants_list(organization=organization).order_by("-id")
    apps = list(apps_list(organization=organization).order_by("-id")[:RECENT_MAX])
    summary = summary_make(organization=organization, days=30)
    context = {
        "apps": apps,
        "grants": list(grants[:RECENT_MAX]),
        "summary": summary,
        "steps": checklist_make(
            organization=organization, apps=apps, has_grants=grants.exists(), has_calls=summary.calls > 0
        ),
    }
    return render(request, "marketplace/consumer_home.html", context)


@require_safe
@member_page("consumer", "app.view")
def app_list(request: HttpRequest) -> HttpResponse:
    """The organization's apps."""
    page = page_take(apps_list(organization=request.organization), cursor=request.GET.get("cursor", ""))
    return render(request, "marketplace/app_list.html", {"page": page})


@require_http_methods(["GET", "HEAD", "POST"])
@member_page("consumer", "app.manage")
def app_new(request: HttpRequest) -> HttpResponse:
    """A new app, by its name."""
    form = AppForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        app = service_try(
            request, app_create, form=form, organization=request.organization, person=request.user, **form.cleaned_data
        )
        if app is not None:
            messages.success(request, _("The app exists. Next: its credentials."))
            return redirect("pages:app_detail", request.organization.slug, app.public_id)
    crumbs = [(_("Apps"), _list_url(request)), (_("New app"), "")]
    return render(request, "marketplace/app_form.html", {"form": form, "crumbs": crumbs, "title": _("New app")})


@require_safe
@member_page("consumer", "app.view")
def app_detail(request: HttpRequest, app_id: str) -> HttpResponse:
    """One app: credentials, what it may call, and a first call to copy."""
    app = app_get(person=request.user, public_id=app_id, within=request.organization)
    return render(request, "marketplace/app_detail.html", app_context(request, app))


@require_http_methods(["GET", "HEAD", "POST"])
@member_page("consumer", "app.manage")
def app_edit(request: HttpRequest, app_id: str) -> HttpResponse:
    """Another name or description."""
    app = app_get(person=request.user, public_id=app_id, action="app.manage", within=request.organization)
    form = AppForm(request.POST or None, initial={"name": app.name, "description": app.description})
    if request.method == "POST" and form.is_valid():
        saved = service_try(request, app_update, form=form, app=app, person=request.user, **form.cleaned_data)
        if saved is not None:
            messages.success(request, _("Saved."))
            return redirect("pages:app_detail", request.organization.slug, app.public_id)
    crumbs = [*_crumbs(request, app), (_("Edit"), "")]
    return render(
        request, "marketplace/app_form.html", {"form": form, "crumbs": crumbs, "title": _("Edit app"), "app": app}
    )


@require_http_methods(["GET", "HEAD", "POST"])
@member_page("consumer", "app.manage")
def app_remove(request: HttpRequest, app_id: str) -> HttpResponse:
    """Delete an app, after showing what ends with it."""
    app = app_get(person=request.user, public_id=app_id, action="app.manage", within=request.organization)
    if request.method == "POST":
        if service_try(request, app_delete, app=app, person=request.user) is not None:
            messages.success(request, _("The app “%(name)s” is deleted.") % {"name": app.name})
            return redirect("pages:app_list", request.organization.slug)
        return redirect("pages:app_detail", request.organization.slug, app.public_id)
    context = {
        "app": app,
        "crumbs": [*_crumbs(request, app), (_("Delete"), "")],
        "credentials": credentials_list(app=app).count(),
        "grants": list(grants_list(app=app)),
    }
    return render(request, "marketplace/app_remove.html", context)


def app_context(request: HttpRequest, app: App) -> dict[str, object]:
    """What the app's page shows; also used when a new secret is shown on it."""
    grants = list(grants_list(app=app).order_by("-id"))
    return {
        "app": app,
        "crumbs": [(_("Apps"), _list_url(request)), (app.name, "")],
        "credentials": list(credentials_list(app=app)),
        "ended": list(
            credentials_list(app=app, is_ended_shown=True).exclude(id__in=credentials_list(app=app))[:RECENT_MAX]
        ),
        "grants": grants,
        "form": CredentialForm(),
        "call": sample_call(grants[0].api, app_code="YOUR_APPCODE", stage=grants[0].stage) if grants else None,
    }


def _list_url(request: HttpRequest) -> str:
    return reverse("pages:app_list", args=[request.organization.slug])


def _crumbs(request: HttpRequest, app: App) -> list[tuple[str, str]]:
    return [
        (_("Apps"), _list_url(request)),
        (app.name, reverse("pages:app_detail", args=[request.organization.slug, app.public_id])),
    ]
