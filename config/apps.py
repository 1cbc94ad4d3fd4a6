"""The Django app of the root: it owns the commands `up`, `demo` and `doctor`, and no tables. And the admin, with our door."""

from django.apps import AppConfig
from django.contrib.admin.apps import AdminConfig


class ConfigConfig(AppConfig):
    """Makes the root's management commands findable."""

    name = "config"

    def ready(self) -> None:
        """Configure Celery in every Django process: the portal enqueues by name, and must reach the same broker."""
        import config.celery  # noqa: F401


class OperatorAdminConfig(AdminConfig):
    """Django's admin behind ``config.admin_site``."""

    default_site = "config.admin_site.OperatorAdminSite"
