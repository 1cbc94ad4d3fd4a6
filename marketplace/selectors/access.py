"""Shows apps, their credentials (never a secret) and grants, to those who may see them."""

from django.db.models import Count, Q, QuerySet
from django.utils import timezone

from marketplace.core.permissions import Action
from marketplace.models import Api, App, Credential, Grant, Organization, Person
from marketplace.selectors.accounts import entity_find, permission_require


def apps_list(*, organization: Organization) -> QuerySet[App]:
    """The living apps of an organization, with ``credentials_live`` and ``grants_live`` counted."""
    now = timezone.now()
    live_credential = Q(credentials__revoked_at=None) & (
        Q(credentials__expires_at=None) | Q(credentials__expires_at__gt=now)
    )
    live_grant = Q(grants__revoked_at=None) & (Q(grants__ends_at=None) | Q(grants__ends_at__gt=now))
    return App.objects.filter(organization=organization, deleted_at=None).annotate(
        credentials_live=Count("credentials", filter=live_credential, distinct=True),
        grants_live=Count("grants", filter=live_grant, distinct=True),
    )


def app_get(*, person: Person, public_id: str, action: Action = "app.view", within: Organization | None = None) -> App:
    """One living app in whose organization the person may do ``action``. Raises NotFound, NotPermitted."""
    rows = App.objects.filter(deleted_at=None).select_related("organization")
    app = entity_find(App, rows.filter(organization=within) if within else rows, public_id)
    permission_require(person=person, organization=app.organization, action=action)
    return app


def credentials_list(*, app: App, is_ended_shown: bool = False) -> QuerySet[Credential]:
    """The credentials of an app, newest first; those that have ended only when asked for."""
    rows = app.credentials.order_by("-id")
    if is_ended_shown:
        return rows
    return rows.filter(Q(expires_at=None) | Q(expires_at__gt=timezone.now()), revoked_at=None)


def credential_get(
    *,
    person: Person,
    public_id: str,
    action: Action = "credential.manage",
    within: Organization | None = None,
) -> Credential:
    """One credential of a living app in whose organization the person may do ``action``. Raises NotFound, NotPermitted."""
    rows = Credential.objects.filter(app__deleted_at=None).select_related("app__organization")
    credential = entity_find(Credential, rows.filter(app__organization=within) if within else rows, public_id)
    permission_require(person=person, organization=credential.app.organization, action=action)
    return credential


def grants_list(
    *,
    app: App | None = None,
    api: Api | None = None,
    organization: Organization | None = None,
    is_ended_shown: bool = False,
) -> QuerySet[Grant]:
    """Grants of an app, for an api, or of all apps of an organization; those that have ended only when asked for."""
    rows = Grant.objects.select_related("app__organization", "api__provider")
    rows = rows.defer("api__document", "api__search_tokens")
    if app is not None:
        rows = rows.filter(app=app)
    if api is not None:
        rows = rows.filter(api=api)
    if organization is not None:
        rows = rows.filter(app__organization=organization)
    if is_ended_shown:
        return rows
    return rows.filter(Q(ends_at=None) | Q(ends_at__gt=timezone.now()), revoked_at=None)


def grant_get(*, person: Person, public_id: str, within: Organization | None = None) -> Grant:
    """One grant that the person may see as its consumer or as its api's provider. Raises NotFound, NotPermitted."""
    rows = Grant.objects.select_related("app__organization", "api__provider")
    if within:
        rows = rows.filter(Q(app__organization=within) | Q(api__provider=within))
    grant = entity_find(Grant, rows, public_id)
    provider = grant.api.provider
    is_provider = provider.memberships.filter(person=person).exists() and (within is None or within == provider)
    party = provider if is_provider else grant.app.organization
    permission_require(person=person, organization=party, action="api.view" if is_provider else "app.view")
    return grant
