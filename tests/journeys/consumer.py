"""Part 3 of the story: a consumer signs up, finds the API, subscribes, makes an app, sees a secret once."""

import re
from dataclasses import dataclass

from tests.journeys.provider import Published
from tests.journeys.town import Town
from tests.journeys.windows import PASSWORD, Window
from tests.mails import mail_link

ADDRESS, ORGANIZATION = "dora@newcomer.example", "Newcomer"
FREE_APP, PAID_APP, OTHER_APP = "Trip planner", "Newsletter", "Without a grant"
SAMPLE_APP, SAMPLE_WORD = "Sampler", "observations"
ENGLISH, CHINESE = "forecast", "预报"


@dataclass(frozen=True)
class Credentials:
    """What the portal showed once for an app."""

    app_code: str
    app_key: str
    app_secret: str


def sign_up(window: Window, town: Town) -> str:
    """From the home page to the first page of an organization of one's own. Returns its slug."""
    window.go("/")
    window.click("Sign up", exact=True)
    window.fill(email=ADDRESS, password1=PASSWORD)
    window.click("Create account", role="button")
    window.sees("Look into your inbox")
    window.page.goto(mail_link(town.mail, ADDRESS))
    window.click("Confirm", role="button")
    window.page.wait_for_url(lambda there: "confirm-email" not in there)
    if "/accounts/login" in window.page.url:
        window.fill(login=ADDRESS, password=PASSWORD)
        window.click("Log in", role="button", within="main", exact=True)
    window.go("/")
    window.sees("Your first call")
    slug = re.search(r"/o/([^/]+)/", window.page.url)
    assert slug is not None
    return slug.group(1)


def billing_details_set(window: Window, slug: str) -> None:
    """What stands on an invoice."""
    window.go(f"/o/{slug}/settings/")
    window.fill(name=ORGANIZATION, legal_name="Newcomer Ltd 新来者", country="CN", billing_email=ADDRESS)
    window.fill(address="7 Feather Lane\n310000 Hangzhou")
    window.click("Save", role="button", within="main")
    window.sees("Saved")


def subscribe(window: Window, published: Published, *, plan: str, app: str, word: str) -> str:
    """Find the API in the catalogue by a word, compare the plans, subscribe with a new app. Returns the fee
    of the first period as the page promises it."""
    window.go("/apis/")
    window.page.locator("#q").press_sequentially(word)
    window.page.wait_for_url(lambda there: "q=" in there)
    window.click(published.name, within="#results")
    window.click("Plans and pricing")
    window.click(f"to {plan}")
    charge = window.page.locator("#first-charge").inner_text()
    assert published.name in window.text()
    window.choose(app="new", stage="release")
    window.fill(app_name=app)
    window.click("Subscribe", role="button", within="main aside, aside")
    window.sees("Subscribed.")
    return re.sub(r"[^0-9.]", "", charge)


def credentials_take(window: Window, slug: str, *, app: str) -> Credentials:
    """An AppCode, and a key and secret; neither secret is shown again by a reload or by the app's page."""
    window.go(f"/o/{slug}/apps/")
    window.click(app)
    there = window.page.url
    window.click("Get an AppCode", role="button")
    code = window.page.locator(".secret-value code").inner_text()
    window.page.goto(window.page.url)  # the address of the page that showed it, opened again
    assert window.page.url == there
    assert code not in window.page.content()
    window.click("Key and secret", role="button")
    key, secret = window.page.locator(".secret-value code").all_inner_texts()
    assert window.page.content().count(secret) >= 1
    window.page.goto(there)
    assert secret not in window.page.content()
    assert key in window.page.content()
    window.page.reload()
    assert secret not in window.page.content()
    return Credentials(code, key, secret)


def calls_shown(window: Window, slug: str) -> int:
    """How many calls the usage page of the organization shows."""
    window.go(f"/o/{slug}/usage/")
    tile = window.page.locator(".tile", has=window.page.get_by_text("Calls", exact=True)).first
    return _number(tile.locator("dd").first.get_attribute("title"))


def calls_succeeded(window: Window, slug: str) -> int:
    """How many of them succeeded, by the table of outcomes."""
    window.go(f"/o/{slug}/usage/")
    row = window.page.locator("tr", has=window.page.get_by_role("rowheader", name="Succeeded")).first
    return _number(row.locator("td.num").first.inner_text())


def _number(text: str) -> int:
    return int(text.replace(",", ""))


def app_make(window: Window, slug: str, *, app: str) -> None:
    """One more app, subscribed to nothing."""
    window.go(f"/o/{slug}/apps/new/")
    window.fill(name=app)
    window.click("Create app", role="button")
    window.sees("The app exists")
