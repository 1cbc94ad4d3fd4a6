"""The API editor: overview, operations, upstreams, policies, deployments, subscribers, presentation, re-import. One view a tab."""

from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from marketplace.contracts.definition import ApiPolicies
from marketplace.core.openapi import FAULTS_MAX, document_read
from marketplace.errors import Fault, InvalidInput
from marketplace.forms.provider import ApiForm, DeployForm, DocumentForm, PoliciesForm, UpstreamForm
from marketplace.models import Api, Stage
from marketplace.selectors.access import grants_list
from marketplace.selectors.catalog import (
    activations_list,
    api_get,
    deployment_get,
    deployments_list,
    operations_list,
    stage_get,
    stages_list,
)
from marketplace.selectors.paging import page_take
from marketplace.services.catalog import (
    api_import_openapi,
    api_update,
    deployment_publish,
    deployment_rollback,
    deployment_withdraw,
    policies_set,
    stage_upstream_set,
)
from marketplace.views.doors import member_page, service_try
from marketplace.views.lint import lint_rows
from marketplace.views.usage_pictures import summary_make

ACTIVATIONS_SHOWN_MAX = 30


def _open(request: HttpRequest, api_id: str, *, manage: bool = False) -> Api:
    action = "api.manage" if manage else "api.view"
    return api_get(person=request.user, public_id=api_id, action=action, within=request.organization)  # type: ignore[arg-type]


def _show(request: HttpRequest, template: str, api: Api, tab: str, **context: Any) -> HttpResponse:
    list_url = reverse("pages:api_list", args=[request.organization.slug])
    context |= {
        "api": api,
        "tab": tab,
        "crumbs": [(_("APIs"), list_url), (api.name, "")],
        "stages": stages_list(api=api),
    }
    return render(request, f"marketplace/{template}.html", context)


@require_safe
@member_page("provider", "api.view")
def api_overview(request: HttpRequest, api_id: str) -> HttpResponse:
    """State of the stages, usage, and what is left to do."""
    api = _open(request, api_id)
    operations = operations_list(api=api).count()
    return _show(
        request,
        "api_overview",
        api,
        "overview",
        operation_count=operations,
        summary=summary_make(organization=request.organization, days=30, side="provider", api=api),
        grants=grants_list(api=api).count(),
        deploy_form=DeployForm(),
    )


@require_safe
@member_page("provider", "api.view")
def api_operations(request: HttpRequest, api_id: str) -> HttpResponse:
    """The operations as imported."""
    api = _open(request, api_id)
    return _show(request, "api_operations", api, "operations", operations=list(operations_list(api=api)))


@require_http_methods(["GET", "HEAD", "POST"])
@member_page("provider", "api.manage")
def api_import(request: HttpRequest, api_id: str) -> HttpResponse:
    """Import the next version of the document."""
    api = _open(request, api_id, manage=True)
    form = DocumentForm(request.POST or None, request.FILES or None)
    context: dict[str, Any] = {"form": form, "report": None}
    if request.method == "POST" and form.is_valid():
        text = form.cleaned_data["document"]
        context |= {"faults": lint_rows(text, document_read(text).faults), "faults_max": FAULTS_MAX}
        if not context["faults"]:
            report = service_try(request, api_import_openapi, form=form, api=api, text=text, person=request.user)
            context |= {"report": report, "warnings": lint_rows(text, report.warnings if report else [])}
            if report is not None:
                messages.success(request, _("Imported. It takes effect with the next deployment."))
    return _show(request, "api_import", api, "operations", **context)


@require_safe
@member_page("provider", "api.view")
def api_upstreams(request: HttpRequest, api_id: str) -> HttpResponse:
    """Where the calls of each stage go."""
    api = _open(request, api_id)
    forms = [(stage, _upstream_form(stage)) for stage in stages_list(api=api)]
    return _show(request, "api_upstreams", api, "upstreams", forms=forms)


@require_POST
@member_page("provider", "api.manage")
def api_upstream_set(request: HttpRequest, api_id: str, stage: str) -> HttpResponse:
    """Set the upstream of one stage."""
    api = _open(request, api_id, manage=True)
    chosen = stage_get(api=api, name=stage)
    form = _upstream_form(chosen, request.POST)
    if form.is_valid():
        done = service_try(
            request, _upstream_save, form=form, api=api, stage=stage, person=request.user, **form.cleaned_data
        )
        if done is not None:
            text = _("Saved. It takes effect on %(stage)s with the next deployment.")
            messages.success(request, text % {"stage": chosen.get_name_display()})
            return redirect("pages:api_upstreams", request.organization.slug, api.public_id)
    forms = [(row, form if row.name == stage else _upstream_form(row)) for row in stages_list(api=api)]
    return _show(request, "api_upstreams", api, "upstreams", forms=forms, faulty=form)


def _upstream_save(**arguments: Any) -> Stage:
    """``stage_upstream_set`` with its faults renamed to the form's fields."""
    try:
        return stage_upstream_set(**arguments)
    except InvalidInput as error:
        faults = [Fault(fault.pointer.replace("/upstream_", "/"), fault.detail) for fault in error.faults]
        raise InvalidInput(error.message, code=error.code, faults=faults) from error


