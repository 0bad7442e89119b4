"""An Airflow of the tests' own, in a directory of its own, with a SQLite database."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

# Before anything imports Airflow, which reads this once.
HOME = Path(tempfile.mkdtemp(prefix="databox-airflow-"))
os.environ |= {
    "AIRFLOW_HOME": str(HOME),
    "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
    "AIRFLOW__CORE__DAGS_FOLDER": str(HOME / "dags"),
    "AIRFLOW__CORE__UNIT_TEST_MODE": "False",
    "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{HOME / 'airflow.db'}",
    "AIRFLOW__LOGGING__BASE_LOG_FOLDER": str(HOME / "logs"),
}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let Airflow warn."""
    here = Path(__file__).parent
    for item in items:
        if item.path.is_relative_to(here):
            item.add_marker(pytest.mark.filterwarnings("default"))


@pytest.fixture(scope="session", autouse=True)
def database() -> Iterator[None]:
    """Airflow's tables."""
    from airflow.utils.db import initdb

    (HOME / "dags").mkdir()
    initdb()
    yield
    shutil.rmtree(HOME, ignore_errors=True)
