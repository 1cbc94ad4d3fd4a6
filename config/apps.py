"""The Django app of the root: it owns the commands `up`, `demo` and `doctor`, and no tables."""

from django.apps import AppConfig


class ConfigConfig(AppConfig):
    """Makes the root's management commands findable."""

    name = "config"

    def ready(self) -> None:
        """Configure Celery in every Django process: the portal enqueues by name, and must reach the same broker."""
        import config.celery  # noqa: F401
