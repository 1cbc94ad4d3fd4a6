"""Shows what is offered: the public catalogue with search, and a provider's own APIs with stages and deployments."""

from dataclasses import dataclass

from django.db.models import Count, Q, QuerySet
from django.db.models.expressions import RawSQL
from django.utils.translation import gettext as _

from marketplace.contracts.definition import ApiDefinition
from marketplace.core.permissions import Action
from marketplace.core.search import query_text
from marketplace.errors import NotFound
from marketplace.models import Activation, Api, Deployment, Operation, Organization, Person, Stage, Visibility
from marketplace.selectors.accounts import entity_find, permission_require
from marketplace.selectors.paging import PAGE_DEFAULT, Page, page_take

RANK_SCALE = 1_000_000
"""Search ranks are compared as whole numbers of this resolution, so that a cursor can hold one."""

HEAVY = ("document", "search_tokens")
"""Columns of up to some megabytes that no list shows: loaded only when one API is looked at."""


@dataclass(frozen=True, slots=True)
class Category:
    """A category of the catalogue and how many listed APIs it has."""

    name: str
    apis: int


def listed_apis() -> QuerySet[Api]:
    """The APIs that the catalogue lists: public, live on release, nobody suspended; without their documents."""
    rows = Api.objects.filter(
        visibility=Visibility.PUBLIC,
        is_suspended=False,
        provider__is_suspended=False,
        stages__name="release",
        stages__live_deployment__isnull=False,
    )
    return rows.select_related("provider").defer(*HEAVY)


def catalog_list(
    *, search: str = "", category: str = "", provider: str = "", cursor: str = "", limit: int = PAGE_DEFAULT
) -> Page[Api]:
    """A page of the catalogue: newest first, or best match first when ``search`` (any language) is given. Raises InvalidInput."""
    rows = listed_apis()
    if category:
        rows = rows.filter(category__iexact=category)
    if provider:
        rows = rows.filter(provider__slug=provider)
    bound = {"search": search, "category": category, "provider": provider}
    if not search.strip():
        return page_take(rows, cursor=cursor, limit=limit, bound=bound)
    query = query_text(search)
    if not query:
        return Page([], "")
    rank = "(ts_rank(marketplace_api.search_tokens, %s::tsquery) * %s)::bigint"
    rows = rows.extra(where=["marketplace_api.search_tokens @@ %s::tsquery"], params=[query])
    rows = rows.annotate(rank=RawSQL(rank, [query, RANK_SCALE]))  # noqa: S611 - parameters only
    return page_take(rows, cursor=cursor, limit=limit, order=("-rank", "-id"), bound=bound)


def categories_list() -> list[Category]:
    """The categories of listed APIs, largest first."""
    rows = listed_apis().exclude(category="").values("category").annotate(apis=Count("id"))
    return [Category(row["category"], row["apis"]) for row in rows.order_by("-apis", "category")[:100]]


def catalog_get(*, slug: str, person: Person | None = None) -> Api:
    """One API by its slug or public id: listed, or of an organization that the person is a member of. Raises NotFound."""
    rows = Api.objects.select_related("provider")
    if slug.startswith("api_") or "\x00" in slug:
        found: Api | None = entity_find(Api, rows, slug)
    else:
        found = rows.filter(slug=slug[:80]).first()
    if found is not None and (listed_apis().filter(id=found.id).exists() or _is_insider(found, person)):
        return found
    raise NotFound(_("There is no such API in the catalogue."))


def apis_list(*, organization: Organization) -> QuerySet[Api]:
    """An organization's own APIs, with ``operations_live`` counted; without their documents."""
    return organization.apis.defer(*HEAVY).annotate(
        operations_live=Count("operations", filter=Q(operations__retired_at=None))
    )


def api_get(*, person: Person, public_id: str, action: Action = "api.view", within: Organization | None = None) -> Api:
    """One API in whose provider the person may do ``action``. Raises NotFound, NotPermitted."""
    rows = Api.objects.select_related("provider")
    api = entity_find(Api, rows.filter(provider=within) if within else rows, public_id)
    permission_require(person=person, organization=api.provider, action=action)
    return api


def operations_list(*, api: Api) -> QuerySet[Operation]:
    """The operations of an API in the document's order, retired ones left out."""
    return api.operations.filter(retired_at=None)


def definition_live(*, api: Api, stage: str = "release") -> ApiDefinition | None:
    """What the gateway serves of an API on a stage; None when nothing is live there."""
    rows = api.stages.filter(name=stage, live_deployment__isnull=False)
    found = rows.values_list("live_deployment__definition", flat=True).first()
    return None if found is None else ApiDefinition.from_dict(found)


def operations_offered(*, api: Api, stage: str = "release") -> QuerySet[Operation]:
    """The operations that callers reach on a stage: the live deployment's, not the draft's. Before the first one, the draft's."""
    live = definition_live(api=api, stage=stage)
    if live is None:
        return operations_list(api=api)
    return api.operations.filter(id__in=[operation.id for operation in live.operations])


def operation_offered_get(*, api: Api, public_id: str) -> Operation:
    """One operation that callers reach on release. Raises NotFound."""
    return entity_find(Operation, operations_offered(api=api), public_id)


def stages_list(*, api: Api) -> list[Stage]:
    """The three stages of an API in their order test, pre, release, with what is live."""
    order = {"test": 0, "pre": 1, "release": 2}
    rows = api.stages.select_related("live_deployment__deployed_by")
    return sorted(rows, key=lambda stage: order[stage.name])


def stage_get(*, api: Api, name: str) -> Stage:
    """One stage of an API by name. Raises NotFound."""
    stage = api.stages.select_related("api__provider", "live_deployment").filter(name=name[:10]).first()
    if stage is None:
        raise NotFound(_("There is no such stage. Choose test, pre or release."))
    return stage


def deployments_list(*, api: Api, stage: str = "") -> QuerySet[Deployment]:
    """The deployments of an API, newest first; of one stage when named."""
    rows = Deployment.objects.filter(stage__api=api).select_related("stage", "deployed_by").order_by("-id")
    return rows.filter(stage__name=stage) if stage else rows


def deployment_get(*, api: Api, public_id: str) -> Deployment:
    """One deployment of an API. Raises NotFound."""
    return entity_find(Deployment, deployments_list(api=api), public_id)


def activations_list(*, api: Api) -> QuerySet[Activation]:
    """What became live when, and by whom, newest first."""
    return Activation.objects.filter(stage__api=api).select_related("stage", "deployment", "person").order_by("-id")


def _is_insider(api: Api, person: Person | None) -> bool:
    if person is None:
        return False
    is_member = api.provider.memberships.filter(person=person).exists()
    return (
        is_member
        or person.is_platform_operator
        or api.grants.filter(revoked_at=None, app__organization__memberships__person=person).exists()
    )
