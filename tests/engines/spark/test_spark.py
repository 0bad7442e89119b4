"""A real Spark writes into the sandbox, which fails on demand; its workers are killed in the middle."""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from pyspark.errors import PySparkException
from pyspark.sql import DataFrame, SparkSession

from databox import ConfigurationError, Databox, Dataset
from databox.integrations.spark import register
from databox.sandbox import Fault, Sandbox
from tests.engines.page import ROOT, blocks_of
from tests.engines.spark.door import Effect, door
from tests.engines.spark.processes import kill, sender
from tests.engines.spark.sessions import program_of
from tests.engines.spark.writes import NOW, ROWS, frame, sent, stored, told, write

LIMITED = ROOT / "tests" / "engines" / "spark" / "limited.py"


# Batches


@pytest.mark.parametrize(
    "faults",
    [
        [],
        [Fault("create_ingestion", status=503, times=3, headers=NOW)],
        [Fault("create_ingestion", status=429, times=3, headers=NOW)],
        [Fault("create_ingestion", drop="before", times=1), Fault("create_ingestion", drop="after", times=2)],
        [Fault("create_ingestion", status=405, times=1)],
    ],
    ids=["fine", "503", "429", "lost", "a task is tried again"],
)
def test_keyed_rows_are_stored_once_whatever_happens(
    faults: list[Fault], spark: SparkSession, box: Sandbox, keyed: Dataset, tmp_path: Path
) -> None:
    for fault in faults:
        box.inject(fault)
    write(frame(spark), keyed, reportPath=str(tmp_path / "report"))
    assert stored(box, keyed) == ROWS
    report = told(tmp_path / "report")
    assert report["stored"] is True
    assert report["rows"] == report["accepted"] == report["appended"] + report["overwritten"] == 1000
    assert report["tasks"] == report["tasks_done"] == 4
    assert report["tasks_tried_again"] == (1 if any(fault.status == 405 for fault in faults) else 0)
    known = {
        request.path.rpartition("/")[2] for request in box.requests if request.operation == "datasets.get_ingestion"
    }
    assert set(report["ingestion_ids"]) <= known
    assert len(report["ingestion_ids"]) == 12  # four partitions of 250 rows
    agents = {request.headers["user-agent"] for request in box.requests}
    assert [agent for agent in agents if " spark/4." in agent]


@contextmanager
def killed_at(batch: int, effect: Effect, session: SparkSession, box: Sandbox) -> Iterator[None]:
    """Let the process of the task that sends a batch be killed hard, before the batch took effect or after."""
    program = program_of(session)
    with door(box.url, batch, effect, lambda mine, theirs: kill(sender([program], mine, theirs))) as opened:
        register(session, box.api_key, opened.url, requests_per_second=10)
        yield


@pytest.mark.parametrize("effect", ["before", "after"])
def test_a_killed_task_of_keyed_rows_is_made_up_for(
    effect: Effect, session: SparkSession, box: Sandbox, keyed: Dataset, tmp_path: Path
) -> None:
    with killed_at(3, effect, session, box):
        write(frame(session, tasks=1), keyed, reportPath=str(tmp_path / "report"))
    assert stored(box, keyed) == ROWS
    assert told(tmp_path / "report")["tasks_tried_again"] == 1
    assert sent(box) > 10  # the rows before the kill came twice


@pytest.mark.parametrize("effect", ["before", "after"])
def test_a_killed_task_without_keys_fails_the_job_and_doubles_nothing(
    effect: Effect, session: SparkSession, box: Sandbox, unkeyed: Dataset, tmp_path: Path
) -> None:
    with killed_at(3, effect, session, box), pytest.raises(PySparkException) as failure:
        write(frame(session, tasks=1), unkeyed, reportPath=str(tmp_path / "report"))
    assert "was tried before" in str(failure.value)
    ids = [row["id"] for row in box.rows(unkeyed)]
    assert len(ids) == len(set(ids))
    assert effect == "after" or len(ids) < 1000  # all others may be there before the process is dead
    report = told(tmp_path / "report")
    assert (report["stored"], report["tasks_done"]) == (False, 0)


def test_rows_without_keys_are_stored_once_when_a_request_was_surely_refused(
    spark: SparkSession, box: Sandbox, unkeyed: Dataset
) -> None:
    box.inject(Fault("create_ingestion", status=429, times=3, headers=NOW))
    write(frame(spark), unkeyed)
    assert stored(box, unkeyed) == ROWS


