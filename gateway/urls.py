"""The gateway's pages in the portal: what each refusal means."""

from django.urls import include, path

from gateway import views

_errors = [path("", views.error_index, name="index"), path("<slug:code>", views.error_detail, name="detail")]
urlpatterns = [path("errors/", include((_errors, "errors")))]
