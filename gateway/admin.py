"""Staff look at what was published; nothing is edited here."""

from django.contrib import admin
from django.http import HttpRequest

from gateway.models import SnapshotBuild


@admin.register(SnapshotBuild)
class SnapshotBuildAdmin(admin.ModelAdmin):
    """Read only: a build is a fact."""

    list_display = ("version", "at", "api_count", "size_bytes", "checksum")
    date_hierarchy = "at"

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Builds are made by publishing."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: object = None) -> bool:
        """A build is a fact."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: object = None) -> bool:
        """A build is a fact."""
        return False
