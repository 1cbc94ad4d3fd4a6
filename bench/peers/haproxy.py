"""HAProxy with a key list, a stick-table rate limit and a JSON log to a local socket that nobody reads."""

from __future__ import annotations

from bench.machine import SERVER_CORE, Machine, port_free
from bench.peers.base import APP_CODE, Peer, program_need

CONFIG = """
global
  nbthread 1
  maxconn 8192
defaults
  mode http
  timeout connect 5s
  timeout client 3600s
  timeout server 3600s
  http-reuse always
frontend door
  bind 127.0.0.1:{port}
  acl known req.hdr(Authorization) -m str -f {folder}/codes.txt
  http-request deny deny_status 400 unless known
  stick-table type string len 48 size 100k expire 1h store http_req_rate(1s),http_req_cnt
  http-request track-sc0 req.hdr(Authorization)
  http-request deny deny_status 429 if {{ sc_http_req_rate(0) gt 1000000 }}
  http-request deny deny_status 403 if {{ sc_http_req_cnt(0) gt 1000000000 }}
  default_backend cluster
backend cluster
  server one 127.0.0.1:{upstream}
"""


def checks_start(machine: Machine, upstream: int) -> int:
    """HAProxy in front of the upstream. Raises PeerMissing."""
    haproxy = program_need("haproxy", "Debian package haproxy")
    port = port_free()
    (machine.folder / "codes.txt").write_text(f"APPCODE {APP_CODE}\n")
    path = machine.folder / "haproxy.cfg"
    path.write_text(CONFIG.format(port=port, upstream=upstream, folder=machine.folder))
    machine.start([haproxy, "-db", "-f", str(path)], core=SERVER_CORE, port=port)
    return port


CHECKS = Peer("haproxy", "key list, rate and count in a stick table, no log", checks_start)
