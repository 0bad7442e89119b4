"""An Airflow of the tests' own, in a directory of its own, with a SQLite database."""

import json
import os
import runpy
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from databox import Dataset
from databox.sandbox import Sandbox

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


Dag = Callable[..., Any]
Run = Callable[..., Any]

_PRELUDE = """
from datetime import timedelta
from airflow.sdk import DAG, ObjectStoragePath, literal, task
from databox.integrations.airflow import DataboxHook, DataboxIngestOperator, SqlToDataboxOperator

def rows(context):
    return ({"id": n, "amount": n * 1.5} for n in range(250))

"""


@pytest.fixture
def connection(box: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    value = {"conn_type": "databox", "password": box.api_key, "host": box.url}
    monkeypatch.setenv("AIRFLOW_CONN_DATABOX_DEFAULT", json.dumps(value))


@pytest.fixture
def dag(connection: None, request: pytest.FixtureRequest) -> Iterator[Dag]:
    """Make a DAG of a file that has this within its `with` block, as Airflow makes it."""

    def dag(body: str, arguments: str = "") -> Any:
        indented = "".join(f"    {line}\n" for line in body.strip("\n").splitlines())
        file.write_text(f"{_PRELUDE}with DAG({name!r}, schedule=None, {arguments}) as dag:\n{indented}")
        return runpy.run_path(str(file))["dag"]

    name = "".join(letter if letter.isalnum() else "_" for letter in request.node.name)[:80]
    file = HOME / "dags" / f"{name}.py"
    yield dag
    file.unlink(missing_ok=True)


@pytest.fixture
def run(dag: Dag) -> Run:
    """Run a DAG of one task to the end, with one retry, and return the task instance."""

    def run(dataset: Dataset, arguments: str, operator: str = "DataboxIngestOperator", **options: Any) -> Any:
        body = f"""
{operator}(task_id="ingest", dataset_id={dataset.id!r}, retries=1, retry_delay=timedelta(0), {arguments})
"""
        return dag(body).test(**options).get_task_instance("ingest")

    return run
