"""Small screens, long names, and no script: what fits, what comes into view, what stays readable. In a browser."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.portal.conftest import World

ALICE, BOB = "alice@nimbus.example", "bob@bluebird.example"
PHONE = {"width": 360, "height": 780}
BESIDE = "(one) => { const box = one.getBoundingClientRect(); return box.left >= 0 && box.right <= innerWidth; }"
GAPS = """(row) => {
  const inner = row.clientWidth, lines = {};
  for (const tile of row.children) {
    const box = tile.getBoundingClientRect();
    lines[Math.round(box.top)] = (lines[Math.round(box.top)] || 0) + box.width + 1;
  }
  return Object.values(lines).map((width) => Math.round(inner - width + 1)).filter((gap) => gap > 2);
}"""


def test_the_current_tab_of_a_phone_is_in_view_and_the_hidden_side_fades(
    world: World, states: dict[str, Any], browser: Any
) -> None:
    context = browser.new_context(storage_state=states[ALICE], viewport=PHONE, locale="en-GB")
    page = context.new_page()
    page.goto(f"{world.url}/o/{world.facts['provider']}/provider/apis/")
    page.get_by_role("link", name="Weather", exact=True).first.click()
    tabs = page.locator("nav.tabs")
    faded = {"Overview": ["has-after"], "Deployments": ["has-before", "has-after"], "Listing": ["has-before"]}
    for name, classes in faded.items():
        tabs.get_by_role("link", name=name).click()
        current = tabs.locator("[aria-current=page]").filter(has_text=name)
        current.wait_for()
        assert current.evaluate(BESIDE), name
        assert tabs.evaluate("(one) => [...one.classList].slice(1)") == classes, name
    context.close()


def test_tiles_leave_no_empty_place_at_any_width(world: World, states: dict[str, Any], browser: Any) -> None:
    context = browser.new_context(storage_state=states[ALICE], locale="en-GB")
    page = context.new_page()
    page.goto(f"{world.url}/o/{world.facts['provider']}/provider/")
    rows = page.locator(".tile-row")
    assert rows.count()
    for tiles in (3, 4, 5):
        rows.first.evaluate(
            "(row, count) => row.replaceChildren(...Array.from({ length: count }, () => row.children[0].cloneNode(true)))",
            tiles,
        )
        for width in (360, 620, 800, 1280):
            page.set_viewport_size({"width": width, "height": 800})
            assert rows.first.evaluate(GAPS) == [], (tiles, width)
    context.close()


def test_a_long_name_of_a_token_leaves_its_button_in_view(world: World, states: dict[str, Any], browser: Any) -> None:
    context = browser.new_context(storage_state=states[BOB], viewport={"width": 1280, "height": 900}, locale="en-GB")
    page = context.new_page()
    page.goto(f"{world.url}/o/{world.facts['consumer']}/tokens/")
    page.get_by_label("Name").fill("n" * 80)
    for scope in page.locator("input[name=scopes]").all():
        scope.check()
    page.get_by_role("button", name="Make token").click()
    page.fill("input[name=password]", "correct horse battery staple")
    page.press("input[name=password]", "Enter")
    page.get_by_text("Your new access token").wait_for()
    for width in (1280, 360):
        page.set_viewport_size({"width": width, "height": 900})
        assert page.get_by_role("button", name="Revoke").first.evaluate(BESIDE), width
        assert page.locator(".table-wrap").first.evaluate("(one) => one.scrollWidth - one.clientWidth") == 0, width
    context.close()


def test_two_cards_of_a_page_do_not_touch(world: World, states: dict[str, Any], browser: Any) -> None:
    context = browser.new_context(storage_state=states[BOB], locale="en-GB")
    page = context.new_page()
    page.goto(f"{world.url}/o/{world.facts['consumer']}/apps/{world.facts['app']}/edit/")
    form, danger = (
        page.locator(f"main .card{which}").bounding_box() for which in (":not(.card-danger)", ".card-danger")
    )
    assert danger["y"] - (form["y"] + form["height"]) >= 16
    context.close()


def test_without_a_script_a_chart_is_its_table(world: World, states: dict[str, Any], browser: Any) -> None:
    path = f"{world.url}/o/{world.facts['consumer']}/usage/"
    for has_script in (False, True):
        context = browser.new_context(
            storage_state=states[BOB], java_script_enabled=has_script, locale="en-GB", reduced_motion="reduce"
        )
        page = context.new_page()
        page.goto(path)
        chart = page.locator(".chart").first
        assert chart.locator("table").is_visible() is not has_script
        assert chart.locator(".chart-canvas").is_visible() is has_script
        if has_script:
            chart.get_by_text("Show as a table").click()
            assert chart.locator("table").is_visible()
        context.close()


def test_the_operations_of_the_usage_page_fit_their_card(world: World, states: dict[str, Any], browser: Any) -> None:
    context = browser.new_context(storage_state=states[BOB], locale="en-GB", reduced_motion="reduce")
    page = context.new_page()
    page.goto(f"{world.url}/o/{world.facts['consumer']}/usage/")
    card = page.locator("section.card").filter(has=page.get_by_role("heading", name="Operations"))
    assert card.get_by_text("/stations/{station}/observations").count()
    for width in (1280, 360):
        page.set_viewport_size({"width": width, "height": 900})
        assert card.locator(".table-wrap").evaluate("(one) => one.scrollWidth - one.clientWidth") == 0, width
    context.close()


def test_a_row_inside_a_wide_stack_keeps_its_own_gap(world: World, states: dict[str, Any], browser: Any) -> None:
    context = browser.new_context(storage_state=states[BOB], locale="en-GB")
    page = context.new_page()
    page.goto(f"{world.url}/profile/")
    page.locator(".stack-6 .row").first.wait_for()
    gaps = page.locator(".stack-6 .row").evaluate_all("(rows) => rows.map((row) => getComputedStyle(row).columnGap)")
    assert set(gaps) == {"8px"}
    context.close()


@pytest.fixture
def styleguide(world: World, states: dict[str, Any], browser: Any) -> Iterator[Any]:
    """The page of all components, on a phone."""
    context = browser.new_context(storage_state=states[BOB], viewport=PHONE, locale="en-GB")
    page = context.new_page()
    page.goto(f"{world.url}/styleguide/")
    yield page
    context.close()


def test_the_button_of_a_step_stands_below_its_text_on_a_phone(styleguide: Any) -> None:
    step = styleguide.locator(".checklist > li:has(.btn)").first
    button, text = step.locator(".btn").bounding_box(), step.locator(".grow").bounding_box()
    assert button["height"] < 45
    assert button["y"] >= text["y"] + text["height"]
    assert button["x"] == text["x"]


def test_several_lines_of_words_are_read_from_the_left_on_a_phone(styleguide: Any) -> None:
    cells = styleguide.locator(".table-cards td[data-label]")
    cells.nth(0).evaluate("(cell) => { cell.innerHTML = '<ul class=lines><li>One line</li><li>Another</li></ul>'; }")
    cells.nth(1).evaluate("(cell) => { cell.innerHTML = '<span class=badge>A</span> <span class=badge>B</span>'; }")
    lines, badges = cells.nth(0).locator("li").first, cells.nth(1).locator(".badge")
    assert lines.evaluate("(one) => getComputedStyle(one).textAlign") == "start"
    assert lines.bounding_box()["x"] == cells.nth(0).bounding_box()["x"]
    first, second = badges.nth(0).bounding_box(), badges.nth(1).bounding_box()
    assert second["x"] - first["x"] - first["width"] == 4
