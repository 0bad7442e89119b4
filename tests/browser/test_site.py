"""The documentation, opened from disk in a real Chromium."""

from pathlib import Path

import pytest

from tests.browser.chromium import Chromium
from tests.test_site import site  # noqa: F401 - a fixture


@pytest.mark.parametrize("width", [400, 1400])
def test_it_is_read_and_searched_without_a_server(window: Chromium, site: Path, width: int) -> None:  # noqa: F811
    window.requested()  # what the tests before this one asked for
    window.look(width=width, height=900)
    window.open(f"{(site / 'index.html').as_uri()}?q=ambiguous")
    window.until("the search has found it", lambda: "Errors and what to do" in window.text(".md-search-result"))
    # The theme's overlay is too wide for as long as it opens.
    fits = "return document.documentElement.scrollWidth <= innerWidth"
    window.until("the page is no wider than the window", lambda: window.run(fits))
    asked = window.requested()
    assert any("search_index.js" in address for address in asked)
    assert not [address for address in asked if address.startswith("http")]
    window.open("about:blank")


CLIPPED = """
return [...document.querySelectorAll('.language-python pre code, .language-sh pre code, .language-toml pre code')]
  .filter((code) => code.scrollWidth > code.clientWidth).map((code) => code.innerText.slice(0, 60));
"""


def test_no_code_is_clipped_in_a_common_window(window: Chromium, site: Path) -> None:  # noqa: F811
    window.look(width=1280, height=900)
    seen = 0
    for page in site.glob("*.html"):
        window.open(page.as_uri())
        seen += int(window.run("return document.querySelectorAll('.language-python pre code').length;"))
        assert page.name == "cli.html" or window.run(CLIPPED) == [], page.name
    assert seen > 30
    window.open("about:blank")
