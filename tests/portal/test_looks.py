"""Every page in a real browser: no violation of WCAG found by axe, no error in the console (a CSP violation is one), no
sideways scrolling; in light and dark, at 1280 and 360 px."""

from typing import Any

import pytest

from tests.portal.conftest import World
from tests.portal.looking import pages_look

PEOPLE = ("", "alice@nimbus.example", "bob@bluebird.example", "oscar@tollgate.example")


@pytest.mark.parametrize("who", PEOPLE, ids=("anybody", "alice", "bob", "oscar"))
def test_every_page_is_accessible_quiet_and_fits(world: World, states: dict[str, Any], browser: Any, who: str) -> None:
    pages = [(name, path) for name, owner, path in world.facts["pages"] if owner == who]
    assert pages_look(browser, world.url, pages, state=states[who], statuses=(200, 403, 404)) == []


def test_the_menu_of_a_phone_opens_and_leads_on(world: World, states: dict[str, Any], browser: Any) -> None:
    viewport = {"width": 360, "height": 780}
    context = browser.new_context(storage_state=states["bob@bluebird.example"], viewport=viewport)
    page = context.new_page()
    page.goto(f"{world.url}/o/{world.facts['consumer']}/")
    assert not page.locator("#drawer").is_visible()
    page.click(".drawer-button")
    page.locator("#drawer").get_by_role("link", name="Usage", exact=True).click()
    page.wait_for_url("**/usage/")
    context.close()


def test_a_theme_stays_chosen(world: World, browser: Any) -> None:
    context = browser.new_context(color_scheme="light", storage_state=None)
    page = context.new_page()
    page.goto(f"{world.url}/apis/")
    light = page.evaluate("getComputedStyle(document.body).backgroundColor")
    context.add_cookies([{"name": "tollgate_theme", "value": "dark", "url": world.url}])
    page.reload()
    assert page.get_attribute("html", "data-theme") == "dark"
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") != light
    context.close()
