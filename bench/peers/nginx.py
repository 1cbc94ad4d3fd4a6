"""nginx, bare and with Lua; and the same Lua as the external authorizer of the peers that need one.

The Lua does what the gateway does on a call: find the app by its code, check its grant, a rate limit (one counter a
second) and a quota counter in shared memory, and write a JSON access log.
"""

from __future__ import annotations

import os
from pathlib import Path

from bench.machine import LOAD_CORE, SERVER_CORE, Machine, port_free
from bench.peers.base import APP_CODE, Peer, PeerMissing, program_need

MODULES = Path("/usr/lib/nginx/modules")

HEAD = """
{modules}
daemon off; worker_processes 1; pid {folder}/{name}.pid; error_log {folder}/{name}-error.log warn; {user}
events {{ worker_connections 8192; }}
http {{
  client_body_temp_path {folder}/{name}-body; proxy_temp_path {folder}/{name}-proxy;
  fastcgi_temp_path {folder}/{name}-f; uwsgi_temp_path {folder}/{name}-u; scgi_temp_path {folder}/{name}-s;
  keepalive_requests 1000000000; keepalive_timeout 3600; {http}
  upstream cluster {{
    server 127.0.0.1:{upstream}; keepalive 256; keepalive_requests 1000000000; keepalive_timeout 3600s;
  }}
  server {{
    listen 127.0.0.1:{port} reuseport backlog=4096;
    {server}
  }}
}}
"""

PROXY = (
    'proxy_pass http://cluster; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_set_header Host $host;'
)

LUA_HTTP = """
  lua_shared_dict apps 8m; lua_shared_dict counters 8m;
  init_by_lua_block {{
    require "resty.core"
    ngx.shared.apps:set("{code}", "app_bench:grant_bench")
  }}
  log_format usage escape=json '{{"time":"$msec","request_id":"$request_id","status":$status,'
    '"request_bytes":$request_length,"response_bytes":$bytes_sent,"latency":$request_time,"app":"$http_authorization"}}';
"""

LUA_CHECK = """
  access_by_lua_block {
    local authorization = ngx.var.http_authorization
    if not authorization or authorization:sub(1, 8) ~= "APPCODE " then return ngx.exit(400) end
    local app = ngx.shared.apps:get(authorization:sub(9))
    if not app then return ngx.exit(400) end
    local counters = ngx.shared.counters
    local calls = counters:incr("rate:" .. app .. ":" .. ngx.time(), 1, 0, 5)
    if calls > 1000000 then return ngx.exit(429) end
    local used = counters:incr("quota:" .. app, 1, 0)
    if used > 1000000000 then return ngx.exit(403) end
    ngx.header["X-Request-Id"] = ngx.var.request_id
  }
"""


def _user() -> str:
    return "user root;" if os.geteuid() == 0 else ""


def _start(machine: Machine, *, name: str, upstream: int, http: str, server: str, lua: bool, core: int) -> int:
    nginx = program_need("nginx", "Debian package nginx")
    modules = ""
    if lua:
        if not (MODULES / "ngx_http_lua_module.so").exists():
            raise PeerMissing("nginx has no Lua module (Debian package libnginx-mod-http-lua)")
        modules = "\n".join(
            f"load_module {MODULES}/{module}.so;" for module in ("ndk_http_module", "ngx_http_lua_module")
        )
    port = port_free()
    text = HEAD.format(
        modules=modules,
        folder=machine.folder,
        name=name,
        user=_user(),
        http=http,
        upstream=upstream,
        port=port,
        server=server,
    )
    path = machine.folder / f"{name}.conf"
    path.write_text(text)
    machine.start([nginx, "-c", str(path), "-e", str(machine.folder / f"{name}.log")], core=core, port=port)
    return port


def bare_start(machine: Machine, upstream: int) -> int:
    """nginx that only proxies, with kept-alive upstream connections."""
    server = f"location / {{ {PROXY} }}"
    return _start(
        machine, name="nginx", upstream=upstream, http="access_log off;", server=server, lua=False, core=SERVER_CORE
    )


def lua_start(machine: Machine, upstream: int) -> int:
    """nginx that checks in Lua, proxies, and logs JSON."""
    http = LUA_HTTP.format(code=APP_CODE)
    server = f"access_log {machine.folder}/usage.json usage buffer=64k flush=1s; location / {{ {LUA_CHECK} {PROXY} }}"
    return _start(machine, name="nginx-lua", upstream=upstream, http=http, server=server, lua=True, core=SERVER_CORE)


def authorizer_start(machine: Machine) -> int:
    """The external authorizer: the same Lua checks, answering 200 or a refusal, on the load core."""
    http = LUA_HTTP.format(code=APP_CODE)
    log = f"access_log {machine.folder}/authorizer.json usage buffer=64k flush=1s;"
    server = f"{log} location / {{ {LUA_CHECK} content_by_lua_block {{ ngx.exit(200) }} }}"
    return _start(machine, name="authorizer", upstream=1, http=http, server=server, lua=True, core=LOAD_CORE)


BARE = Peer("nginx", "proxies only", bare_start)
LUA = Peer("nginx-lua", "key check, rate limit, quota counter, JSON access log in Lua", lua_start)
