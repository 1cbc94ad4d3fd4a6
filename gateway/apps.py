"""The gateway app: enforcement of grants, limits and signatures on proxied calls."""

from django.apps import AppConfig


class GatewayConfig(AppConfig):
    name = "gateway"
