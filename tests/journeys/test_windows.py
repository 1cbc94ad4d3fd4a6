"""A window of the story notices what a page complains about: else a clean story would say nothing."""

from typing import Any

import pytest

from tests.journeys.windows import window

SCRIPT_REFUSED = "<meta http-equiv=Content-Security-Policy content=\"script-src 'none'\"><script>1</script>"


@pytest.mark.parametrize(
    "page", ["<script>console.error('oh')</script>", "<script>nothing.here()</script>", SCRIPT_REFUSED]
)
def test_a_page_that_complains_fails_its_window(browser: Any, page: str) -> None:
    with pytest.raises(AssertionError), window(browser, "") as ours:
        ours.page.set_content(page)
        ours.page.wait_for_timeout(100)
