"""What the supervisor says on the terminal: steps with their time, and warnings of its processes. A lost terminal is no error."""

import contextlib
import json
import os
import re
import sys
import time
from collections.abc import Iterator

LINE_CHARACTERS_MAX = 240
LINES_PER_WINDOW_MAX = 12
WINDOW_S = 10.0
_BAD_JSON = {"warning", "error", "critical", "exception"}
_SHOWN_ALREADY = {"level", "event", "exception", "timestamp", "logger", "request_id"}
_NOISE = (
    "the database system is starting up",
    "the database system is shutting down",
    "Memory overcommit must be enabled",
)
_BAD_TEXT = re.compile(r"\b(WARNING|ERROR|CRITICAL|FATAL|PANIC|Traceback)\b")


def say(text: str = "") -> None:
    """Write a line; when the terminal has gone, nothing happens."""
    with contextlib.suppress(OSError, ValueError):
        sys.stdout.write(text + "\n")
        sys.stdout.flush()


@contextlib.contextmanager
def step(name: str) -> Iterator[None]:
    """Show a step and, when it is done, its time."""
    started = time.monotonic()
    is_terminal = _is_terminal()
    back = "\r\033[K" if is_terminal else ""
    if is_terminal:
        with contextlib.suppress(OSError):
            sys.stdout.write(f"  {name:<10} …")
            sys.stdout.flush()
    try:
        yield
    except BaseException as end:
        say(f"{back}  {name:<10} {'failed' if isinstance(end, Exception) else 'stopped'}")
        raise
    say(f"{back}  {name:<10} {time.monotonic() - started:.1f} s")


def bold(text: str) -> str:
    """Bold on a terminal, plain elsewhere."""
    return f"\033[1m{text}\033[0m" if _is_terminal() else text


def warning_of(line: str) -> str:
    """What of a log line deserves the terminal: the event of a JSON line of that level, plain text that says so, or nothing."""
    if not line.startswith("{"):
        return line if _BAD_TEXT.search(line) and not any(text in line for text in _NOISE) else ""
    try:
        said = json.loads(line)
    except ValueError:
        return ""
    if str(said.get("level", "")).lower() not in _BAD_JSON:
        return ""
    reason = str(said.get("exception", "")).strip().splitlines()[-1:]
    rest = [f"{name}={value}" for name, value in said.items() if name not in _SHOWN_ALREADY]
    return " ".join([f"{said['level']}: {said.get('event', '')}", *rest, *reason])


class Warnings:
    """Shows warnings of one process, but no flood of them: the rest is in its log."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._window_began = 0.0
        self._shown = 0

    def look_at(self, line: str) -> None:
        """Show a line that is a warning, shortened, unless this process has said enough for now."""
        text = warning_of(line)
        if text:
            self._show(text)

    def _show(self, line: str) -> None:
        now = time.monotonic()
        if now - self._window_began > WINDOW_S:
            self._window_began, self._shown = now, 0
        self._shown += 1
        if self._shown <= LINES_PER_WINDOW_MAX:
            say(f"{self.name:>9} | {line[:LINE_CHARACTERS_MAX]}")
        elif self._shown == LINES_PER_WINDOW_MAX + 1:
            say(f"{self.name:>9} | … more of this in var/logs/{self.name}.log")


def _is_terminal() -> bool:
    try:
        return os.isatty(sys.stdout.fileno())
    except (OSError, ValueError):
        return False
