"""Shows the platform's operator what runs: journals that arrive, changes that wait, organizations and listings to look after."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Count, Max, Min, Q, QuerySet, Sum
from django.utils import timezone

from marketplace.models import Api, App, Change, Organization, Person, UsageSegment
from marketplace.selectors.accounts import entity_find
from marketplace.selectors.catalog import HEAVY, listed_apis

NODES_SHOWN_MAX = 50
NODE_WINDOW = timedelta(hours=24)
QUIET_AFTER = timedelta(minutes=5)
"""A node whose journals have not arrived for so long is shown as quiet (it may simply have no calls)."""


@dataclass(frozen=True, slots=True)
class NodeHealth:
    """One gateway node as its journals show it, over the last 24 hours."""

    node: str
    workers: int
    segments: int
    events: int
    last_at: datetime
    is_quiet: bool


@dataclass(frozen=True, slots=True)
class Health:
    """The state of the platform at one moment."""

    at: datetime
    nodes: list[NodeHealth]
    changes_waiting: int
    change_oldest_at: datetime | None
    organizations: int
    people: int
    apps: int
    apis_listed: int


def health_get() -> Health:
    """Look at the tables now."""
    waiting = Change.objects.filter(published_at=None).aggregate(count=Count("id"), oldest=Min("at"))
    now = timezone.now()
    return Health(
        at=now,
        nodes=_nodes(now),
        changes_waiting=waiting["count"],
        change_oldest_at=waiting["oldest"],
        organizations=Organization.objects.count(),
        people=Person.objects.filter(is_active=True).count(),
        apps=App.objects.filter(deleted_at=None).count(),
        apis_listed=listed_apis().count(),
    )


def organizations_search(*, text: str, public_id: str = "") -> QuerySet[Organization]:
    """Organizations whose name, slug or billing address holds ``text``; or the one with a public id (raises NotFound)."""
    rows = Organization.objects.annotate(
        members=Count("memberships", distinct=True), apps_count=Count("apps", distinct=True)
    )
    if public_id:
        return rows.filter(id=entity_find(Organization, Organization.objects.all(), public_id).id)
    if text:
        rows = rows.filter(Q(name__icontains=text) | Q(slug__icontains=text) | Q(billing_email__icontains=text))
    return rows


def listings_search(*, text: str, public_id: str = "") -> QuerySet[Api]:
    """APIs whose name, base path or provider holds ``text``; or the one with a public id (raises NotFound)."""
    rows = (
        Api.objects.select_related("provider")
        .defer(*HEAVY)
        .annotate(live=Count("stages", filter=~Q(stages__live_deployment=None)))
    )
    if public_id:
        return rows.filter(id=entity_find(Api, Api.objects.all(), public_id).id)
    if text:
        rows = rows.filter(Q(name__icontains=text) | Q(base_path__icontains=text) | Q(provider__name__icontains=text))
    return rows


def _nodes(now: datetime) -> list[NodeHealth]:
    rows = (
        UsageSegment.objects.filter(received_at__gte=now - NODE_WINDOW)
        .values("node")
        .annotate(
            workers=Count("boot", distinct=True),
            segments=Count("id"),
            events_sum=Sum("events"),
            last=Max("received_at"),
        )
        .order_by("node")[:NODES_SHOWN_MAX]
    )
    return [
        NodeHealth(
            row["node"],
            row["workers"],
            row["segments"],
            int(row["events_sum"] or 0),
            row["last"],
            now - row["last"] > QUIET_AFTER,
        )
        for row in rows
    ]
