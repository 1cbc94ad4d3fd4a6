"""Upstream pools: which connection carries a call: reuse, connecting, waiting, limits, retries and passive health.

One Pool an upstream definition and worker. What goes over a connection is exchange.py's.
"""

from __future__ import annotations

import asyncio
import ipaddress
import ssl
from collections import deque
from collections.abc import Collection
from functools import cached_property
from time import monotonic
from typing import TYPE_CHECKING
from urllib.parse import urlsplit
from weakref import WeakSet

from gateway.core.rejections import Rejection
from gateway.dataplane.exchange import SAFE_TO_REPEAT, Exchange
from marketplace.core.upstreams import UpstreamRefused, upstream_address_check

if TYPE_CHECKING:
    from gateway.core.http_response_head import ResponseParser
    from gateway.dataplane.call import Call
    from gateway.dataplane.settings import Settings
    from gateway.dataplane.steps.respond import Respond
    from marketplace.contracts.definition import UpstreamDefinition

UNSAFE_IDLE_S_MAX = 1.0
"""A call that may not be sent twice takes no connection that was idle for longer: the upstream may be closing it right now."""
CONNECT_S_MAX = 5.0
WAITING_MAX = 4_096
"""Most calls of one worker that wait for a connection of one upstream."""
WAIT_S_MAX = 10.0
TRIES_MAX = 2
"""Most times a call is sent again after a kept connection turned out to be closed."""
ADDRESSES_TRIED_MAX = 3
RESOLVE_S = 30.0
LOOK_UP_S_MAX, LOOK_UP_KNOWN_S_MAX = 5.0, 1.0
"""How long a connection waits for the addresses of its upstream's name, and how long when it could take those from before."""
FAILURES_OPEN = 5
"""Failed connects in a row after which an upstream is left alone for OPEN_S."""
OPEN_S = 1.0

Address = tuple[int, tuple[str, int]]


class Upstreams:
    """The pools of one worker."""

    def __init__(self, settings: Settings, parser: ResponseParser) -> None:
        self.settings = settings
        self.parser = parser
        self.respond: Respond
        self.closing = False
        self.pools: dict[UpstreamDefinition, Pool] = {}
        self._alive: WeakSet[Pool] = WeakSet()

    def pool(self, definition: UpstreamDefinition) -> Pool:
        """The pool of an upstream, made at first use."""
        pool = self.pools.get(definition)
        if pool is None:
            pool = self.pools[definition] = Pool(self, definition)
            self._alive.add(pool)
        pool.is_retired = False
        return pool

    def retain(self, definitions: Collection[UpstreamDefinition]) -> None:
        """Let go of the pools of all other upstreams, each when its last call is done."""
        for definition, pool in self.pools.items():
            pool.is_retired = definition not in definitions

    @cached_property
    def tls(self) -> ssl.SSLContext:
        """What https upstreams are checked with: the machine's authorities and those of TOLLGATE_UPSTREAM_CA_FILE. One for all
        pools, since it holds a megabyte. A name must match; there is no way to switch that off."""
        context = ssl.create_default_context()
        context.set_alpn_protocols(["http/1.1"])
        if self.settings.upstream_ca_file is not None:
            context.load_verify_locations(self.settings.upstream_ca_file)
        return context

    def sweep(self, now: float) -> None:
        """End what took too long. Called every few milliseconds; ``now`` is monotonic.

        Pools that were let go too: a call that has its route from an older snapshot may come to one that had nothing to do.
        """
        for pool in self._alive:
            pool.sweep(now)
        for definition in [definition for definition, pool in self.pools.items() if pool.is_over]:
            del self.pools[definition]

    def close(self) -> None:
        """Close every connection; none is kept from now on."""
        self.closing = True
        for pool in self._alive:
            for exchange in list(pool.exchanges):
                exchange.transport.abort()


