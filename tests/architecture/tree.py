"""The source as syntax trees, read once, and the pages for people: what the rules of this folder look at."""

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
SOURCE_FOLDERS = ("marketplace", "gateway", "billing", "config", "bench")


@cache
def source_files(*folders: str) -> tuple[Path, ...]:
    """Python files of these folders (of all source, when none is named), migrations apart."""
    found: list[Path] = []
    for folder in folders or SOURCE_FOLDERS:
        found += [path for path in (ROOT / folder).rglob("*.py") if "migrations" not in path.parts]
    return tuple(sorted(found))


@cache
def pages() -> tuple[Path, ...]:
    """Everything that is written for people: the pages of the root, of docs/, and the README of each folder."""
    found = [*ROOT.glob("*.md")]
    for folder in ("docs", *SOURCE_FOLDERS, "templates", "static"):
        found += (ROOT / folder).rglob("*.md")
    return tuple(sorted(found))


@cache
def parsed(path: Path) -> ast.Module:
    """The syntax tree of a file."""
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


def shown(path: Path, node: ast.AST | None = None) -> str:
    """``folder/file.py:line`` for a message."""
    place = str(path.relative_to(ROOT))
    return f"{place}:{node.lineno}" if node is not None and hasattr(node, "lineno") else place


def imported(path: Path) -> Iterator[tuple[ast.AST, str]]:
    """Every module that a file imports, with ``from a import b`` given as ``a.b``."""
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node, alias.name
        elif isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                yield node, f"{node.module}.{alias.name}"


def dotted(node: ast.AST) -> str:
    """``a.b.c`` of an attribute chain, or an empty text for anything else."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        head = dotted(node.value)
        return f"{head}.{node.attr}" if head else f"?.{node.attr}"
    return ""


def functions(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    """Every function and method of a file."""
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node
