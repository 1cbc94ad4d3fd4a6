"""Where the embedded servers keep their data and sockets, derived from the var folder alone, so every process agrees.

When we are root, PostgreSQL must run as somebody else, who may not be able to enter the var folder. Its files then live in a
folder of our own below /var/lib or the temporary folder. No mode of a folder that we did not make is ever changed.
"""

import contextlib
import hashlib
import os
import pwd
import secrets
import stat
import tempfile
from pathlib import Path
from urllib.parse import quote

from config.embedded.spawn import Owner

SOCKET_PATH_BYTES_MAX = 107  # sun_path holds 108 bytes with the closing zero
POSTGRES_PORT = 5432  # only names the socket file: no TCP port is opened
POSTGRES_ROLE = "tollgate"
POSTGRES_DATABASE = "tollgate"


class PlaceTaken(Exception):
    """A folder that must be ours is not; the text says which."""


def postgres_owner() -> Owner | None:
    """The account PostgreSQL runs as: nobody special unless we are root, then an unprivileged one that exists already."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return Owner(uid=entry.pw_uid, gid=entry.pw_gid, name=name)
    message = (
        "Running as root, and no account called postgres or nobody exists: run as another user, or set DATABASE_URL."
    )
    raise RuntimeError(message)


def postgres_home(var: Path) -> Path:
    """The folder that holds PostgreSQL's data (``data``) and, when its path is short enough, its socket (``run``)."""
    if os.geteuid() != 0:
        return var / "postgres"
    return public_folder() / f"{_mark(var)}-{_identity(var)}" / "postgres"


def postgres_homes_stale(var: Path) -> list[Path]:
    """Folders that earlier var folders at the same path left behind (somebody removed the clone, then cloned again)."""
    if os.geteuid() != 0:
        return []
    ours = postgres_home(var).parent
    return [folder for folder in ours.parent.glob(f"{_mark(var)}-*") if folder != ours]


def postgres_socket_folder(home: Path) -> Path:
    """The folder of the socket: below ``home``, or a short one in the temporary folder when the path would be too long."""
    return _short_enough(home / "run", file_name=f".s.PGSQL.{POSTGRES_PORT}")


def postgres_url(home: Path, database: str = POSTGRES_DATABASE) -> str:
    """A connection URL that psycopg and Django both read: the socket folder goes percent-encoded in the host's place."""
    folder = quote(str(postgres_socket_folder(home)), safe="")
    return f"postgresql://{POSTGRES_ROLE}@{folder}:{POSTGRES_PORT}/{database}"


def valkey_home(var: Path) -> Path:
    """The folder that holds Valkey's append-only file."""
    return var / "valkey"


def valkey_socket(home: Path) -> Path:
    """The path of Valkey's socket."""
    return _short_enough(home, file_name="valkey.sock") / "valkey.sock"


def valkey_url(home: Path, number: int = 0) -> str:
    """The URL of database ``number`` of the Valkey server below ``home``."""
    return f"unix://{valkey_socket(home)}?db={number}"


def public_folder() -> Path:
    """A folder of ours that any account may pass through (for root only): the first candidate whose parents allow it."""
    for parent in (Path("/var/lib"), Path(tempfile.gettempdir()), Path("/tmp")):  # noqa: S108  (root's own subfolder)
        if parent.is_dir() and os.access(parent, os.W_OK) and is_open_to_all(parent):
            return parent / "tollgate"
    message = "No folder that an unprivileged account could enter was found: run as another user, or set DATABASE_URL."
    raise RuntimeError(message)


def private_folder_make(folder: Path, *, owner: Owner | None = None) -> None:
    """Make a folder that only its owner may enter. Raises PlaceTaken when somebody else has put something there before."""
    folder.mkdir(parents=True, exist_ok=True)
    found = folder.lstat()
    ours = {os.geteuid(), owner.uid} if owner else {os.geteuid()}
    if not stat.S_ISDIR(found.st_mode) or found.st_uid not in ours:
        raise PlaceTaken(f"{folder} belongs to somebody else: remove it, or set TOLLGATE_VAR to a shorter path.")
    if owner:
        os.chown(folder, owner.uid, owner.gid)
    folder.chmod(0o700)


def is_open_to_all(folder: Path) -> bool:
    """Whether any account may pass through this folder and all its parents."""
    folder = folder.resolve()
    return all(step.stat().st_mode & stat.S_IXOTH for step in (folder, *folder.parents))


def _short_enough(folder: Path, *, file_name: str) -> Path:
    if len(os.fsencode(folder / file_name)) <= SOCKET_PATH_BYTES_MAX:
        return folder
    return Path(tempfile.gettempdir()) / f"tollgate-{os.geteuid()}-{_mark(folder)}"


def _identity(var: Path) -> str:
    """What tells this var folder from an earlier one at the same path: random, made once, gone with the folder."""
    path = var / "place"
    if not path.exists():
        var.mkdir(parents=True, exist_ok=True)
        part = var / f"place.{os.getpid()}"
        part.write_text(secrets.token_hex(4))
        with contextlib.suppress(FileExistsError):
            os.link(part, path)  # the first process wins; the others read what it wrote
        part.unlink()
    return path.read_text()


def _mark(folder: Path) -> str:
    return hashlib.sha256(os.fsencode(folder.resolve())).hexdigest()[:12]