class Pool:
    """The connections to one upstream."""

    def __init__(self, owner: Upstreams, definition: UpstreamDefinition) -> None:
        parts = urlsplit(definition.url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(f"upstream {definition.url!r} is not an http or https URL")
        self.owner = owner
        self.secure = parts.scheme == "https"
        self.host = parts.hostname
        self.port = parts.port or (443 if self.secure else 80)
        self.authority = parts.netloc.rpartition("@")[2].encode("idna" if not parts.netloc.isascii() else "ascii")
        self.path_prefix = parts.path.rstrip("/").encode()
        self.server_name = definition.host.partition(":")[0] or self.host
        self.timeout_s = definition.timeout_ms / 1000
        self.connections_max = owner.settings.upstream_connections_max
        self.idle: list[Exchange] = []
        self.exchanges: set[Exchange] = set()
        self.connecting = 0
        self.waiting: deque[Call] = deque()
        self.failures = 0
        self.open_until = 0.0
        self.retries = 0
        self.is_retired = False
        self._tasks: set[asyncio.Task[None]] = set()
        self._addresses: list[Address] = []
        self._resolved_until = 0.0
        self._look_up: asyncio.Task[None] | None = None
        self._down_until: dict[Address, float] = {}
        self._turn = 0
        self._tls = owner.tls if self.secure else None

    @property
    def is_over(self) -> bool:
        """Whether nothing needs this pool any more."""
        return self.is_retired and not self.exchanges and not self.connecting and not self.waiting

    # -- taking and giving back -------------------------------------------------------------------------------------

    def submit(self, call: Call) -> None:
        """Send the call over a kept connection, or let it wait for one. Raises Rejection D503BB or D503CB."""
        idle = self.idle
        if idle and (call.method in SAFE_TO_REPEAT or idle[-1].idle_since > monotonic() - UNSAFE_IDLE_S_MAX):
            idle.pop().start(call)
            return
        self._queue(call)

    def _queue(self, call: Call) -> None:
        if self.failures >= FAILURES_OPEN and monotonic() < self.open_until:
            raise Rejection("D503CB", f"connecting failed {self.failures} times in a row")
        if len(self.waiting) >= WAITING_MAX:
            raise Rejection("D503BB", f"{WAITING_MAX} calls wait for this upstream already")
        call.waiting_since = monotonic()
        self.waiting.append(call)
        self._connect_more()

    def _connect_more(self) -> None:
        if self.connecting >= len(self.waiting):
            return
        if len(self.exchanges) + self.connecting >= self.connections_max:
            if self.idle:
                # Idle, and yet a call waits: it was idle for too long for a call that may not be sent twice.
                self.idle[0].discard()  # comes back here
            return
        self.connecting += 1
        task = asyncio.get_running_loop().create_task(self._connect())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def release(self, exchange: Exchange) -> None:
        """A connection is free: the next waiting call takes it, or it is kept."""
        while self.waiting:
            call = self.waiting.popleft()
            if not call.outcome:
                exchange.start(call)
                return
        exchange.is_reused = True  # whoever takes it later may find it closed
        self.idle.append(exchange)

    def forget(self, exchange: Exchange) -> None:
        """A connection is gone."""
        self.exchanges.discard(exchange)
        if exchange in self.idle:
            self.idle.remove(exchange)
        if self.waiting:
            self._connect_more()

    def retry(self, call: Call) -> bool:
        """Send a call again whose kept connection was closed under it. Returns False when it must not be repeated."""
        if call.tries >= TRIES_MAX or len(self.waiting) >= WAITING_MAX:
            return False
        call.tries += 1
        call.exchange = None
        self.retries += 1
        call.waiting_since = self.waiting[0].waiting_since if self.waiting else monotonic()
        self.waiting.appendleft(call)
        self._connect_more()
        return True

    def sweep(self, now: float) -> None:
        """Expire connections, and calls that waited too long."""
        for exchange in [exchange for exchange in self.exchanges if exchange.deadline < now]:
            exchange.expire()
        while self.is_retired and self.idle:
            self.idle[-1].discard()
        while self.waiting and (self.waiting[0].outcome or self.waiting[0].waiting_since + WAIT_S_MAX < now):
            self._refuse(self.waiting.popleft(), Rejection("D503BB", f"no connection was free for {WAIT_S_MAX:.0f} s"))

    # -- connecting -------------------------------------------------------------------------------------------------

    async def _connect(self) -> None:
        try:
            exchange = await self._open()
        except Rejection as rejection:
            self.connecting -= 1
            self._connect_failed(rejection)
            return
        except BaseException:
            self.connecting -= 1
            raise
        self.connecting -= 1
        self.failures = 0
        self.release(exchange)

    async def _open(self) -> Exchange:
        """Connect to one of the addresses. Raises Rejection D504RE, D504IL, D504CO or D504CS."""
        loop = asyncio.get_running_loop()
        fault = Rejection("D504CO")
        for address in await self._candidates():
            host, port = address[1]
            if not self._is_allowed(host):
                fault = Rejection("D504IL", f"`{self.host}`")
                continue
            try:
                _, exchange = await asyncio.wait_for(
                    loop.create_connection(
                        lambda: Exchange(self),
                        host,
                        port,
                        ssl=self._tls,
                        server_hostname=self.server_name if self._tls else None,
                    ),
                    min(CONNECT_S_MAX, self.timeout_s),
                )
            except ssl.SSLError as error:
                fault = Rejection("D504CS", f"`{_tls_fault(error)}`")
            except TimeoutError:
                fault = Rejection("D504CO", "`timed out`")
            except OSError as error:
                fault = Rejection("D504CO", f"`{error.strerror or 'failed'}`")
            else:
                if not exchange.transport.is_closing():
                    return exchange
                fault = Rejection("D504CO", "`closed as soon as it was opened`")
            self._down_until[address] = monotonic() + OPEN_S
        raise fault

    def _is_allowed(self, host: str) -> bool:
        """Whether a name led to an address that may be called: it was checked when saved, but names change (rebinding)."""
        try:
            address = ipaddress.ip_address(host.partition("%")[0])
            upstream_address_check(address, is_private_allowed=self.owner.settings.upstream_private)
        except (UpstreamRefused, ValueError):
            return False
        return True

    async def _candidates(self) -> list[Address]:
        """The addresses to try, in turn, those that failed lately last. Raises Rejection D504RE."""
        now = monotonic()
        if now >= self._resolved_until:
            await self._resolved()
        self._turn += 1
        start = self._turn % len(self._addresses)
        turned = self._addresses[start:] + self._addresses[:start]
        turned.sort(key=lambda address: self._down_until.get(address, 0.0) > now)
        return turned[:ADDRESSES_TRIED_MAX]

    async def _resolved(self) -> None:
        """Wait for the one look-up that is under way: a few threads do those of all upstreams, and names that nobody answers for
        would take them all. Raises Rejection D504RE when nothing came and nothing is known."""
        if self._look_up is None:
            self._look_up = asyncio.get_running_loop().create_task(self._resolve())
        longest_s = LOOK_UP_KNOWN_S_MAX if self._addresses else min(LOOK_UP_S_MAX, self.timeout_s)
        await asyncio.wait([self._look_up], timeout=longest_s)
        if not self._addresses:
            raise Rejection("D504RE", f"`{self.host}`")

    async def _resolve(self) -> None:
        """Look the addresses up. Those from before stay when that fails."""
        try:
            found = await asyncio.get_running_loop().getaddrinfo(self.host, self.port, type=1)
        except (OSError, UnicodeError):
            pass
        else:
            self._addresses = [(row[0], (str(row[4][0]), int(row[4][1]))) for row in found] or self._addresses
        finally:
            self._look_up = None
        if self._addresses:
            self._resolved_until = monotonic() + RESOLVE_S

    def _connect_failed(self, rejection: Rejection) -> None:
        """Refuse the oldest waiting call; all of them when no connection is left that could serve them."""
        self.failures += 1
        self.open_until = monotonic() + OPEN_S
        if self.waiting:
            self._refuse(self.waiting.popleft(), rejection)
        if not self.exchanges and not self.connecting:
            while self.waiting:
                self._refuse(self.waiting.popleft(), rejection)

    def _refuse(self, call: Call, rejection: Rejection) -> None:
        if not call.outcome:
            self.owner.respond.refuse(call, rejection)


def _tls_fault(error: ssl.SSLError) -> str:
    """What is wrong with the certificate, when that is it; OpenSSL's word for anything else."""
    return getattr(error, "verify_message", "") or error.reason or "TLS failed"
