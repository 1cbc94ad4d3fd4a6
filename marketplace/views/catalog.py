"""The public pages: home, catalogue with search, and an API's listing with its reference. Open to all; indexable."""

import json
from typing import Any

from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from marketplace.errors import InvalidInput, NotFound
from marketplace.models import Api, Operation, Person
from marketplace.selectors.catalog import (
    catalog_get,
    catalog_list,
    categories_list,
    definition_live,
    operation_offered_get,
    operations_offered,
)
from marketplace.views.context import home_url, membership_default, portal
from marketplace.views.first_call import sample_call
from marketplace.views.markdown import markdown_render
from marketplace.views.schema import Node, SchemaReader, example_of, rules_of
from marketplace.views.slots import slot_render

FEATURED_MAX = 6
SEARCH_LENGTH_MAX = 200
EXAMPLE_CHARACTERS_MAX = 20_000


@require_safe
def home(request: HttpRequest) -> HttpResponse:
    """The front page; people who are logged in go on to their console."""
    membership = membership_default(request)
    if membership is not None and "home" not in request.GET:
        return redirect(home_url(request, membership))
    if request.user.is_authenticated and membership is None:
        areas = portal(request)["portal"]["areas"]  # the platform's own people belong to no organization
        return redirect(areas[0].url if areas else "pages:organization_new")
    page = catalog_list(limit=FEATURED_MAX)
    return render(request, "marketplace/home.html", {"apis": page.rows, "categories": categories_list()})


@require_safe
def catalog(request: HttpRequest) -> HttpResponse:
    """Search and browse; the URL holds the whole state. htmx swaps only the results."""
    search = request.GET.get("q", "").replace("\x00", "")[:SEARCH_LENGTH_MAX]
    category = request.GET.get("category", "").replace("\x00", "")[:40]
    fault = ""
    try:
        page = catalog_list(search=search, category=category, cursor=request.GET.get("cursor", ""), limit=24)
    except InvalidInput as error:
        fault = error.message
        page = catalog_list(search=search, category=category, limit=24)
    context = {"page": page, "search": search, "category": category, "categories": categories_list(), "fault": fault}
    template = "marketplace/catalog_results.html" if request.htmx else "marketplace/catalog.html"
    response = render(request, template, context)
    response["Vary"] = "HX-Request, Cookie"
    return response


@require_safe
def listing(request: HttpRequest, slug: str) -> HttpResponse:
    """An API's overview: what it is, how to begin, who offers it; what the gateway serves, not what waits for a deployment."""
    api = _find(request, slug)
    operations = list(operations_offered(api=api))
    context = {
        "description": markdown_render(api.description),
        "operations": operations,
        "samples": sample_call(api, app_code="YOUR_APPCODE"),
        "live": definition_live(api=api),
    }
    return _show(request, "listing", api, "overview", **context)


@require_safe
def listing_operations(request: HttpRequest, slug: str) -> HttpResponse:
    """All operations, by tag."""
    api = _find(request, slug)
    groups: dict[str, list[Operation]] = {}
    for operation in operations_offered(api=api):
        groups.setdefault(operation.tag, []).append(operation)
    return _show(request, "listing_operations", api, "operations", groups=list(groups.items()))


@require_safe
def listing_pricing(request: HttpRequest, slug: str) -> HttpResponse:
    """Plans and prices, filled by the slot ``listing.pricing``."""
    return _show(request, "listing_pricing", _find(request, slug), "pricing")


@require_safe
def operation(request: HttpRequest, slug: str, operation_id: str) -> HttpResponse:
    """The reference of one operation, from the stored document."""
    api = _find(request, slug)
    try:
        found = operation_offered_get(api=api, public_id=operation_id)
    except NotFound as error:
        raise Http404 from error
    reader = SchemaReader(api.document)
    context = {
        "operation": found,
        "description": markdown_render(found.description),
        "parameters": [_parameter(parameter, reader) for parameter in found.parameters],
        "body": _contents(found.request_body, reader),
        "body_required": bool((found.request_body or {}).get("required")),
        "answers": [_answer(code, answer, reader) for code, answer in sorted(found.responses.items())],
        "samples": sample_call(api, app_code="YOUR_APPCODE", operation=found),
        "siblings": list(operations_offered(api=api)),
    }
    return _show(request, "operation", api, "operations", **context)


@require_safe
def listing_document(request: HttpRequest, slug: str) -> HttpResponse:
    """The OpenAPI document as imported."""
    api = _find(request, slug)
    response = JsonResponse(api.document, json_dumps_params={"ensure_ascii": False, "indent": 2})
    response["Content-Disposition"] = f'attachment; filename="{api.slug}.openapi.json"'
    return response


def _find(request: HttpRequest, slug: str) -> Api:
    person = request.user if isinstance(request.user, Person) else None
    try:
        return catalog_get(slug=slug, person=person)
    except NotFound as error:
        raise Http404 from error


def _show(request: HttpRequest, template: str, api: Api, tab: str, **context: Any) -> HttpResponse:
    context |= {"api": api, "tab": tab, "request": request}
    context["pricing"] = slot_render("listing.pricing", context)
    return render(request, f"marketplace/{template}.html", context)


def _parameter(parameter: dict[str, Any], reader: SchemaReader) -> dict[str, Any]:
    schema = reader.resolve(parameter.get("schema") or {})
    return {
        **parameter,
        "type_text": reader.type_text(schema) if schema else parameter.get("type") or "string",
        "rules": rules_of(schema),
        "place_text": {"path": _("path"), "query": _("query"), "header": _("header"), "cookie": _("cookie")}.get(
            parameter.get("place", ""), ""
        ),
    }


def _contents(holder: dict[str, Any] | None, reader: SchemaReader) -> list[tuple[str, Node, str]]:
    """(media type, schema tree, example as JSON) of a body or an answer."""
    content = (holder or {}).get("content")
    if not isinstance(content, dict):
        return []
    return [
        (str(media), reader.tree(spec.get("schema")), _example_text(spec, reader))
        for media, spec in list(content.items())[:5]
        if isinstance(spec, dict)
    ]


def _answer(code: str, answer: dict[str, Any], reader: SchemaReader) -> dict[str, Any]:
    tone = {"2": "ok", "3": "accent", "4": "warn", "5": "danger"}.get(code[:1], "")
    return {
        "code": code,
        "tone": tone,
        "description": str(answer.get("description") or ""),
        "contents": _contents(answer, reader),
    }


def _example_text(spec: dict[str, Any], reader: SchemaReader) -> str:
    text = json.dumps(example_of(spec, reader.document), ensure_ascii=False, indent=2, default=str)
    return text if len(text) <= EXAMPLE_CHARACTERS_MAX else text[:EXAMPLE_CHARACTERS_MAX] + "\n…"
