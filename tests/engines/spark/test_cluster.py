"""A standalone cluster whose executor is killed hard while it sends, at a chosen batch."""

import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
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

master, store, dataset_id, keys, report, rows, *settings = sys.argv[1:]
builder = (
    SparkSession.builder.master(master)
    .config("spark.ui.enabled", "false")
    .config("spark.driver.host", "127.0.0.1")
    .config("spark.driver.bindAddress", "127.0.0.1")
    .config("spark.executor.instances", "2")
    .config("spark.executor.cores", "1")
    .config("spark.executor.memory", "512m")
    .config("spark.scheduler.minRegisteredResourcesRatio", "1.0")  # two tasks at once, from the first batch on
    .config("spark.scheduler.maxRegisteredResourcesWaitingTime", "180s")
    .config("spark.speculation.interval", "100ms")
    .config("spark.speculation.minTaskRuntime", "100ms")
    .config("spark.speculation.multiplier", "0.01")  # as soon as one of the two has ended
    .config("spark.speculation.quantile", "0.5")
    .config("spark.speculation.efficiency.enabled", "false")
)
for setting in settings:
    builder = builder.config(*setting.split("="))
spark = builder.getOrCreate()
register(spark, rate_limit_store=store or None, requests_per_second=6)
numbers = {
    "plain": lambda: spark.range(0, 1600, 1, 2),
    "shuffled": lambda: spark.range(0, 1600, 1, 2).repartition(2, "id"),
    "uneven": lambda: spark.range(0, 3000, 1, 2).where("id < 1600"),
}[rows]()
writer = numbers.selectExpr("id", "double(id * 1.5) as amount").write.format("databox")
writer = writer.option("datasetId", dataset_id).option("reportPath", report)
writer.option("primaryKeys", keys).mode("append").save()
"""
ROWS = [{"id": n, "amount": n * 1.5} for n in range(1600)]
BATCHES = 16
CHOSEN = 3
"""The batch, of the eight that a task has, at which its executor dies."""
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


ONCE = "spark.stage.maxConsecutiveAttempts=1"


def ended(
    cluster: Standalone, url: str, box: Sandbox, dataset: Dataset, folder: Path, store: str, rows: str, *settings: str
) -> Ended:
    """Write with the cluster, and return how that ended."""
    environ = surroundings(folder) | {"DATABOX_API_KEY": box.api_key, "DATABOX_API_URL": url}
    keys, report = ",".join(dataset.primary_keys or ()), str(folder / "report")
    command = [sys.executable, "-c", PROGRAM, cluster.master, store, dataset.id, keys, report, rows, *settings]
    with subprocess.Popen(
        command, env=environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
    ) as process:
        try:
            said, _ = process.communicate(timeout=PATIENCE)
        finally:
            kill_all(process.pid)
    assert box.api_key not in said
    return Ended(process.returncode, said)


def killing(cluster: Standalone) -> Callable[[int, int], None]:
    """Return what kills the executor that speaks from one port to another."""

    def strike(mine: int, theirs: int) -> None:
        process = sender(cluster.workers, mine, theirs)
        kill(executor_of(process))
        process.wait(60)  # Spark ends the Python of a dead executor

    return strike


def made(box: Sandbox, keys: list[str] | None) -> Dataset:
    with Databox(box.api_key, box.url, rate_limit=None) as client:
        source = client.data_sources.create("Cluster")
        return client.datasets.create("Rows", data_source=source, primary_keys=keys)


def refused(box: Sandbox) -> set[int | None]:
    """The answers that were no success. None is of a request still under way: nobody waits for executors to end."""
    return {request.status for request in box.requests} - {200, 201, 202, None}


WORD = "What came twice is stored once if the dataset's primary keys are those of primaryKeys (id)."
UNSEEN = "Spark may have run some a second time without telling."


@pytest.mark.parametrize("effect", ["before", "after"])
def test_keyed_rows_are_stored_once_when_an_executor_is_killed_while_it_sends(
    effect: Effect, store: str, cluster: Standalone, box: Sandbox, tmp_path: Path
) -> None:
    keyed = made(box, ["id"])
    with door(box.url, CHOSEN, effect, killing(cluster)) as opened:
        end = ended(cluster, opened.url, box, keyed, tmp_path, store, "plain", ONCE)
    assert end.status == 0, end.said
    assert stored(box, keyed) == ROWS
    assert refused(box) == set()
    report = told(tmp_path / "report")
    assert (report["stored"], report["tasks"], report["tasks_done"], report["tasks_tried_again"]) == (True, 2, 2, 1)
    assert report["rows"] == report["accepted"] == report["appended"] + report["overwritten"] == 1600
    assert (report["primary_keys_assumed"], report["may_have_repeated_unseen"]) == (True, False)
    assert sent(box) >= BATCHES + CHOSEN - 1  # what the dead executor had sent came again
    assert f"2 of 2 tasks, 1 of them tried again. {WORD}" in end.said


def test_keyed_rows_are_stored_once_when_a_stage_runs_again(cluster: Standalone, box: Sandbox, tmp_path: Path) -> None:
    """With the executor go rows that were shuffled, and the stage begins anew, with tasks that know of no other try."""
    keyed = made(box, ["id"])
    with door(box.url, CHOSEN, "after", killing(cluster)) as opened:
        end = ended(cluster, opened.url, box, keyed, tmp_path, "", "shuffled")
    assert end.status == 0, end.said
    assert stored(box, keyed) == ROWS
    report = told(tmp_path / "report")
    assert (report["stored"], report["rows"], report["may_have_repeated_unseen"]) == (True, 1600, True)
    assert sent(box) > BATCHES
    assert f"{UNSEEN} {WORD}" in end.said


def test_keyed_rows_are_stored_once_when_a_task_runs_twice_at_once(
    cluster: Standalone, box: Sandbox, tmp_path: Path
) -> None:
    keyed = made(box, ["id"])
    with door(box.url, 5, "before", lambda *_: wait_for_a_copy(box)) as opened:
        end = ended(cluster, opened.url, box, keyed, tmp_path, "", "uneven", ONCE, "spark.speculation=true")
    assert end.status == 0, end.said
    assert stored(box, keyed) == ROWS
    assert told(tmp_path / "report")["may_have_repeated_unseen"] is True
    assert sent(box) > BATCHES
    assert f"{UNSEEN} {WORD}" in end.said


def wait_for_a_copy(box: Sandbox) -> None:
    """Return when a batch has come a second time, from the copy that Spark has made of a task that takes long."""
    end = time.monotonic() + 25  # soon the first is given up, and sent again
    while time.monotonic() < end:
        first = [
            each.json["records"][0]["id"] for each in box.requests if each.operation == "datasets.create_ingestion"
        ]
        if len(first) > len(set(first)):
            return
        time.sleep(0.05)


@pytest.mark.parametrize("effect", ["before", "after"])
@pytest.mark.parametrize("rows", ["plain", "shuffled"])
def test_without_keys_a_killed_executor_fails_the_job_and_doubles_nothing(
    rows: str, effect: Effect, cluster: Standalone, box: Sandbox, tmp_path: Path
) -> None:
    unkeyed = made(box, None)
    with door(box.url, CHOSEN, effect, killing(cluster)) as opened:
        end = ended(cluster, opened.url, box, unkeyed, tmp_path, "", rows, ONCE)
    assert end.status != 0
    if rows == "plain":
        assert re.search(r"Partition [01] was tried before", end.said)
    ids = [row["id"] for row in box.rows(unkeyed)]
    assert 0 < len(ids) == len(set(ids))
    assert effect == "after" or len(ids) < 1600  # all others may be there before the executor is dead
    assert refused(box) == set()
    report = told(tmp_path / "report")
    assert (report["stored"], report["tasks"]) == (False, 2)
    assert report["accepted"] <= len(ids)
    assert "the write failed" in end.said


def test_without_keys_a_cluster_that_may_run_a_stage_again_is_refused(
    cluster: Standalone, box: Sandbox, tmp_path: Path
) -> None:
    unkeyed = made(box, None)
    end = ended(cluster, box.url, box, unkeyed, tmp_path, "", "plain")
    assert end.status != 0
    assert "start the session with spark.stage.maxConsecutiveAttempts=1" in end.said
    assert sent(box) == 0
