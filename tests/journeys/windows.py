"""One person's browser in the story: what its pages complain about is collected."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

PASSWORD = "correct horse battery"
ACTION_MS_MAX = 30_000
TEXT_SHOWN_MAX = 3_000


class Window:
    """A browser window of somebody. ``problems`` collects console errors and warnings (a CSP violation is one),
    script errors, requests that failed and pages of status 500."""

    def __init__(self, context: Any, url: str) -> None:
        context.set_default_timeout(ACTION_MS_MAX)
        self.page = context.new_page()
        self.url = url
        self.problems: list[str] = []
        self.page.on("console", self._said)
        self.page.on("pageerror", lambda error: self.problems.append(f"{self.page.url}: {error}"))
        self.page.on("requestfailed", self._failed)
        self.page.on("response", self._answered)

    def go(self, path: str) -> Any:
        """Open a path of the portal. Returns the page; anything but 200 fails."""
        answer = self.page.goto(f"{self.url}{path}")
        assert answer.status == 200, f"{path}: {answer.status}"
        return self.page

    def click(self, name: str, *, role: str = "link", within: str = "body", exact: bool = False) -> Any:
        """Click the first link or button of this name."""
        self.page.locator(within).get_by_role(role, name=name, exact=exact).first.click()
        return self.page

    def fill(self, **values: str) -> Any:
        """Fill in inputs by their names."""
        for name, value in values.items():
            self.page.locator(f"[name={name}]").first.fill(value)
        return self.page

    def choose(self, **values: str) -> Any:
        """Choose options of selects and of radio buttons by the inputs' names and the options' values."""
        for name, value in values.items():
            radio = self.page.locator(f'input[type=radio][name="{name}"][value="{value}"]')
            if radio.count():
                radio.check()
            else:
                self.page.locator(f"select[name={name}]").select_option(value)
        return self.page

    def sees(self, text: str) -> str:
        """Wait until the page shows a text. Returns the whole visible text."""
        self.page.get_by_text(text).first.wait_for()
        return self.text()

    def text(self) -> str:
        """The visible text of the page."""
        return str(self.page.locator("main").inner_text())

    def download(self, name: str) -> bytes:
        """Click a link that downloads; the file's bytes."""
        with self.page.expect_download() as waiting:
            self.click(name)
        return Path(waiting.value.path()).read_bytes()

    def log_in(self, address: str, password: str = PASSWORD) -> None:
        """Log in by the login page."""
        self.go("/accounts/login/")
        self.fill(login=address, password=password)
        self.click("Log in", role="button", within="main", exact=True)
        self.page.wait_for_url(lambda there: "/accounts/login" not in there)

    def _said(self, message: Any) -> None:
        if message.type in ("error", "warning"):
            self.problems.append(f"{self.page.url}: {message.text}")

    def _failed(self, request: Any) -> None:
        is_given_up = request.failure == "net::ERR_ABORTED"  # a page left while it refreshed itself; a download
        if not is_given_up:
            self.problems.append(f"{request.url}: {request.failure}")

    def _answered(self, answer: Any) -> None:
        if answer.status >= 500:
            self.problems.append(f"{answer.url}: {answer.status}")


@contextlib.contextmanager
def window(browser: Any, url: str) -> Iterator[Window]:
    """A fresh browser profile for a block; leaving it without an error fails on any problem a page had."""
    context = browser.new_context(locale="en-GB", accept_downloads=True)
    ours = Window(context, url)
    try:
        yield ours
    except Exception as fault:
        # Whatever is on the page, also what is no page of ours: this must never hide the fault itself.
        shown = str(ours.page.evaluate("document.body ? document.body.innerText : ''"))
        fault.add_note(f"The page was {ours.page.url}:\n{shown[:TEXT_SHOWN_MAX]}\n{ours.problems}")
        raise
    finally:
        context.close()
    assert ours.problems == []
