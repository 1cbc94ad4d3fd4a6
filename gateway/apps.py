"""The gateway app: enforcement of grants, limits and signatures on proxied calls."""

from django.apps import AppConfig


class GatewayConfig(AppConfig):
    """Connects the gateway to the marketplace's outbox and pages."""

    name = "gateway"

    def ready(self) -> None:
        """Have the marketplace's outbox published to the gateways; it knows publishers, not the gateway."""
        from gateway.pages import pages_register
        from gateway.services.publish import change_publish
        from marketplace.services.changes import publisher_register

        publisher_register(change_publish)
        pages_register()
