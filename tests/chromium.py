"""Debian's Chromium, headless: where it is, and how tests and tools open it."""

import shutil
from typing import Any

ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]


def chromium_find() -> str | None:
    """The path of the program, or None where there is none."""
    return shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


def chromium_open(playwright: Any) -> Any:
    """A running browser."""
    return playwright.chromium.launch(executable_path=chromium_find(), args=ARGUMENTS)
