"""Evidence: sealed segments kept compressed after they were shipped, found again by (boot, sequence). Who reads them for an
invoice line: marketplace.selectors.evidence.
"""

from __future__ import annotations

import gzip
import os
from pathlib import Path
from uuid import UUID

COMPRESSION_LEVEL = 3
"""Of gzip: ids are random and do not shrink, so more effort buys little."""


def evidence_name(boot: UUID, sequence: int) -> str:
    """The place of a segment, relative to the evidence store. It is the same for the same segment, whoever writes it."""
    return f"{boot.hex[:2]}/{boot.hex}/{sequence:012d}.seg.gz"


def evidence_write(root: Path, name: str, content: bytes) -> None:
    """Keep a segment, on disk before this returns. Writing it twice is the same as once. Raises OSError."""
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch = path.with_suffix(f".{os.getpid()}.new")
    with scratch.open("wb") as file:
        file.write(gzip.compress(content, COMPRESSION_LEVEL, mtime=0))
        file.flush()
        os.fsync(file.fileno())
    os.replace(scratch, path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def evidence_read(root: Path, name: str) -> bytes:
    """The bytes of a kept segment. Raises FileNotFoundError, OSError."""
    return gzip.decompress((root / name).read_bytes())
