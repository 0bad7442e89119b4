"""What all engines' tests share: a client, datasets with and without keys, and patience.

Engines start slowly, and on a busy machine much more so: a test has minutes, and none of them waits for a time.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from databox import Databox, Dataset, DataSource
from databox.sandbox import Sandbox

HERE = Path(__file__).parent
MINUTES = {"spark": 10}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Say how long a test may take that does not say so itself."""
    for item in items:
        if item.path.is_relative_to(HERE) and item.get_closest_marker("timeout") is None:
            engine = item.path.relative_to(HERE).parts[0]
            item.add_marker(pytest.mark.timeout(60 * MINUTES.get(engine, 5)))


@pytest.fixture(autouse=True)
def signals_are_left_alone() -> None:
    """Engines have handlers of their own, and may keep them."""


@pytest.fixture
def client(box: Sandbox) -> Iterator[Databox]:
    with Databox(box.api_key, box.url, rate_limit=None) as client:
        yield client


@pytest.fixture
def source(client: Databox) -> DataSource:
    return client.data_sources.create("Warehouse")


@pytest.fixture
def keyed(client: Databox, source: DataSource) -> Dataset:
    return client.datasets.create("Keyed", data_source=source, primary_keys=["id"])


@pytest.fixture
def unkeyed(client: Databox, source: DataSource) -> Dataset:
    return client.datasets.create("Unkeyed", data_source=source)