def test_rows_without_keys_whose_answer_was_lost_are_not_tried_again(
    spark: SparkSession, box: Sandbox, unkeyed: Dataset, tmp_path: Path
) -> None:
    box.inject(Fault("create_ingestion", drop="after", times=1))
    with pytest.raises(PySparkException, match="was tried before"):
        write(frame(spark, rows=200, tasks=1), unkeyed, reportPath=str(tmp_path / "report"))
    ids = [row["id"] for row in box.rows(unkeyed)]
    assert len(ids) == len(set(ids))
    assert told(tmp_path / "report")["stored"] is False


def test_doubled_rows_may_be_asked_for(spark: SparkSession, box: Sandbox, unkeyed: Dataset) -> None:
    box.inject(Fault("create_ingestion", drop="after", times=1))
    write(frame(spark), unkeyed, allowDuplicates="true")
    assert len(box.rows(unkeyed)) == 1100
    assert {row["id"] for row in box.rows(unkeyed)} == set(range(1000))


def test_a_job_that_is_run_again_replaces_its_rows_or_stores_them_twice(
    spark: SparkSession, box: Sandbox, keyed: Dataset, unkeyed: Dataset, tmp_path: Path
) -> None:
    for dataset, times in ((keyed, 1), (unkeyed, 2)):
        for _ in range(2):
            write(frame(spark, rows=100, tasks=1), dataset, reportPath=str(tmp_path / "report"))
        assert stored(box, dataset) == sorted(ROWS[:100] * times, key=lambda row: row["id"])
        assert told(tmp_path / "report")["stored"] is True


def test_values_arrive_as_json_has_them(spark: SparkSession, box: Sandbox, keyed: Dataset) -> None:
    rows = spark.sql(
        "select 1L as id, 'ü' as text, true as flag, date'2026-01-31' as day, null as nothing, "
        "timestamp'2026-01-31 10:00:00' as at, cast(1.10 as decimal(10,2)) as price, 2.5f as small, 7Y as tiny"
    )
    write(rows, keyed)
    assert box.rows(keyed) == [
        {
            "id": 1,
            "text": "ü",
            "flag": True,
            "day": "2026-01-31",
            "nothing": None,
            "at": "2026-01-31T10:00:00Z",
            "price": 1.10,
            "small": 2.5,
            "tiny": 7,
        }
    ]


def test_an_empty_frame_is_a_success(spark: SparkSession, box: Sandbox, keyed: Dataset, tmp_path: Path) -> None:
    write(frame(spark, rows=0), keyed, reportPath=str(tmp_path / "report"))
    assert told(tmp_path / "report")["rows"] == 0
    assert sent(box) == 0


@pytest.mark.parametrize(
    ("change", "options", "reason"),
    [
        (lambda rows: rows.selectExpr("id", "array(id) as many"), {}, "to_json"),
        (lambda rows: rows.selectExpr("id as other"), {}, "no such column"),
        (lambda rows: rows.selectExpr("id", "id as id"), {}, "Two columns"),
        (lambda rows: rows, {"colour": "red"}, "no option 'colour'"),
        (lambda rows: rows, {"apiKey": "pak_short"}, "register"),
    ],
    ids=["nested", "key", "twice", "option", "apiKey"],
)
def test_what_cannot_be_written_is_refused_before_anything_is_sent(
    change: Callable[[DataFrame], DataFrame],
    options: dict[str, str],
    reason: str,
    spark: SparkSession,
    box: Sandbox,
    keyed: Dataset,
) -> None:
    with pytest.raises(PySparkException, match=reason):
        write(change(frame(spark)), keyed, **options)
    assert sent(box) == 0


def test_overwrite_is_refused_with_a_remedy(spark: SparkSession, box: Sandbox, keyed: Dataset) -> None:
    with pytest.raises(PySparkException, match=r"datasets\.purge"):
        frame(spark).write.format("databox").option("datasetId", keyed.id).mode("overwrite").save()
    assert sent(box) == 0


def test_the_key_does_not_show(
    spark: SparkSession, box: Sandbox, keyed: Dataset, capfd: pytest.CaptureFixture[str]
) -> None:
    body = {"status": "error", "errors": [{"message": box.api_key}]}
    box.inject(Fault("create_ingestion", status=405, body=body))
    with pytest.raises(PySparkException) as failure:
        write(frame(spark), keyed)
    settings = str(spark.sparkContext.getConf().getAll()) + str(spark.conf.getAll)
    assert [text for text in (str(failure.value), settings, *capfd.readouterr()) if box.api_key in text] == []


