"""The door of Django's admin: platform operators only, and no way in but the portal's own login.

Django's login form of the admin knows neither the limit on guesses nor second factors; here it does not exist.
"""

from typing import Any

from django.conf import settings
from django.contrib.admin import AdminSite
from django.contrib.auth.views import redirect_to_login
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme


class OperatorAdminSite(AdminSite):
    """The admin, for people who run the platform."""

    def has_permission(self, request: HttpRequest) -> bool:
        """Staff that are operators of the platform."""
        return super().has_permission(request) and bool(getattr(request.user, "is_platform_operator", False))

    def login(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """Lead to the portal's login, and back. To people who are logged in but no operators the admin does not exist."""
        del extra_context
        home = reverse("admin:index")
        if self.has_permission(request):
            return redirect(home)
        if request.user.is_authenticated:
            raise Http404
        onward = request.GET.get("next", home)
        is_ours = url_has_allowed_host_and_scheme(onward, allowed_hosts=None)
        return redirect_to_login(onward if is_ours else home, settings.LOGIN_URL)

    def password_change(  # type: ignore[override]  # a redirect, not the admin's own page
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Lead to the portal's page, which asks who one is and writes a mail about the change."""
        del request, extra_context
        return redirect("account_change_password")
