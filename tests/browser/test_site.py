"""The documentation from a disk, in a real Chromium."""

from pathlib import Path

import pytest

from tests.browser.chromium import Chromium
from tests.test_site import site  # noqa: F401 - a fixture


@pytest.mark.parametrize("width", [400, 1400])
def test_it_is_read_and_searched_without_a_server(window: Chromium, site: Path, width: int) -> None:  # noqa: F811
    window.look(width=width, height=900)
    window.open(f"{(site / 'errors.html').as_uri()}?q=ambiguous")
    window.until("the search has found something", lambda: "Honest limits" in window.text(".md-search-result"))
    assert window.run("return document.documentElement.scrollWidth <= innerWidth")
    asked = window.requested()
    assert any("search_index.js" in address for address in asked)
    assert not [address for address in asked if address.startswith("http")]
    window.open("about:blank")
