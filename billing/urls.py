"""Billing's doors at the root: its pages. The REST API is ``billing.api.urls``, mounted below /api/v1/."""

from django.urls import include, path

urlpatterns = [path("", include("billing.urls_pages"))]
