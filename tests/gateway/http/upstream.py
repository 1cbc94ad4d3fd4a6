"""A scripted upstream on raw sockets: it counts every head that reaches it, keeps every whole request, and answers what a test tells it to.

A script is the bytes of an answer, or a function that gets the socket and the request. Without one it answers 200 "hello".
"""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass

HELLO = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n\r\nhello"


@dataclass(frozen=True)
class Received:
    """One request as it arrived: the raw head without its empty line, the decoded body, and on which connection."""

    head: bytes
    body: bytes
    connection: int

    @property
    def line(self) -> bytes:
        return self.head.split(b"\r\n", 1)[0]

    def values(self, name: str) -> list[bytes]:
        """The values of a header, in order."""
        lines = [line.split(b":", 1) for line in self.head.split(b"\r\n")[1:]]
        return [value.strip() for key, value in lines if key.lower() == name.lower().encode()]


Script = bytes | Callable[[socket.socket, Received], None]


class Upstream:
    """The server, a thread a connection."""

    def __init__(self) -> None:
        self.received: list[Received] = []
        self.scripts: dict[str, Script] = {}
        self.begun = 0
        self.connections = 0
        self.body_hook: Callable[[bytes], object] | None = None
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=512)
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._listener.close()

    def reset(self) -> None:
        """Forget what came and what was told."""
        self.received.clear()
        self.begun = 0
        self.scripts.clear()
        self.body_hook = None

    def last(self) -> Received:
        """The newest request."""
        return self.received[-1]

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                self.connections += 1
                threading.Thread(target=self._serve, args=(client, self.connections), daemon=True).start()

    def _serve(self, client: socket.socket, number: int) -> None:
        with client, contextlib.suppress(OSError, ValueError):
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            stream = client.makefile("rb")
            while head := self._head(stream):
                self.begun += 1
                body = self._body(head, stream, client)
                request = Received(head, body, number)
                self.received.append(request)
                script = self.scripts.get(request.line.split(b" ")[1].split(b"?")[0].decode("latin-1"), HELLO)
                if callable(script):
                    script(client, request)
                    return
                client.sendall(script)

    @staticmethod
    def _head(stream: object) -> bytes:
        lines = []
        while (line := stream.readline()) not in (b"\r\n", b""):  # type: ignore[attr-defined]
            lines.append(line)
        return b"".join(lines).removesuffix(b"\r\n")

    def _body(self, head: bytes, stream: object, client: socket.socket) -> bytes:
        fields = Received(head, b"", 0)
        if fields.values("expect"):
            client.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        read = stream.read  # type: ignore[attr-defined]
        if fields.values("transfer-encoding"):
            content = []
            while size := int(stream.readline(), 16):  # type: ignore[attr-defined]
                content.append(read(size))
                read(2)
            read(2)
            return b"".join(content)
        length = int((fields.values("content-length") or [b"0"])[0])
        if self.body_hook is None:
            body = bytes(read(length))
            if len(body) < length:
                raise ValueError("the body was cut")
            return body
        while length:
            piece = read(min(length, 1 << 20))
            if not piece:
                raise ValueError("the body was cut")
            self.body_hook(piece)
            length -= len(piece)
        return b""
