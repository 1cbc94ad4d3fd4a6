"""The root of all URLs: the only place that knows all three apps. Each app lists its own pages and endpoints."""

from importlib.util import find_spec

from django.contrib import admin
from django.urls import URLPattern, URLResolver, include, path
from drf_spectacular.views import SpectacularAPIView

from config import http, well_known


def _included() -> list[URLPattern | URLResolver]:
    """The doors of each installed app: ``<app>.api.urls`` below /api/v1/, ``<app>.urls`` at the root."""
    found: list[URLPattern | URLResolver] = []
    for app in ("marketplace", "gateway", "billing"):
        if find_spec(f"{app}.api") and find_spec(f"{app}.api.urls"):
            found.append(path("api/v1/", include(f"{app}.api.urls")))
        if find_spec(f"{app}.urls"):
            found.append(path("", include(f"{app}.urls")))
    return found


handler400 = "config.refusals.bad_request"
handler404 = "config.refusals.not_found"
handler500 = "config.refusals.server_error"
urlpatterns = [
    path("livez", http.livez),
    path("readyz", http.readyz),
    path(".well-known/security.txt", well_known.security_txt),
    path("admin/", admin.site.urls),
    path("accounts/", include("allauth.urls")),
    path(
        "api/v1/schema/",
        SpectacularAPIView.as_view(permission_classes=[], authentication_classes=[]),
        name="api_schema",
    ),
    path("i18n/", include("django.conf.urls.i18n")),
    *_included(),
]
