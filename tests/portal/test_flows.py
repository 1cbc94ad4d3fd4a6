"""The main flows through a real browser against the real portal: sign-up to a secret shown once, import to deployment, both
also without JavaScript where forms must do."""

import re
from typing import Any

from tests.mails import mail_link
from tests.portal.conftest import World
from tests.portal.looking import problems_of
from tests.portal.scene import PASSWORD

ALICE, BOB = "alice@nimbus.example", "bob@bluebird.example"


def test_somebody_signs_up_makes_an_app_and_sees_the_secret_once(world: World, browser: Any) -> None:
    context = browser.new_context(locale="en-GB")
    page = context.new_page()
    problems: list[str] = []
    problems_of(page, problems)
    page.goto(f"{world.url}/")
    page.get_by_role("link", name="Sign up", exact=True).click()
    page.fill("input[name=email]", "dora@newcomer.example")
    page.fill("input[name=password1]", PASSWORD)
    page.get_by_role("button", name="Create account").click()
    page.get_by_role("heading", name="Look into your inbox").wait_for()
    page.goto(mail_link(world.mail, "dora@newcomer.example"))
    page.get_by_role("button", name="Confirm").click()
    if "/accounts/login" in page.url:
        page.fill("input[name=login]", "dora@newcomer.example")
        page.fill("input[name=password]", PASSWORD)
        page.get_by_role("button", name="Log in", exact=True).click()
    page.goto(f"{world.url}/")
    if "/organizations/new/" in page.url:
        page.get_by_label("Organization name").fill("Newcomer")
        page.get_by_role("button", name="Create").click()
    page.get_by_role("heading", name="Your first call").wait_for()
    page.get_by_role("link", name="New app").first.click()
    page.get_by_label("Name").fill("First app")
    page.get_by_role("button", name="Create app").click()
    page.get_by_role("button", name="Get an AppCode").click()
    secret = page.locator(".secret-value code").inner_text()
    assert re.fullmatch(r"[0-9a-f]{32}", secret)
    page.reload()  # sends the form again
    page.get_by_text("This form was sent before").wait_for()
    assert secret not in page.content()
    assert page.get_by_role("link", name="Revoke").count() == 1
    assert problems == []
    context.close()


def test_a_provider_imports_a_document_sets_an_upstream_and_deploys(
    world: World, states: dict[str, Any], browser: Any
) -> None:
    context = browser.new_context(storage_state=states[ALICE], locale="en-GB")
    page = context.new_page()
    problems: list[str] = []
    problems_of(page, problems)
    page.goto(f"{world.url}/o/{world.facts['provider']}/provider/apis/new/")
    page.get_by_role("button", name="Try the sample").click()
    page.get_by_role("heading", name="Review and create").wait_for()
    page.reload()
    page.get_by_label("Name", exact=True).fill("Weather of the browser")
    page.get_by_label("Base path").fill("/browser-weather")
    page.get_by_label("Upstream address").fill("http://127.0.0.1:9000")
    page.get_by_role("button", name="Create API").click()
    page.get_by_role("link", name="Upstreams").click()
    release = page.locator("form", has=page.get_by_role("heading", name="Release", exact=True))
    release.get_by_label("Address").fill("http://127.0.0.1:9001")
    release.get_by_role("button", name="Save").click()
    page.get_by_text("takes effect on Release").wait_for()
    page.get_by_role("link", name="Deployments").click()
    page.get_by_label("Note").fill("From the browser")
    page.locator("#deploy").get_by_role("button", name="Deploy").click()
    page.get_by_text("Deployment 1 is live on Release").wait_for()
    page.goto(f"{world.url}/apis/?q=browser")
    page.get_by_role("link", name="Weather of the browser").wait_for()
    assert problems == []
    context.close()


def test_an_app_and_its_credential_need_no_script(world: World, states: dict[str, Any], browser: Any) -> None:
    context = browser.new_context(storage_state=states[BOB], java_script_enabled=False)
    page = context.new_page()
    page.goto(f"{world.url}/o/{world.facts['consumer']}/apps/new/")
    page.fill("input[name=name]", "Without script")
    page.get_by_role("button", name="Create app").click()
    page.get_by_role("button", name="Get a key and secret").click()
    assert page.locator(".secret-value code").count() == 2
    page.get_by_role("link", name="Rotate").click()
    page.get_by_role("button", name="Rotate").click()
    assert page.locator(".secret-value code").count() == 2
    page.get_by_role("link", name="Revoke").first.click()
    page.get_by_role("button", name="Revoke").click()
    page.get_by_text("The credential is revoked").wait_for()
    context.close()


def test_the_catalogue_searches_as_one_types_and_keeps_the_url(world: World, browser: Any) -> None:
    context = browser.new_context()
    page = context.new_page()
    page.goto(f"{world.url}/apis/")
    page.locator("#q").press_sequentially("zeppelin")
    page.get_by_role("heading", name="No API matches").wait_for()
    page.wait_for_url("**/apis/?q=zeppelin*")
    page.reload()
    assert page.locator("#q").input_value() == "zeppelin"
    context.close()


def test_the_usage_page_refreshes_itself(world: World, states: dict[str, Any], browser: Any) -> None:
    context = browser.new_context(storage_state=states[BOB])
    page = context.new_page()
    page.goto(f"{world.url}/o/{world.facts['consumer']}/usage/")
    assert page.locator(".chart canvas").count() == 1
    page.evaluate("document.getElementById('figures').dataset.first = '1'")
    page.wait_for_selector("#figures:not([data-first])", timeout=20_000)
    page.wait_for_selector(".chart canvas")
    context.close()


def test_a_copy_button_copies(world: World, states: dict[str, Any], browser: Any) -> None:
    context = browser.new_context(storage_state=states[BOB], permissions=["clipboard-read", "clipboard-write"])
    page = context.new_page()
    page.goto(f"{world.url}/o/{world.facts['consumer']}/apps/{world.facts['app']}/")
    page.get_by_role("button", name="Copy app id").click()
    assert page.evaluate("navigator.clipboard.readText()") == world.facts["app"]
    context.close()
