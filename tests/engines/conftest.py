"""Engines start slowly, and on a busy machine much more so: a test has minutes, and none of them waits for a time."""

from pathlib import Path

import pytest

HERE = Path(__file__).parent
MINUTES = {"spark": 10}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Say how long a test may take that does not say so itself."""
    for item in items:
        if item.path.is_relative_to(HERE) and item.get_closest_marker("timeout") is None:
            engine = item.path.relative_to(HERE).parts[0]
            item.add_marker(pytest.mark.timeout(60 * MINUTES.get(engine, 5)))
