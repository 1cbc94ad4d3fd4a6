"""Part 2 of the story: a provider logs in, imports a document, makes two plans, deploys."""

import time
from dataclasses import dataclass
from pathlib import Path

from tests.gateway.auth.clients import send
from tests.journeys.town import Town
from tests.journeys.windows import Window

DOCUMENTS = Path(__file__).resolve().parent.parent / "data" / "openapi"
PETSTORE, WEATHER = DOCUMENTS / "petstore-3.0.yaml", DOCUMENTS / "weather-3.1.json"
OPERATIONS, BASE_PATH = 5, "/weather"
FREE_UNITS = 100
PAID_FEE, PAID_INCLUDED, PAID_RATE = "29.00", 10, 60
TIERS = ((20, "0.0025"), (None, "0.000925"))
"""Beyond the included calls: (up to how many, price of each), below a cent."""


@dataclass(frozen=True)
class Published:
    """What the provider has put up: the API's name and base path, and the path of its editor."""

    name: str
    base_path: str
    editor: str


def api_publish(window: Window, town: Town, *, organization: str) -> Published:
    """From the empty list of APIs to a deployment on release that the gateway serves."""
    editor = api_import(window, organization=organization)
    upstream_set(window, town)
    plan_free(window, editor)
    plan_paid(window, editor)
    window.go(f"{editor}deployments/")
    window.fill(note="First release")
    window.choose(stage="release")
    refused = send(town.gateway_url, f"{BASE_PATH}/alerts")
    assert refused.status == 404, "nothing is served before the deployment"
    clicked = time.monotonic()
    window.click("Deploy", role="button", within="#deploy")
    is_served = "A400MA"  # the route is there and asks who calls
    town.wait(
        "deployed to served",
        lambda: send(town.gateway_url, f"{BASE_PATH}/alerts").code == is_served,
        since=clicked,
    )
    window.sees("Deployment 1 is live on Release")
    window.sees("First release")
    window.go("/apis/?q=forecasts")
    window.click("天气预报", within="#results")
    window.sees("Getting started")
    return Published(window.page.locator("h1").inner_text(), BASE_PATH, editor)


def sample_publish(window: Window, town: Town, *, organization: str) -> Published:
    """The newcomer's way: try the sample, take every proposal, one plan, deploy."""
    window.go(f"/o/{organization}/provider/apis/new/")
    window.click("Try the sample", role="button")
    window.sees("Review and create")
    assert window.page.locator("[name=upstream_url]").input_value() == town.upstream_url
    base_path = window.page.locator("[name=base_path]").input_value()
    window.click("Create API", role="button")
    window.sees("The API exists")
    name = window.page.locator("h1").inner_text()
    editor = window.page.url.removeprefix(window.url)
    plan_free(window, editor)
    window.go(f"{editor}deployments/")
    window.click("Deploy", role="button", within="#deploy")
    window.sees("Deployment 1 is live on Release")
    return Published(name, base_path, editor)


def api_import(window: Window, *, organization: str) -> str:
    """Paste one document, think better of it, upload another, create the API. Returns the path of its editor."""
    window.go(f"/o/{organization}/provider/apis/")
    window.click("Import", within="main")
    window.fill(text="openapi: 3.0.0\npaths: [")
    window.click("Check the document", role="button")
    window.sees("The document needs mending")
    window.click("Mend the document")
    window.fill(text=PETSTORE.read_text(encoding="utf-8"))
    window.click("Check the document", role="button")
    window.sees("Review and create")
    window.click("Back")
    window.fill(text="")
    window.page.locator("input[type=file]").set_input_files(WEATHER)
    window.click("Check the document", role="button")
    window.sees("Review and create")
    window.sees("/cities/{city}/forecast")
    window.fill(base_path=BASE_PATH, upstream_url="http://127.0.0.1:9")
    window.choose(category="Weather")
    window.click("Create API", role="button")
    window.sees("The API exists")
    editor = window.page.url.removeprefix(window.url)
    window.go(f"{editor}operations/")
    assert window.page.locator(".op").count() == OPERATIONS
    return editor


def upstream_set(window: Window, town: Town) -> None:
    """The release stage's upstream is the demo's echo, which answers any path."""
    window.click("Upstreams")
    release = window.page.locator("form", has=window.page.get_by_role("heading", name="Release", exact=True))
    release.get_by_label("Address").fill(f"{town.upstream_url}/echo")
    release.get_by_role("button", name="Save").click()
    window.sees("takes effect on Release")


def plan_free(window: Window, editor: str) -> None:
    """Free, with a hard quota of 100 calls a day."""
    window.go(f"{editor}plans/new/")
    window.fill(name="Free", summary="To try it out.", quota_units=str(FREE_UNITS))
    window.choose(currency="EUR", quota_window="day", quota_end="hard", model="none")
    _publish(window, "Free")


def plan_paid(window: Window, editor: str) -> None:
    """A monthly fee, included calls, graduated overage below a cent, and a rate."""
    window.go(f"{editor}plans/new/")
    window.fill(name="Standard", summary="For one site.", fee=PAID_FEE, included_units=str(PAID_INCLUDED))
    window.choose(currency="EUR", model="graduated", rate_period="60")
    for row, (up_to, unit_amount) in enumerate(TIERS):
        window.fill(**{f"tier_{row}_up_to": str(up_to or ""), f"tier_{row}_unit_amount": unit_amount})
    window.fill(rate_calls=str(PAID_RATE))
    _publish(window, "Standard")


def _publish(window: Window, name: str) -> None:
    window.click("Create the draft", role="button")
    window.sees("Drafted.")
    window.click("Publish", role="button", exact=True)
    window.sees(f"{name} is on the pricing tab now")
