"""Writes about what is offered: an Api, its policies, and the upstreams of its stages.

Importing its operations is in ``services.imports``, putting it live in ``services.deployments``; both are offered here too, so
that callers need one name. Nothing here reaches a gateway until a deployment is published.
"""

from dataclasses import asdict
from typing import Any

from django.conf import settings
from django.db import connection, transaction
from django.utils.translation import gettext as _

from marketplace.core.ids import MalformedId
from marketplace.core.paths import MalformedPath, base_path_parse, base_paths_overlap
from marketplace.core.policies import policies_read
from marketplace.core.upstreams import (
    TIMEOUT_MS_MAX,
    TIMEOUT_MS_MIN,
    UpstreamRefused,
    upstream_authority_check,
    upstream_url_parse,
)
from marketplace.errors import Fault, InvalidInput, LimitReached, NameTaken
from marketplace.models import Api, App, Organization, Person, Stage, StageName
from marketplace.models.base import id_mint
from marketplace.services.accounts import entity_check, fields_set, slug_make
from marketplace.services.audit import audit_record
from marketplace.services.changes import change_announce
from marketplace.services.deployments import deployment_publish, deployment_rollback, deployment_withdraw
from marketplace.services.imports import ImportReport, api_import_openapi
from marketplace.services.stages import api_lock, search_tokens_set, stage_lock

__all__ = [
    "ImportReport",
    "api_create",
    "api_import_openapi",
    "api_suspend",
    "api_update",
    "deployment_publish",
    "deployment_rollback",
    "deployment_withdraw",
    "policies_set",
    "stage_upstream_set",
]

APIS_PER_PROVIDER_MAX = 200
API_FIELDS = frozenset({"name", "summary", "description", "category", "visibility"})


@transaction.atomic
def api_create(
    *,
    provider: Organization,
    name: str,
    base_path: str,
    person: Person | None,
    summary: str = "",
    description: str = "",
    category: str = "",
    visibility: str = "public",
) -> Api:
    """Create an Api with its three stages, and make the organization a provider. Raises InvalidInput, NameTaken, LimitReached."""
    path = _base_path_take(base_path)
    provider = Organization.objects.select_for_update().get(id=provider.id)
    if provider.apis.count() >= APIS_PER_PROVIDER_MAX:
        raise LimitReached(_("The organization has as many APIs as it can have."))
    identity = id_mint()
    api = Api(
        id=identity,
        provider=provider,
        name=name.strip(),
        slug=slug_make(name, identity.hex),
        base_path=path,
        summary=summary,
        description=description,
        category=category.strip(),
        visibility=visibility,
    )
    entity_check(api, exclude=["search_tokens"])
    api.save()
    Stage.objects.bulk_create(Stage(api=api, name=stage) for stage in StageName.values)
    if not provider.is_provider:
        provider.is_provider = True
        provider.save(update_fields=["is_provider"])
    search_tokens_set(api)
    _audit(api, "api.create", person, base_path=path)
    return api


@transaction.atomic
def api_update(*, api: Api, person: Person | None, **fields: Any) -> Api:
    """Change how an Api presents itself (API_FIELDS); its base path never changes. Raises InvalidInput."""
    api = fields_set(api, fields, allowed=API_FIELDS)
    api.save()
    search_tokens_set(api)
    _audit(api, "api.update", person, fields=sorted(fields))
    return api


@transaction.atomic
def api_suspend(*, api: Api, person: Person | None, is_suspended: bool = True, reason: str = "") -> Api:
    """Take an Api off every gateway and out of the catalogue (or let it back), by the platform's hand."""
    api = api_lock(api=api)
    api.is_suspended = is_suspended
    api.save(update_fields=["is_suspended", "updated_at"])
    _audit(api, "api.suspend" if is_suspended else "api.resume", person, reason=reason[:300])
    change_announce(kind="catalog", subject_id=api.id)
    return api


@transaction.atomic
def policies_set(*, api: Api, policies: dict[str, Any], person: Person | None) -> Api:
    """Replace an Api's policies (a dict as ``asdict(ApiPolicies)``; left-out fields get their defaults).

    ``rate_app_exceptions`` is keyed by app id, public or bare. In force with the next deployment. Raises InvalidInput.
    """
    value, faults = policies_read(_exceptions_bare(policies))
    if value is None:
        raise InvalidInput(
            _("The policies cannot be set as asked."), faults=[Fault(pointer, text) for pointer, text in faults]
        )
    api = api_lock(api=api)
    api.policies = asdict(value)
    api.save(update_fields=["policies", "updated_at"])
    _audit(api, "api.policies_set", person)
    return api


@transaction.atomic
def stage_upstream_set(
    *, api: Api, stage: str, url: str, person: Person | None, host: str = "", timeout_ms: int = 10_000
) -> Stage:
    """Say where calls of a stage go (``stage``: test, pre or release). In force with the next deployment. Raises InvalidInput."""
    faults: list[Fault] = []
    is_private_allowed = settings.TOLLGATE_UPSTREAM_PRIVATE
    try:
        url = upstream_url_parse(url, is_private_allowed=is_private_allowed)
    except UpstreamRefused as error:
        faults.append(Fault("/upstream_url", str(error)))
    try:
        if host:
            upstream_authority_check(host)
    except UpstreamRefused as error:
        faults.append(Fault("/upstream_host", str(error)))
    if not TIMEOUT_MS_MIN <= timeout_ms <= TIMEOUT_MS_MAX:
        detail = _("Must be from %(min)d to %(max)d milliseconds") % {"min": TIMEOUT_MS_MIN, "max": TIMEOUT_MS_MAX}
        faults.append(Fault("/upstream_timeout_ms", detail))
    if faults:
        raise InvalidInput(" ".join(fault.detail for fault in faults), faults=faults)
    row = stage_lock(api=api, stage=stage)
    row.upstream_url, row.upstream_host, row.upstream_timeout_ms = url, host, timeout_ms
    row.save(update_fields=["upstream_url", "upstream_host", "upstream_timeout_ms"])
    _audit(api, "stage.upstream_set", person, stage=stage, url=url)
    return row


def _base_path_take(text: str) -> str:
    """Check a base path and hold the lock under which base paths are given out, until the transaction ends."""
    try:
        path = base_path_parse(text)
    except MalformedPath as error:
        raise InvalidInput(str(error), faults=[Fault("/base_path", str(error))]) from error
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended('tollgate.base_path', 0))")
    first = path.split("/")[1]
    neighbours = Api.objects.filter(base_path__regex=rf"^/{first.replace('.', '[.]')}(/|$)")
    for taken in neighbours.values_list("base_path", flat=True):
        if base_paths_overlap(path, taken):
            message = _("The base path %(taken)s is in use and would share calls with this one. Choose another.")
            raise NameTaken(
                message % {"taken": taken},
                code="base_path_taken",
                faults=[Fault("/base_path", message % {"taken": taken})],
            )
    return path


def _exceptions_bare(policies: dict[str, Any]) -> dict[str, Any]:
    exceptions = policies.get("rate_app_exceptions")
    if not isinstance(exceptions, dict):
        return policies
    bare = {}
    for app, rate in exceptions.items():
        try:
            bare[str(App.id_from_public(app)) if app.startswith("app_") else app] = rate
        except MalformedId as error:
            raise InvalidInput(str(error), faults=[Fault(f"/rate_app_exceptions/{app}", str(error))]) from error
    return {**policies, "rate_app_exceptions": bare}


def _audit(api: Api, verb: str, person: Person | None, **detail: Any) -> None:
    audit_record(verb=verb, subject=api.public_id, person=person, organization=api.provider, detail=detail)
