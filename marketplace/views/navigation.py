"""The side navigation and the role switcher: which areas and pages a person sees. Other apps add their pages here.

An area is one of consumer, provider, finance, operator, account. ``navigation_register`` is called from an app's ``ready()``.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

from django.http import HttpRequest
from django.urls import reverse
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from marketplace.core.permissions import Action, role_permits

Area = Literal["consumer", "provider", "finance", "operator", "account"]
AREAS: dict[Area, str | Promise] = {
    "consumer": _("Consumer"),
    "provider": _("Provider"),
    "finance": _("Finance"),
    "operator": _("Operator"),
}
"""The areas of the role switcher; ``account`` (a person's own pages) is reached by the menu in the corner."""
ORGANIZATION_AREAS: tuple[Area, Area] = ("consumer", "provider")
"""Areas whose pages belong to one organization: their URLs take its slug."""


@dataclass(frozen=True, slots=True)
class NavItem:
    """One link. ``match``: first parts of url names that also count as this page; ``action``: what its page asks for (None: all see it)."""

    area: Area
    label: str | Promise
    url_name: str
    icon: str
    order: int = 100
    group: str | Promise = ""
    match: tuple[str, ...] = ()
    action: Action | None = None


@dataclass(slots=True)
class _Registry:
    items: list[NavItem] = field(default_factory=list)


_registry = _Registry()


def navigation_register(*items: NavItem) -> None:
    """Add links. The first of an area (by order) is the area's home. Registering the same one twice changes nothing."""
    for item in items:
        if item not in _registry.items:
            _registry.items.append(item)
    _registry.items.sort(key=lambda item: item.order)


def area_items(area: str) -> list[NavItem]:
    """The links of an area, in order."""
    return [item for item in _registry.items if item.area == area]


@dataclass(frozen=True, slots=True)
class Link:
    """A link as the template shows it."""

    label: str | Promise
    url: str
    icon: str
    is_current: bool


def links_make(request: HttpRequest, *, area: str, slug: str, role: str) -> list[tuple[str | Promise, list[Link]]]:
    """The side navigation of an area for one organization and role, as (group title, links)."""
    name = request.resolver_match.view_name if request.resolver_match else ""
    groups: dict[str | Promise, list[Link]] = {}
    for item in area_items(area):
        if item.action is not None and not role_permits(role, item.action):
            continue
        is_current = name == item.url_name or any(name.startswith(head) for head in item.match)
        link = Link(item.label, _url(item, slug), item.icon, is_current)
        groups.setdefault(item.group, []).append(link)
    return list(groups.items())


def area_links(*, area: str, slug: str, may_see: Callable[[str], bool]) -> list[Link]:
    """The role switcher: the areas that have pages and that the person may see."""
    links = []
    for key, label in AREAS.items():
        items = area_items(key)
        if not items or not may_see(key) or (key in ORGANIZATION_AREAS and not slug):
            continue
        links.append(Link(label, _url(items[0], slug), "", key == area))
    return links


def _url(item: NavItem, slug: str) -> str:
    return reverse(item.url_name, args=[slug]) if item.area in ORGANIZATION_AREAS else reverse(item.url_name)


def _both(label: Promise, url_name: str, icon: str, order: int, **more: Any) -> list[NavItem]:
    """A page that belongs to an organization whichever it is used as: the same link in both areas."""
    return [NavItem(area, label, url_name, icon, order, _("Organization"), **more) for area in ORGANIZATION_AREAS]


navigation_register(
    NavItem("consumer", _("Home"), "pages:consumer_home", "house", 10),
    NavItem("consumer", _("Apps"), "pages:app_list", "key-round", 20, match=("pages:app_", "pages:credential_")),
    NavItem("consumer", _("Usage"), "pages:usage", "chart-no-axes-column", 30, match=("pages:usage",)),
    NavItem("provider", _("Home"), "pages:provider_home", "house", 10),
    NavItem("provider", _("APIs"), "pages:api_list", "boxes", 20, match=("pages:api_", "billing:plan_")),
    NavItem("provider", _("Usage"), "pages:provider_usage", "chart-no-axes-column", 30),
    *_both(_("Team"), "pages:team", "users", 80, match=("pages:member_", "pages:invitation_")),
    *_both(_("Access tokens"), "pages:token_list", "lock", 85, match=("pages:token_",)),
    *_both(_("Settings"), "pages:organization_settings", "settings", 90),
    NavItem("account", _("Profile"), "pages:profile", "user", 10),
    NavItem("account", _("Sign-in and security"), "mfa_index", "shield-check", 20, match=("mfa_",)),
    NavItem("account", _("E-mail addresses"), "account_email", "mail", 30),
    NavItem("account", _("Password"), "account_change_password", "lock", 40, match=("account_set_password",)),
    NavItem("account", _("Sessions"), "usersessions_list", "monitor", 50),
    NavItem("account", _("Access tokens"), "pages:own_token_list", "terminal", 60, match=("pages:own_token_",)),
    NavItem("operator", _("Health"), "pages:operator_health", "activity", 10),
    NavItem("operator", _("Organizations"), "pages:operator_organizations", "building-2", 20, match=("pages:operator_organization",)),
    NavItem("operator", _("Listings"), "pages:operator_listings", "layout-grid", 30, match=("pages:operator_listing",)),
)  # fmt: skip
