"""The marketplace's doors at the root: its pages. The REST API is ``marketplace.api.urls``, mounted below /api/v1/."""

from django.urls import include, path

urlpatterns = [path("", include("marketplace.urls_pages"))]
