"""Small helpers around Playwright: log in, collect what a page complains about, ask axe."""

from typing import Any

from axe_playwright_python.base import AXE_FILE_PATH

from tests.portal.scene import PASSWORD

AXE = AXE_FILE_PATH.read_text()
WCAG_TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
EXPECTED_STATUSES = ("status of 404", "status of 403")
"""Chromium logs an error for the very pages whose status we ask for."""
VARIANTS = (("light", 1280), ("dark", 1280), ("light", 360), ("dark", 360))


def log_in(browser: Any, url: str, email: str) -> dict[str, Any]:
    """Log in through the page and return the browser's storage; an empty one for nobody."""
    context = browser.new_context()
    if email:
        page = context.new_page()
        page.goto(f"{url}/accounts/login/")
        page.fill("input[name=login]", email)
        page.fill("input[name=password]", PASSWORD)
        page.click("form[action$='/login/'] button[type=submit]")
        page.wait_for_url(lambda address: "/accounts/login" not in address)
    state = context.storage_state()
    context.close()
    return state


def problems_of(page: Any, problems: list[str]) -> None:
    """Collect console errors (a CSP violation is one), script errors and failed requests of a page from now on."""

    def said(message: Any) -> None:
        if message.type in ("error", "warning") and not any(text in message.text for text in EXPECTED_STATUSES):
            problems.append(message.text)

    page.on("console", said)
    page.on("pageerror", lambda error: problems.append(str(error)))

    def failed(request: Any) -> None:
        if request.failure != "net::ERR_ABORTED":  # a refresh that was under way when the test went on to the next page
            problems.append(f"{request.url}: {request.failure}")

    page.on("requestfailed", failed)


def axe_load(page: Any) -> None:
    """Put axe into the page, as a developer's tool would: outside the page's Content-Security-Policy."""
    page.evaluate(AXE)


def axe_violations(page: Any, *, only_colour: bool = False) -> list[str]:
    """What axe finds against WCAG 2.0 to 2.2, A and AA: one line a violation. ``only_colour``: contrast alone (for dark)."""
    run = {"type": "rule", "values": ["color-contrast"]} if only_colour else {"type": "tag", "values": WCAG_TAGS}
    options = {"runOnly": run, "resultTypes": ["violations"]}
    found = page.evaluate("(options) => axe.run(document, options)", options)["violations"]
    return [f"{one['id']} ({one['impact']}): {one['nodes'][0]['html'][:160]}" for one in found]


def look(page: Any, name: str) -> list[str]:
    """Look at the open page in light and dark, wide and narrow: what axe finds, and whether it is wider than the window."""
    faults: list[str] = []
    axe_load(page)
    for scheme, width in VARIANTS:
        page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
        page.set_viewport_size({"width": width, "height": 900})
        faults += [f"{name} {scheme} {width}: {fault}" for fault in axe_violations(page, only_colour=scheme == "dark")]
        if page.evaluate("document.documentElement.scrollWidth > innerWidth"):
            faults.append(f"{name} {width}: wider than the window")
    page.set_viewport_size({"width": 1280, "height": 900})
    page.emulate_media(color_scheme="light")
    return faults


def pages_look(
    browser: Any, url: str, pages: list[tuple[str, str]], *, state: dict[str, Any], statuses: tuple[int, ...]
) -> list[str]:
    """Open each page (name, path) and look at it: all faults, those that its console tells of too. There must be pages."""
    assert pages
    context = browser.new_context(storage_state=state, locale="en-GB")
    page = context.new_page()
    faults: list[str] = []
    problems_of(page, faults)
    for name, path in pages:
        answer = page.goto(url + path)
        assert answer.status in statuses, (name, answer.status)
        faults += look(page, name)
    context.close()
    return faults
