"""What every page's frame needs: theme, organizations, areas, navigation. Read lazily: a public page asks for little."""

from typing import Any

from django.conf import settings
from django.http import HttpRequest
from django.urls import reverse
from django.utils.functional import SimpleLazyObject

from marketplace.models import Membership
from marketplace.selectors.accounts import memberships_list
from marketplace.views import navigation

THEME_COOKIE = "tollgate_theme"
ORGANIZATION_COOKIE = "tollgate_organization"
AREA_COOKIE = "tollgate_area"
"""Consumer or provider: which of the two an organization that is both was last used as."""
THEMES = ("system", "light", "dark")
MEMBERSHIPS_SHOWN_MAX = 50


def portal(request: HttpRequest) -> dict[str, Any]:
    """Context processor: ``portal`` with theme, area, organization, memberships, areas and navigation."""
    return {"portal": SimpleLazyObject(lambda: _portal(request)), "theme": theme_get(request)}


def theme_get(request: HttpRequest) -> str:
    """The person's choice of light, dark, or the system's."""
    theme = request.COOKIES.get(THEME_COOKIE, "system")
    return theme if theme in THEMES else "system"


def memberships_of(request: HttpRequest) -> list[Membership]:
    """The person's memberships, read once a request."""
    if not request.user.is_authenticated:
        return []
    if not hasattr(request, "portal_memberships"):
        found = memberships_list(person=request.user)[:MEMBERSHIPS_SHOWN_MAX]
        request.portal_memberships = list(found)  # type: ignore[attr-defined]
    return request.portal_memberships  # type: ignore[attr-defined]


def membership_default(request: HttpRequest) -> Membership | None:
    """The membership whose organization was used last, or the first."""
    memberships = memberships_of(request)
    last = request.COOKIES.get(ORGANIZATION_COOKIE, "")
    return next((one for one in memberships if one.organization.slug == last), memberships[0] if memberships else None)


def area_of(request: HttpRequest, membership: Membership) -> str:
    """Consumer or provider, for what belongs to both: the one last used, or else provider when there is something to provide."""
    if not membership.organization.is_provider:
        return "consumer"
    if not membership.organization.is_consumer:
        return "provider"
    return "consumer" if request.COOKIES.get(AREA_COOKIE) == "consumer" else "provider"


def home_url(request: HttpRequest, membership: Membership) -> str:
    """Where a member lands."""
    return reverse(f"pages:{area_of(request, membership)}_home", args=[membership.organization.slug])


def _portal(request: HttpRequest) -> dict[str, Any]:
    area = getattr(request, "area", "") or ("account" if request.path.startswith("/accounts/") else "")
    membership = getattr(request, "membership", None) or membership_default(request)
    slug = membership.organization.slug if membership else ""
    role = membership.role if membership else ""
    person = request.user

    def may_see(key: str) -> bool:
        if key in navigation.ORGANIZATION_AREAS:
            return membership is not None
        return bool(getattr(person, "is_platform_operator" if key == "operator" else "is_platform_finance", False))

    return {
        "area": area,
        "membership": membership,
        "organization": membership.organization if membership else None,
        "memberships": [(one, home_url(request, one)) for one in memberships_of(request)],
        "home_url": home_url(request, membership) if membership else "",
        "areas": navigation.area_links(area=area, slug=slug, may_see=may_see),
        "navigation": navigation.links_make(request, area=area, slug=slug, role=role) if area else [],
        "gateway_url": settings.TOLLGATE.gateway_url,
        "mail_folder": settings.EMAIL_FILE_PATH if settings.TOLLGATE.environment == "demo" else "",
    }
