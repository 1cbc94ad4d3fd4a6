"""Takes a picture of every page in light and dark, wide and narrow, for people to look at. A tool, not a test.

    python -m tests.portal.capture [folder] [name …]

Starts stores and a portal of its own, and stops them.
"""

import os
import shutil
import sys
import tempfile
from pathlib import Path

from tests import harness, servers

WIDTHS = (1280, 360)
SCHEMES = ("light", "dark")


def main(folder: Path, names: list[str]) -> None:
    """Capture the pages (all, or the named ones) into ``folder``."""
    harness.environment_prepare()
    with servers.stores() as stores:
        os.environ.update(stores.environment)
        import django

        django.setup()
        from tests.portal.pages import pages_list
        from tests.portal.scene import scene_make

        scene = scene_make()
        pages = [page for page in pages_list(scene) if not names or page[0] in names]
        with servers.portal(stores.environment) as portal:
            _capture(portal.url, pages, folder)


def _capture(url: str, pages: list[tuple[str, str, str]], folder: Path) -> None:
    from playwright.sync_api import sync_playwright

    from tests.chromium import chromium_open
    from tests.portal.looking import log_in, problems_of

    with sync_playwright() as playwright:
        browser = chromium_open(playwright)
        for who in dict.fromkeys(who for _name, who, _path in pages):
            state = log_in(browser, url, who)
            for scheme in SCHEMES:
                for width in WIDTHS:
                    viewport = {"width": width, "height": 900}
                    context = browser.new_context(
                        color_scheme=scheme, viewport=viewport, storage_state=state, locale="en-GB"
                    )
                    page = context.new_page()
                    problems: list[str] = []
                    problems_of(page, problems)
                    for name, owner, path in pages:
                        if owner != who:
                            continue
                        page.goto(url + path)
                        page.wait_for_timeout(150)
                        overflow = page.evaluate("document.documentElement.scrollWidth - innerWidth")
                        if overflow > 0:
                            problems.append(f"{overflow} px too wide")
                        page.screenshot(path=folder / f"{name}-{scheme}-{width}.png", full_page=True)
                        if problems:
                            print(name, scheme, width, problems)
                            problems.clear()
                    context.close()
        browser.close()


if __name__ == "__main__":
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(tempfile.mkdtemp(prefix="tollgate-pages-"))
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    main(target, sys.argv[2:])
    print(target)
