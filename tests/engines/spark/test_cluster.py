"""A standalone cluster whose executor is killed hard while it sends, at a chosen batch."""

import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import attrs
import pytest

from databox import Databox, Dataset
from databox.sandbox import Sandbox
from tests.engines.spark.conftest import needs_java
from tests.engines.spark.door import Effect, door
from tests.engines.spark.processes import executor_of, kill, kill_all, sender
from tests.engines.spark.standalone import Standalone, surroundings
from tests.engines.spark.writes import sent, stored, told
from tests.redis_server import NEEDS_REDIS, RedisServer

PROGRAM = """
import sys
from pyspark.sql import SparkSession
from databox.integrations.spark import register

master, store, dataset_id, keys, report = sys.argv[1:]
spark = (
    SparkSession.builder.master(master)
    .config("spark.ui.enabled", "false")
    .config("spark.driver.host", "127.0.0.1")
    .config("spark.driver.bindAddress", "127.0.0.1")
    .config("spark.executor.instances", "2")
    .config("spark.executor.cores", "1")
    .config("spark.executor.memory", "512m")
    .config("spark.stage.maxConsecutiveAttempts", "1")
    .config("spark.scheduler.minRegisteredResourcesRatio", "1.0")  # two tasks at once, from the first batch on
    .config("spark.scheduler.maxRegisteredResourcesWaitingTime", "180s")
    .getOrCreate()
)
register(spark, rate_limit_store=store or None, requests_per_second=6)
frame = spark.range(0, 1600, 1, 2).selectExpr("id", "double(id * 1.5) as amount")
writer = frame.write.format("databox").option("datasetId", dataset_id).option("reportPath", report)
writer.option("primaryKeys", keys).mode("append").save()
"""
ROWS = [{"id": n, "amount": n * 1.5} for n in range(1600)]
BATCHES = 16
CHOSEN = 6
PATIENCE = 450
"""Seconds that a program has, on a busy machine."""


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Standalone]:
    needs_java()
    with Standalone(tmp_path_factory.mktemp("spark")) as cluster:
        yield cluster


@pytest.fixture
def box() -> Iterator[Sandbox]:
    """One that keeps the API's limit."""
    with Sandbox(rate_limit=10) as box:
        yield box


@pytest.fixture(params=[pytest.param("redis", marks=NEEDS_REDIS), "shares"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """How the tasks keep the limit: the address of a store, or nothing where each has a share."""
    if request.param == "shares":
        yield ""
        return
    with RedisServer(tmp_path) as redis:
        yield redis.url


@attrs.frozen
class Ended:
    """How a program ended."""

    status: int
    said: str


def run(cluster: Standalone, box: Sandbox, effect: Effect, store: str, dataset: Dataset, folder: Path) -> Ended:
    """Write with the cluster, and kill the executor that sends the chosen batch."""

    def strike(port: int) -> None:
        process = sender(cluster.workers, port)
        kill(executor_of(process))
        process.wait(60)  # Spark ends the Python of a dead executor

    with ExitStack() as stack:
        opened = stack.enter_context(door(box.url, CHOSEN, effect, strike))
        environ = surroundings(folder) | {"DATABOX_API_KEY": box.api_key, "DATABOX_API_URL": opened.url}
        keys = ",".join(dataset.primary_keys or ())
        command = [sys.executable, "-c", PROGRAM, cluster.master, store, dataset.id, keys, str(folder / "report")]
        process = subprocess.Popen(
            command, env=environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
        )
        stack.callback(process.wait)
        stack.callback(kill_all, process.pid)
        said, _ = process.communicate(timeout=PATIENCE)
    assert box.api_key not in said
    return Ended(process.returncode, said)


def made(box: Sandbox, keys: list[str] | None) -> Dataset:
    with Databox(box.api_key, box.url, rate_limit=None) as client:
        source = client.data_sources.create("Cluster")
        return client.datasets.create("Rows", data_source=source, primary_keys=keys)


def refused(box: Sandbox) -> set[int | None]:
    """The answers that were no success."""
    return {request.status for request in box.requests} - {200, 201, 202}


@pytest.mark.parametrize("effect", ["before", "after"])
def test_keyed_rows_are_stored_once_when_an_executor_is_killed_while_it_sends(
    effect: Effect, store: str, cluster: Standalone, box: Sandbox, tmp_path: Path
) -> None:
    keyed = made(box, ["id"])
    ended = run(cluster, box, effect, store, keyed, tmp_path)
    assert ended.status == 0, ended.said
    assert stored(box, keyed) == ROWS
    assert refused(box) == set()
    report = told(tmp_path / "report")
    assert (report["stored"], report["tasks"], report["tasks_done"], report["tasks_tried_again"]) == (True, 2, 2, 1)
    assert report["rows"] == report["accepted"] == report["appended"] + report["overwritten"] == 1600
    assert report["primary_keys_assumed"] is True
    assert sent(box) > BATCHES  # what the dead executor had sent came again
    assert "What came twice is stored once if the dataset's primary keys are those of primaryKeys (id)." in ended.said


@pytest.mark.parametrize("effect", ["before", "after"])
def test_without_keys_a_killed_executor_fails_the_job_and_doubles_nothing(
    effect: Effect, cluster: Standalone, box: Sandbox, tmp_path: Path
) -> None:
    unkeyed = made(box, None)
    ended = run(cluster, box, effect, "", unkeyed, tmp_path)
    assert ended.status != 0
    assert re.search(r"Partition [01] was tried before", ended.said)
    ids = [row["id"] for row in box.rows(unkeyed)]
    assert len(ids) == len(set(ids)) < 1600
    assert refused(box) == set()
    report = told(tmp_path / "report")
    assert (report["stored"], report["tasks"]) == (False, 2)
    assert report["accepted"] <= len(ids)
    assert "Databox, dataset" in ended.said
    assert "the write failed" in ended.said
