"""Lets staff look at the marketplace's tables. Nothing is edited here: services write, and the console has their buttons."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest

from marketplace import models


class ReadOnly(admin.ModelAdmin):  # type: ignore[type-arg]
    """Look, and change nothing."""

    list_per_page = 50
    show_full_result_count = False

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Never."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Never."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Never."""
        return False


@admin.register(models.Person)
class PersonAdmin(ReadOnly):
    """People, without their passwords."""

    list_display = ("email", "name", "is_active", "is_platform_operator", "is_platform_finance", "last_login")
    search_fields = ("email", "name")
    exclude = ("password",)


@admin.register(models.Organization)
class OrganizationAdmin(ReadOnly):
    """Organizations."""

    list_display = ("name", "slug", "is_provider", "is_consumer", "is_suspended", "created_at")
    search_fields = ("name", "slug", "legal_name")


@admin.register(models.Membership)
class MembershipAdmin(ReadOnly):
    """Roles."""

    list_display = ("organization", "person", "role", "created_at")
    search_fields = ("organization__name", "person__email")


@admin.register(models.Api)
class ApiAdmin(ReadOnly):
    """APIs."""

    list_display = ("name", "provider", "base_path", "visibility", "is_suspended", "updated_at")
    search_fields = ("name", "base_path")
    exclude = ("search_tokens",)


@admin.register(models.Deployment)
class DeploymentAdmin(ReadOnly):
    """Deployments."""

    list_display = ("stage_id", "number", "checksum", "deployed_by", "created_at")


@admin.register(models.App)
class AppAdmin(ReadOnly):
    """Apps."""

    list_display = ("name", "organization", "is_suspended", "deleted_at", "created_at")
    search_fields = ("name", "organization__name")


@admin.register(models.Credential)
class CredentialAdmin(ReadOnly):
    """Credentials, without secrets and hashes."""

    list_display = ("identifier", "kind", "app", "expires_at", "revoked_at", "created_at")
    exclude = ("secret_encrypted", "code_hash")


@admin.register(models.Grant)
class GrantAdmin(ReadOnly):
    """Grants."""

    list_display = ("app", "api", "stage", "source", "starts_at", "ends_at", "revoked_at")


@admin.register(models.AuditEvent)
class AuditEventAdmin(ReadOnly):
    """Who did what."""

    list_display = ("at", "verb", "subject", "person", "organization")
    search_fields = ("verb", "subject")


@admin.register(models.UsageSegment)
class UsageSegmentAdmin(ReadOnly):
    """Journal segments as they arrived."""

    list_display = ("id", "node", "sequence", "events", "sealed_at", "received_at")


@admin.register(models.Change)
class ChangeAdmin(ReadOnly):
    """The outbox."""

    list_display = ("id", "kind", "subject_id", "at", "published_at")
