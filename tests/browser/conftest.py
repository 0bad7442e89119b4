"""A browser for all tests in this folder, and data to show in it."""

from collections.abc import Iterator
from typing import Any

import pytest

from databox import Databox, Dataset
from databox.sandbox import Sandbox
from tests.browser.chromium import Chromium, missing


@pytest.fixture(scope="session")
def window() -> Iterator[Chromium]:
    """One browser window; without a browser the run ends here and says so."""
    if problem := missing():
        pytest.exit(problem, returncode=1)
    with Chromium() as window:
        yield window


@pytest.fixture
def page(window: Chromium, box: Sandbox) -> Iterator[Chromium]:
    """The page of an empty sandbox, wide and light. It must give the browser no cause to complain."""
    window.complaints()
    window.requested()
    window.look(width=1280, height=900)
    window.open(f"{box.url}/_sandbox/")
    window.until("the page has asked the sandbox", lambda: "clock" in window.text("#state"))
    yield window
    assert window.complaints() == []
    window.open("about:blank")


@pytest.fixture
def sender(box: Sandbox) -> Iterator["Sender"]:
    """Something that sends rows to the sandbox."""
    with Databox(api_key=box.api_key, base_url=box.url, rate_limit=None, max_retries=0) as client:
        yield Sender(client)


class Sender:
    """Sends rows as programs do."""

    def __init__(self, client: Databox) -> None:
        self.client = client

    def dataset(self, title: str, *, source: str = "Shop", keys: list[str] | None = None) -> Dataset:
        """Make a dataset in a new data source."""
        made = self.client.data_sources.create(source)
        return self.client.datasets.create(title, data_source=made, primary_keys=keys)

    def rows(self, dataset: Dataset, rows: list[dict[str, Any]], **options: Any) -> None:
        """Ingest rows; some may be rejected."""
        self.client.datasets.ingest(dataset, rows, raise_on_failure=False, concurrency=1, **options)
