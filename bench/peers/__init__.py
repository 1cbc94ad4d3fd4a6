"""One file a peer: how it is configured for the comparison, and how it is started."""

from bench.peers import caddy, envoy, haproxy, nginx, traefik
from bench.peers.base import Peer, PeerMissing

PEERS: tuple[Peer, ...] = (
    nginx.BARE,
    nginx.LUA,
    haproxy.CHECKS,
    traefik.AUTHORIZER,
    caddy.AUTHORIZER,
    envoy.AUTHORIZER,
)

__all__ = ["PEERS", "Peer", "PeerMissing"]
