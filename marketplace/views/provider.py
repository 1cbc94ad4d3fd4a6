"""The provider's home, list of APIs, and the way to a new one: document, review, done. The editor's tabs are in ``editor``.

The document waits in the session between the two steps, so a reload, a login or a change of mind loses nothing.
"""

import re
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.contrib import messages
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils.text import slugify
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_safe

from marketplace.core.openapi import FAULTS_MAX, document_read
from marketplace.errors import ApplicationError
from marketplace.forms.provider import ApiNewForm, DocumentForm
from marketplace.models import Api, Stage, StageName
from marketplace.selectors.access import grants_list
from marketplace.selectors.catalog import apis_list
from marketplace.selectors.paging import page_take
from marketplace.services.catalog import api_create, api_import_openapi, stage_upstream_set
from marketplace.views.doors import form_refuse, member_page
from marketplace.views.lint import lint_rows
from marketplace.views.usage_pictures import summary_make

DRAFT_KEY = "api_draft"
RECENT_MAX = 6


@require_safe
@member_page("provider", "api.view")
def provider_home(request: HttpRequest) -> HttpResponse:
    """Where a provider lands: calls, APIs, newest subscribers."""
    organization = request.organization
    apis = list(apis_list(organization=organization).order_by("-id")[:RECENT_MAX])
    context = {
        "apis": apis,
        "stages": live_stages(apis),
        "summary": summary_make(organization=organization, days=30, side="provider"),
        "subscribers": list(grants_list().filter(api__provider=organization).order_by("-id")[:RECENT_MAX]),
    }
    return render(request, "marketplace/provider_home.html", context)


@require_safe
@member_page("provider", "api.view")
def api_list(request: HttpRequest) -> HttpResponse:
    """The organization's APIs and where each is live."""
    page = page_take(apis_list(organization=request.organization), cursor=request.GET.get("cursor", ""))
    return render(request, "marketplace/api_list.html", {"page": page, "stages": live_stages(page.rows)})


@require_http_methods(["GET", "HEAD", "POST"])
@member_page("provider", "api.manage")
def api_new(request: HttpRequest) -> HttpResponse:
    """Step 1: the OpenAPI document, pasted, uploaded, or the sample."""
    draft = request.session.get(DRAFT_KEY, {})
    if request.method == "POST":
        values = {"text": sample_document()} if "sample" in request.POST else request.POST
        form = DocumentForm(values, None if "sample" in request.POST else request.FILES)
        if form.is_valid():
            request.session[DRAFT_KEY] = {"text": form.cleaned_data["document"]}
            return redirect("pages:api_review", request.organization.slug)
    else:
        form = DocumentForm(initial={"text": draft.get("text", "")})
    crumbs = [(_("APIs"), _list_url(request)), (_("New API"), "")]
    return render(request, "marketplace/api_new.html", {"form": form, "crumbs": crumbs, "has_draft": bool(draft)})


@require_http_methods(["GET", "HEAD", "POST"])
@member_page("provider", "api.manage")
def api_review(request: HttpRequest) -> HttpResponse:
    """Step 2: what was read of the document, the name and place of the API, then create it."""
    text = request.session.get(DRAFT_KEY, {}).get("text", "")
    if not text:
        return redirect("pages:api_new", request.organization.slug)
    read = document_read(text)
    initial = _initial_of(read)
    form = ApiNewForm(request.POST or None, initial=initial)
    if request.method == "POST" and not read.faults and form.is_valid():
        api = _create(request, form, text)
        if api is not None:
            del request.session[DRAFT_KEY]
            messages.success(request, _("The API exists. Deploy it to put it live."))
            return redirect("pages:api_overview", request.organization.slug, api.public_id)
    crumbs = [
        (_("APIs"), _list_url(request)),
        (_("New API"), reverse("pages:api_new", args=[request.organization.slug])),
        (_("Review"), ""),
    ]
    rows = {
        "faults": lint_rows(text, read.faults),
        "warnings": lint_rows(text, read.warnings),
        "faults_max": FAULTS_MAX,
    }
    return render(request, "marketplace/api_review.html", {"form": form, "read": read, "crumbs": crumbs, **rows})


def live_stages(apis: list[Api]) -> dict[Any, list[Any]]:
    """The stages of each API that have something live, by the API's id."""
    rows = Stage.objects.filter(api__in=apis).exclude(live_deployment=None).select_related("live_deployment")
    found: dict[Any, list[Any]] = {}
    for stage in rows:
        found.setdefault(stage.api_id, []).append(stage)
    return found


def sample_document() -> str:
    """A complete OpenAPI document to try the import with; where the demo runs, its upstream is the demo's."""
    here = settings.TOLLGATE
    upstream_url = f"http://{here.upstream_bind}" if here.environment != "production" else ""
    return render_to_string("marketplace/sample_openapi.yaml", {"upstream_url": upstream_url})


def _create(request: HttpRequest, form: ApiNewForm, text: str) -> Api | None:
    """Create, import and set upstreams: all of it or nothing; a refusal lands on the form."""
    values = dict(form.cleaned_data)
    upstream = values.pop("upstream_url").strip()
    try:
        with transaction.atomic():
            api = api_create(provider=request.organization, person=request.user, **values)
            api_import_openapi(api=api, text=text, person=request.user)
            for stage in StageName.values if upstream else ():
                stage_upstream_set(api=api, stage=stage, url=upstream, person=request.user)
    except ApplicationError as error:
        form_refuse(form, error)
        return None
    return api


def _initial_of(read: Any) -> dict[str, str]:
    """Proposals taken from the document."""
    name = read.title[:80]
    server = read.hints.upstream_url or read.server_url
    summary = re.split(r"(?<=[.!?])\s|\n", read.description.strip(), maxsplit=1)[0][:200]
    return {
        "name": name,
        "base_path": "/" + (slugify(name)[:60] or "api"),
        "summary": summary,
        "upstream_url": server if urlsplit(server).scheme in ("http", "https") else "",
    }


def _list_url(request: HttpRequest) -> str:
    return reverse("pages:api_list", args=[request.organization.slug])