def _upstream_form(stage: Stage, values: Any = None) -> UpstreamForm:
    initial = {"url": stage.upstream_url, "host": stage.upstream_host, "timeout_ms": stage.upstream_timeout_ms}
    return UpstreamForm(values, initial=initial, prefix=None, auto_id=f"{stage.name}_%s")


@require_http_methods(["GET", "HEAD", "POST"])
@member_page("provider", "api.view")
def api_policies(request: HttpRequest, api_id: str) -> HttpResponse:
    """Who may call, how calls are signed, and rate limits."""
    api = _open(request, api_id)
    initial = PoliciesForm.initial_of(ApiPolicies.from_dict(api.policies))
    form = PoliciesForm(request.POST or None, initial=initial)
    if request.method == "POST" and form.is_valid():
        api = _open(request, api_id, manage=True)
        policies = form.policies(api.policies)
        if service_try(request, policies_set, form=form, api=api, policies=policies, person=request.user):
            messages.success(request, _("Saved. It takes effect with the next deployment."))
            return redirect("pages:api_policies", request.organization.slug, api.public_id)
    return _show(request, "api_policies", api, "policies", form=form)


@require_safe
@member_page("provider", "api.view")
def api_deployments(request: HttpRequest, api_id: str) -> HttpResponse:
    """What is live where, the history, and the button to deploy."""
    api = _open(request, api_id)
    stage = request.GET.get("stage", "")
    rows = deployments_list(api=api, stage=stage)
    page = page_take(rows, cursor=request.GET.get("cursor", ""), bound={"stage": stage})
    activations = list(activations_list(api=api)[:ACTIVATIONS_SHOWN_MAX])
    return _show(
        request,
        "api_deployments",
        api,
        "deployments",
        page=page,
        activations=activations,
        form=DeployForm(),
        stage=stage,
    )


@require_POST
@member_page("provider", "api.manage")
def api_deploy(request: HttpRequest, api_id: str) -> HttpResponse:
    """Put the API as it is now live on a stage."""
    api = _open(request, api_id, manage=True)
    form = DeployForm(request.POST)
    if not form.is_valid():
        messages.error(request, " ".join(str(text) for texts in form.errors.values() for text in texts))
    else:
        deployment = service_try(request, deployment_publish, api=api, person=request.user, **form.cleaned_data)
        if deployment is not None:
            values = {"number": deployment.number, "stage": deployment.stage.get_name_display()}
            messages.success(request, _("Deployment %(number)d is live on %(stage)s within two seconds.") % values)
    return _to_deployments(request, api)


@require_http_methods(["GET", "HEAD", "POST"])
@member_page("provider", "api.manage")
def api_rollback(request: HttpRequest, api_id: str, deployment_id: str) -> HttpResponse:
    """Make an earlier deployment live again, after showing which."""
    api = _open(request, api_id, manage=True)
    deployment = deployment_get(api=api, public_id=deployment_id)
    if request.method == "POST":
        done = service_try(
            request, deployment_rollback, stage=deployment.stage, deployment=deployment, person=request.user
        )
        if done is not None:
            messages.success(request, _("Deployment %(number)d is live again.") % {"number": deployment.number})
        return _to_deployments(request, api)
    return _show(request, "api_rollback", api, "deployments", deployment=deployment)


@require_http_methods(["GET", "HEAD", "POST"])
@member_page("provider", "api.manage")
def api_withdraw(request: HttpRequest, api_id: str, stage: str) -> HttpResponse:
    """Take a stage offline, after showing who calls it."""
    api = _open(request, api_id, manage=True)
    chosen = stage_get(api=api, name=stage)
    if request.method == "POST":
        if service_try(request, deployment_withdraw, stage=chosen, person=request.user):
            messages.success(request, _("%(stage)s is offline.") % {"stage": chosen.get_name_display()})
        return _to_deployments(request, api)
    grants = grants_list(api=api).filter(stage=stage).count()
    return _show(request, "api_withdraw", api, "deployments", stage=chosen, grants=grants)


@require_safe
@member_page("provider", "api.view")
def api_subscribers(request: HttpRequest, api_id: str) -> HttpResponse:
    """Who holds a grant for this API; billing adds subscriptions here."""
    api = _open(request, api_id)
    page = page_take(grants_list(api=api), cursor=request.GET.get("cursor", ""))
    return _show(request, "api_subscribers", api, "subscribers", page=page)


@require_http_methods(["GET", "HEAD", "POST"])
@member_page("provider", "api.view")
def api_listing(request: HttpRequest, api_id: str) -> HttpResponse:
    """How the API presents itself in the catalogue."""
    api = _open(request, api_id)
    form = ApiForm(request.POST or None, instance=api)
    if request.method == "POST" and form.is_valid():
        api = _open(request, api_id, manage=True)
        if service_try(request, api_update, form=form, api=api, person=request.user, **form.cleaned_data):
            messages.success(request, _("Saved."))
            return redirect("pages:api_listing", request.organization.slug, api.public_id)
    return _show(request, "api_listing", api, "listing", form=form)


def _to_deployments(request: HttpRequest, api: Api) -> HttpResponse:
    return redirect("pages:api_deployments", request.organization.slug, api.public_id)
