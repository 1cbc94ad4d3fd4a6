"""The listening socket of a worker: one of several on the same port (SO_REUSEPORT), and how it is closed without cutting anybody off."""

from __future__ import annotations

import ctypes
import socket
import struct

BACKLOG = 4_096
SETTLE_S = 0.25
"""How long a closing listener still accepts what had begun to connect."""
_SO_ATTACH_FILTER = 26
_SYN_FILTER = (
    # Classic BPF over the TCP header: flags are octet 13; a SYN without ACK opens a connection and is dropped.
    (0x30, 0, 0, 13),
    (0x54, 0, 0, 0x12),
    (0x15, 0, 1, 0x02),
    (0x06, 0, 0, 0),
    (0x06, 0, 0, 0xFFFFFFFF),
)


def listen(host: str, port: int) -> socket.socket:
    """Open a listening socket that shares its port with the other workers'. Raises OSError."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        sock.setblocking(False)
        sock.bind((host, port))
        sock.listen(BACKLOG)
    except OSError:
        sock.close()
        raise
    return sock


def refuse_new(sock: socket.socket) -> bool:
    """Let no new connection begin on ``sock``, while those under way can still be accepted.

    Closing a listener resets every connection in its queue, and one may join the queue at any moment. So new SYNs are
    dropped first: their clients send them again a second later, to another worker or to nobody, and lose nothing.
    Returns False where the system has no such filter; then only the queue of this moment is saved.
    """
    program = (ctypes.c_char * (8 * len(_SYN_FILTER))).from_buffer_copy(
        b"".join(struct.pack("HBBI", *instruction) for instruction in _SYN_FILTER)
    )
    try:
        sock.setsockopt(
            socket.SOL_SOCKET,
            _SO_ATTACH_FILTER,
            struct.pack("HxxxxxxP", len(_SYN_FILTER), ctypes.addressof(program)),
        )
    except OSError:
        return False
    return True
