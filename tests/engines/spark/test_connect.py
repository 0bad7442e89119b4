"""Spark Connect: the program only speaks to a server, which plans, runs the tasks and prints the report."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from databox import Databox
from databox.sandbox import Fault, Sandbox
from tests.engines.spark.conftest import needs_java

PROGRAM = """
import sys
from pyspark.sql import SparkSession
from databox.integrations.spark import register

kind, dataset_id, keys, report = sys.argv[1:]
spark = SparkSession.builder.remote("local[4,4]").config("spark.ui.enabled", "false").getOrCreate()
register(spark)
if kind == "batch":
    frame = spark.range(0, 1000, 1, 4).selectExpr("id", "double(id * 1.5) as amount")
    writer = frame.write.format("databox").option("datasetId", dataset_id).option("reportPath", report)
    writer.option("primaryKeys", keys).mode("append").save()
else:
    rows = spark.readStream.schema("id long, amount double").json(report + "/in")
    writer = rows.writeStream.format("databox").option("datasetId", dataset_id).option("primaryKeys", keys)
    writer = writer.option("reportPath", report + "/report").option("checkpointLocation", report + "/checkpoint")
    writer.trigger(availableNow=True).start().awaitTermination()
"""
ROWS = [{"id": n, "amount": n * 1.5} for n in range(1000)]


def run(box: Sandbox, *arguments: object) -> "subprocess.CompletedProcess[str]":
    needs_java()
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("SPARK_", "PYSPARK_"))}
    environ |= {"PYSPARK_PYTHON": sys.executable, "SPARK_LOCAL_IP": "127.0.0.1"}
    environ |= {"DATABOX_API_KEY": box.api_key, "DATABOX_API_URL": box.url}
    command = [sys.executable, "-c", PROGRAM, *map(str, arguments)]
    done = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=400, check=False)
    assert box.api_key not in done.stdout + done.stderr
    return done


@pytest.fixture
def keyed(box: Sandbox) -> str:
    with Databox(box.api_key, box.url) as client:
        source = client.data_sources.create("Connect")
        return client.datasets.create("Keyed", data_source=source, primary_keys=["id"]).id


def test_a_frame_is_stored_once_whatever_happens(box: Sandbox, keyed: str, tmp_path: Path) -> None:
    box.inject(Fault("create_ingestion", drop="after", times=2))
    box.inject(Fault("create_ingestion", status=503, times=2, headers={"Retry-After": "0"}))
    box.inject(Fault("create_ingestion", status=405, times=1))
    done = run(box, "batch", keyed, "id", tmp_path / "report")
    assert done.returncode == 0, done.stderr
    assert sorted(box.rows(keyed), key=lambda row: row["id"]) == ROWS
    assert f"Databox, dataset {keyed}: 1,000 rows read, 1,000 accepted" in done.stderr
    report = json.loads((tmp_path / "report").read_text())
    assert (report["stored"], report["accepted"], report["tasks_tried_again"]) == (True, 1000, 1)


def test_without_keys_a_lost_answer_fails_the_program_and_no_row_is_sent_twice(box: Sandbox, tmp_path: Path) -> None:
    with Databox(box.api_key, box.url) as client:
        source = client.data_sources.create("Connect")
        unkeyed = client.datasets.create("Unkeyed", data_source=source).id
    box.inject(Fault("create_ingestion", drop="after", times=1))
    done = run(box, "batch", unkeyed, "", tmp_path / "report")
    assert done.returncode != 0
    assert "IngestError" in done.stderr or "was tried before" in done.stderr
    sent = [row["id"] for row in box.rows(unkeyed)]
    assert len(sent) == len(set(sent)) > 0
    assert json.loads((tmp_path / "report").read_text())["stored"] is False


def test_a_stream_is_stored_once(box: Sandbox, keyed: str, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for part in range(4):
        rows = ROWS[part * 250 : part * 250 + 250]
        (tmp_path / "in" / f"{part}.json").write_text("".join(json.dumps(row) + "\n" for row in rows))
    box.inject(Fault("create_ingestion", drop="after", times=2))
    done = run(box, "stream", keyed, "id", tmp_path)
    assert done.returncode == 0, done.stderr
    assert sorted(box.rows(keyed), key=lambda row: row["id"]) == ROWS
    assert json.loads((tmp_path / "report").read_text().splitlines()[0])["stored"] is True
