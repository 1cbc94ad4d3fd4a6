"""Billing's pages in a real browser: every page quiet, accessible and fitting; and two walks: to a subscription, to a paid invoice."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.portal.conftest import World, world_running
from tests.portal.looking import log_in, pages_look, problems_of

PEOPLE = ("", "alice@nimbus.example", "bob@bluebird.example", "fiona@tollgate.example")


@pytest.fixture(scope="module")
def money_world() -> Iterator[World]:
    """A portal with the scene and its money."""
    with world_running("tests.portal.money_scene") as world:
        yield world


@pytest.fixture(scope="module")
def doors(money_world: World, browser: Any) -> dict[str, Any]:
    """The browser storage of each person, logged in once."""
    return {who: log_in(browser, money_world.url, who) for who in PEOPLE}


@pytest.mark.parametrize("who", PEOPLE, ids=("anybody", "alice", "bob", "fiona"))
def test_every_page_of_billing_is_accessible_quiet_and_fits(
    money_world: World, doors: dict[str, Any], browser: Any, who: str
) -> None:
    pages = [(name, path) for name, owner, path in money_world.facts["pages"] if owner == who]
    assert pages_look(browser, money_world.url, pages, state=doors[who], statuses=(200,)) == []


def test_from_a_draft_plan_to_a_subscription(money_world: World, doors: dict[str, Any], browser: Any) -> None:
    url, facts = money_world.url, money_world.facts
    problems: list[str] = []
    context = browser.new_context(storage_state=doors["alice@nimbus.example"], locale="en-GB")
    page = context.new_page()
    problems_of(page, problems)
    page.goto(f"{url}/o/{facts['provider']}/provider/apis/{facts['api_id']}/plans/")
    page.get_by_role("link", name="New plan").click()
    page.get_by_label("Name", exact=True).fill("Growth")
    page.get_by_label("Fee of a billing period").fill("19")
    page.get_by_label("Graduated: each tier of calls at its own price").check()
    page.get_by_label("Included calls").fill("1000")
    page.locator("[name=tier_0_up_to]").fill("5000")
    page.locator("[name=tier_0_unit_amount]").fill("0.0042")
    page.locator("[name=tier_1_unit_amount]").fill("0.000000000001")
    page.get_by_label("Quota: calls").fill("100000")
    page.get_by_role("button", name="Create the draft").click()
    page.get_by_text("calls from 6,001 on: 0.000000000001 EUR each").first.wait_for()
    page.get_by_role("button", name="Publish").click()
    page.get_by_text("Published prices are never edited").first.wait_for()
    context.close()

    context = browser.new_context(storage_state=doors["bob@bluebird.example"], locale="en-GB")
    page = context.new_page()
    problems_of(page, problems)
    page.goto(f"{url}/apis/{facts['api']}/pricing/")
    page.get_by_label("Calls a month").fill("2000")
    page.get_by_role("button", name="Work out the cost").click()
    growth = page.get_by_role("row").filter(has_text="Growth")
    assert "23.20" in growth.inner_text()
    growth.get_by_role("link", name="Subscribe").click()
    page.get_by_label("App", exact=True).select_option("new")
    page.get_by_label("Name of the new app").fill("Growth engine")
    assert page.locator("#first-charge").inner_text().endswith("EUR")
    page.get_by_role("button", name="Subscribe").click()
    page.wait_for_url("**/subscriptions/sub_*/")
    page.get_by_text("Growth engine has none yet, so it cannot call.").first.wait_for()
    page.get_by_role("link", name="Open the app").click()
    page.get_by_role("button", name="Get an AppCode").click()
    page.get_by_text("AppCode", exact=False).first.wait_for()
    context.close()
    assert problems == []


def test_from_a_draft_to_a_paid_invoice(money_world: World, doors: dict[str, Any], browser: Any) -> None:
    url, facts = money_world.url, money_world.facts
    problems: list[str] = []
    context = browser.new_context(storage_state=doors["fiona@tollgate.example"], locale="en-GB", accept_downloads=True)
    page = context.new_page()
    problems_of(page, problems)
    page.goto(f"{url}/finance/review/?status=draft")
    page.get_by_role("link", name="Bluebird Travel").focus()
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    page.wait_for_url(f"**/finance/invoices/{facts['draft']}/")
    page.get_by_role("button", name="Compute anew").click()
    page.get_by_role("button", name="Submit for review").click()
    page.get_by_role("button", name="Approve").click()
    page.get_by_role("link", name="Issue…").click()
    page.get_by_text("agree to the unit").first.wait_for()
    page.get_by_role("button", name="Issue the invoice").click()
    page.get_by_role("heading", level=1, name="INV-").wait_for()
    with page.expect_download() as waiting:
        page.get_by_role("link", name="PDF").click()
    assert waiting.value.path().read_bytes().startswith(b"%PDF-")
    page.get_by_label("Amount received").fill("10.123")
    page.get_by_label("Text on the bank statement").fill("BLUEBIRD 9000")
    page.get_by_role("button", name="Record the transfer").click()
    page.get_by_text("at most 2 places after the point").first.wait_for()
    page.get_by_label("Amount received").fill("11.40")
    page.get_by_role("button", name="Record the transfer").click()
    page.get_by_text("Partly paid").first.wait_for()
    page.get_by_label("Text on the bank statement").fill("BLUEBIRD 9001")
    page.get_by_role("button", name="Record the transfer").click()
    page.get_by_text("Paid in full", exact=True).first.wait_for()
    page.goto(f"{url}/finance/ledger/")
    page.get_by_role("button", name="Verify").click()
    page.get_by_text("Verified: every transaction sums to zero").first.wait_for()
    context.close()
    assert [problem for problem in problems if "status of 400" not in problem and "ERR_ABORTED" not in problem] == []