def test_without_a_key_the_two_places_for_it_are_named(session: SparkSession) -> None:
    with pytest.raises(ConfigurationError, match="DATABOX_API_KEY"):
        register(session)


def test_eight_tasks_at_once_keep_the_limit(session: SparkSession) -> None:
    command = [sys.executable, str(LIMITED)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        url, key = process.stdout.readline().split()
        with Databox(key, url) as client:
            source = client.data_sources.create("Warehouse")
            dataset = client.datasets.create("Rows", data_source=source, primary_keys=["id"])
        time.sleep(1)  # those two requests are none of the job's
        register(session, key, url)
        write(frame(session, rows=2400, tasks=8), dataset)
        statuses, _ = process.communicate()
    assert set(statuses.split()) == {"200"}
    assert len(statuses.split()) == 2 + 24 + 24


# Streams


def stream(spark: SparkSession, folder: Path, dataset: Dataset, report: Path) -> None:
    """Write whatever is new in a folder, and end."""
    rows = spark.readStream.schema("id long, amount double").json(str(folder / "in"))
    writer = rows.writeStream.format("databox").option("datasetId", dataset.id)
    if dataset.primary_keys:
        writer = writer.option("primaryKeys", ",".join(dataset.primary_keys))
    writer = writer.option("checkpointLocation", str(folder / "checkpoint")).option("reportPath", str(report))
    writer.trigger(availableNow=True).start().awaitTermination()


def arrive(folder: Path, name: str, rows: list[dict[str, Any]]) -> None:
    (folder / "in").mkdir(exist_ok=True)
    (folder / "in" / name).write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")


def test_a_stream_that_fails_goes_on_where_it_was(
    spark: SparkSession, box: Sandbox, keyed: Dataset, tmp_path: Path
) -> None:
    report = tmp_path / "report"
    arrive(tmp_path, "a.json", ROWS[:300])
    stream(spark, tmp_path, keyed, report)
    assert stored(box, keyed) == ROWS[:300]
    assert (told(report)["micro_batch"], told(report)["rows"]) == (0, 300)
    arrive(tmp_path, "b.json", ROWS[300:600])
    box.inject(Fault("create_ingestion", delay=0.01, times=1))  # the first batch of it arrives
    box.inject(Fault("create_ingestion", status=405, times=12))
    with pytest.raises(PySparkException):
        stream(spark, tmp_path, keyed, report)
    assert told(report)["stored"] is False
    httpx.delete(f"{box.url}/_sandbox/faults").raise_for_status()
    stream(spark, tmp_path, keyed, report)
    assert stored(box, keyed) == ROWS[:600]
    assert told(report)["stored"] is True


def test_a_stream_without_keys_is_refused(spark: SparkSession, box: Sandbox, unkeyed: Dataset, tmp_path: Path) -> None:
    arrive(tmp_path, "a.json", ROWS[:100])
    with pytest.raises(PySparkException, match="primaryKeys"):
        stream(spark, tmp_path, unkeyed, tmp_path / "report")
    assert sent(box) == 0


# As printed


def test_the_page_runs_as_printed(
    session: SparkSession, box: Sandbox, keyed: Dataset, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("DATABOX_API_KEY", box.api_key)
    monkeypatch.setenv("DATABOX_API_URL", box.url)
    arrive(tmp_path, "a.json", ROWS[:100])
    names: dict[str, Any] = {"spark": session, "frame": frame(session, rows=200, tasks=2), "dataset_id": keyed.id}
    names |= {"folder": str(tmp_path / "in"), "checkpoint": str(tmp_path / "checkpoint")}
    for code in blocks_of("spark.md"):
        exec(compile(code, "spark.md", "exec"), names)
    assert stored(box, keyed) == ROWS[:200]


def test_the_example_runs_and_reports_at_the_driver(session: SparkSession) -> None:
    command = [sys.executable, str(ROOT / "examples" / "spark_job.py")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=400, check=True)
    assert done.stderr.count("1,461 rows read, 1,461 accepted") == 2
    assert "4 of 4 tasks, 0 of them tried again." in done.stderr
    assert done.stdout == "Written twice, stored once: 1461 rows are stored.\n"


def test_databox_does_not_import_spark() -> None:
    code = "import sys, databox; sys.exit('pyspark' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
