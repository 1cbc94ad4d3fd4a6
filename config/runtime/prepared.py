"""Remembers which migrations the embedded database has seen, so that a warm start need not load Django to find nothing to do."""

import hashlib
from pathlib import Path

from config.env import BASE_DIR

APPS = ("marketplace", "gateway", "billing")
FILE_NAME = "prepared"


def schema_mark() -> str:
    """A hash over everything that can change the schema: our migrations, and the pinned packages that bring theirs."""
    digest = hashlib.sha256()
    files = [path for app in APPS for path in sorted((BASE_DIR / app / "migrations").glob("*.py"))]
    for path in [*files, *sorted((BASE_DIR / "config" / "demo").iterdir()), BASE_DIR / "requirements.txt"]:
        if path.is_file():
            digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


def is_prepared(home: Path) -> bool:
    """Whether the database below ``home`` was prepared by exactly this code. The note lies beside the data it is about."""
    path = home / FILE_NAME
    return path.exists() and path.read_text() == schema_mark()


def prepared_note(home: Path) -> None:
    """Note that it was."""
    (home / FILE_NAME).write_text(schema_mark())
