"""Subscriber: messages that Valkey pushes to a worker, on a connection of its own that is known to be alive.

A subscription can die in silence (a dropped route, a frozen server). So it is pinged several times a second; when no answer comes it
is opened again, and ``on_restored`` says that messages may have been missed. Who listens: directory.py, leases.py, plane.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from gateway.dataplane.resp import Connection, StoreDown, address_parse, connect

PING_S = 0.3
SILENCE_S_MAX = 0.9
"""A connection that says nothing for this long is given up. With PING_S and one reconnect this stays below 2 s, the longest
time in which a revoked credential may still work."""
BACK_OFF_S = 0.2

Listener = Callable[[bytes], None]


class Subscriber:
    """Channels and their listeners; ``on_restored`` callbacks run each time a subscription has become live.

    ``is_live`` says whether messages arrive now.
    """

    def __init__(self, url: str) -> None:
        self._address = address_parse(url)
        self._listeners: dict[bytes, list[Listener]] = {}
        self._restored: list[Callable[[], None]] = []
        self._connection: Connection | None = None
        self._task: asyncio.Task[None] | None = None

    @property
    def is_live(self) -> bool:
        """Whether the connection is open and answers."""
        return self._connection is not None and self._connection.is_open

    def listen(self, channel: str, listener: Listener) -> None:
        """Call ``listener`` with each message of a channel. Before start(), or at any time after."""
        name = channel.encode()
        if name not in self._listeners and self._connection is not None:
            self._connection.write(("SUBSCRIBE", name))
        self._listeners.setdefault(name, []).append(listener)

    def on_restored(self, callback: Callable[[], None]) -> None:
        """Call ``callback`` whenever messages may have been missed."""
        self._restored.append(callback)

    async def start(self) -> None:
        """Subscribe in the background and stay subscribed."""
        self._task = asyncio.get_running_loop().create_task(self._stay_subscribed())

    async def close(self) -> None:
        """End the subscription."""
        if self._task is not None:
            self._task.cancel()
        if self._connection is not None:
            self._connection.close()
        await asyncio.sleep(0.001)  # the transport ends in the next turns

    async def _stay_subscribed(self) -> None:
        while True:
            try:
                self._connection = await connect(self._address, on_lost=self._lost, on_push=self._pushed)
            except StoreDown:
                await asyncio.sleep(BACK_OFF_S)
                continue
            if self._listeners:
                self._connection.write(("SUBSCRIBE", *self._listeners))
            await self._watch(self._connection)

    async def _watch(self, connection: Connection) -> None:
        loop = asyncio.get_running_loop()
        while connection.is_open:
            connection.write(("PING",))
            await asyncio.sleep(PING_S)
            if loop.time() - connection.heard_at > SILENCE_S_MAX:
                connection.close()

    def _lost(self, connection: Connection) -> None:
        if connection is self._connection:
            self._connection = None

    def _pushed(self, message: list[Any]) -> None:
        if message[0] == b"message":
            for listener in self._listeners.get(message[1], ()):
                listener(message[2])
        elif message[0] == b"subscribe" and message[2] == len(self._listeners):
            for callback in self._restored:
                callback()
