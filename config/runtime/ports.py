"""Are the addresses free that we want to listen on? If not, who has them, and what to set instead."""

import socket
from collections.abc import Mapping

import psutil


def ports_taken(binds: Mapping[str, str]) -> list[str]:
    """One sentence for each address that cannot be had; ``binds`` maps a variable's name to ``host:port``."""
    faults = []
    for name, bind in binds.items():
        host, _, port = bind.rpartition(":")
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        with socket.socket(family) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((host.strip("[]"), int(port)))
            except OSError as fault:
                why = f"is taken{_holder(int(port))}" if fault.errno == 98 else f"cannot be had ({fault.strerror})"
                faults.append(
                    f"{bind} {why}. Stop that program, or choose another address: {name}={host}:{int(port) + 1}"
                )
    return faults


def _holder(port: int) -> str:
    """Who listens on the port, as far as the system tells us."""
    try:
        for connection in psutil.net_connections(kind="tcp"):
            is_here = bool(connection.laddr) and tuple(connection.laddr)[-1] == port
            if is_here and connection.status == psutil.CONN_LISTEN and connection.pid:
                return f" by process {connection.pid} ({psutil.Process(connection.pid).name()})"
    except psutil.Error:
        return ""
    return ""
