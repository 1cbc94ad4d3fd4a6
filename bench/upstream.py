"""The upstream of every run: nginx that answers one 100-byte JSON document from memory, with keep-alive, on the load core."""

from __future__ import annotations

from bench.machine import LOAD_CORE, Machine, NotStarted, port_free, program_find

BODY = '{"city":"Hangzhou","temperature_c":21,"humidity_pct":64,"wind":"NE","source":"bench","padding":".."}'

CONFIG = """
daemon off; master_process off; pid {folder}/upstream.pid; error_log {folder}/upstream-error.log warn;
events {{ worker_connections 4096; }}
http {{
  access_log off; keepalive_requests 1000000000; keepalive_timeout 3600;
  client_body_temp_path {folder}/up-body; proxy_temp_path {folder}/up-proxy; fastcgi_temp_path {folder}/up-f;
  uwsgi_temp_path {folder}/up-u; scgi_temp_path {folder}/up-s;
  server {{
    listen 127.0.0.1:{port} reuseport backlog=4096; default_type application/json;
    location / {{ return 200 '{body}'; }}
  }}
}}
"""


def upstream_start(machine: Machine) -> int:
    """Start the upstream and return its port. Raises NotStarted when Debian's nginx is missing."""
    nginx = program_find("nginx")
    if nginx is None:
        raise NotStarted("the bench needs nginx (Debian package nginx) as its upstream")
    port = port_free()
    path = machine.folder / "upstream.conf"
    path.write_text(CONFIG.format(folder=machine.folder, port=port, body=BODY))
    machine.start([nginx, "-c", str(path), "-e", str(machine.folder / "up.log")], core=LOAD_CORE, port=port)
    return port
