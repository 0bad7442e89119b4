"""One Spark session for all tests: eight tasks at once, of which each may be tried four times."""

import logging
import os
import shutil
import sys
from collections.abc import Iterator

import pytest
from pyspark.sql import SparkSession

from databox import Databox, Dataset, DataSource
from databox.integrations.spark import register
from databox.sandbox import Sandbox


def needs_java() -> None:
    """Skip the test where Spark cannot run."""
    if shutil.which("java") is None and "JAVA_HOME" not in os.environ:
        pytest.skip("Spark needs Java 17 or later, and there is none here (Debian: openjdk-17-jre-headless)")


@pytest.fixture(scope="session")
def session() -> Iterator[SparkSession]:
    """A local Spark."""
    needs_java()
    os.environ["PYSPARK_PYTHON"] = sys.executable
    spark = (
        SparkSession.builder.master("local[8,4]")
        .config("spark.ui.enabled", "false")
        .config("spark.driver.host", "127.0.0.1")
        .config("spark.driver.bindAddress", "127.0.0.1")
        .config("spark.sql.shuffle.partitions", "2")
        .config("spark.python.worker.reuse", "false")  # a process for each task, to be killed alone
        .config("spark.sql.session.timeZone", "UTC")
        .getOrCreate()
    )
    spark.sparkContext.setLogLevel("OFF")
    yield spark
    spark.stop()
    logging.getLogger("py4j").setLevel(logging.ERROR)  # it says goodbye when the streams are closed


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


@pytest.fixture
def spark(session: SparkSession, box: Sandbox) -> SparkSession:
    register(session, box.api_key, box.url, requests_per_second=10)
    return session


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Spark's own warnings are its own affair, and its first job takes long."""
    for item in items:
        if "tests/engines/spark" in item.path.as_posix():
            item.add_marker(pytest.mark.filterwarnings("default"))
            item.add_marker(pytest.mark.timeout(180))
