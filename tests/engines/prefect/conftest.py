"""A Prefect of the tests' own, with a server that lasts as long as they do."""

import os
import tempfile
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

# Prefect has an environment of its own; in that of the other engines there is nothing to test here.
collect_ignore_glob = [] if find_spec("prefect") else ["test_*.py"]

# Before anything imports Prefect, which reads this once.
HOME = Path(tempfile.mkdtemp(prefix="databox-prefect-"))
os.environ |= {
    "PREFECT_HOME": str(HOME),
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "DO_NOT_TRACK": "1",
}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let Prefect warn, and its server start in peace."""
    here = Path(__file__).parent
    for item in items:
        if item.path.is_relative_to(here):
            item.add_marker(pytest.mark.filterwarnings("default"))
            item.add_marker(pytest.mark.timeout(300))


@pytest.fixture(scope="session", autouse=True)
def prefect_server() -> Iterator[None]:
    from prefect.testing.utilities import prefect_test_harness

    with prefect_test_harness(server_startup_timeout=240):
        yield
