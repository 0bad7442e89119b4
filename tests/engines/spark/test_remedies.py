"""Each remedy that the Spark data source names is followed through the next write, and rows are counted."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pyspark.errors import PySparkException
from pyspark.sql import DataFrame, SparkSession

from databox import Databox, Dataset, DataSource, RateLimit
from databox.integrations.spark import _tell, _Written
from databox.integrations.spark_plan import Cluster, Column, plan_of
from databox.sandbox import Fault, Sandbox
from tests.engines.spark.test_spark import arrive, stream
from tests.engines.spark.writes import ROWS, frame, sent, stored, told, write

# Columns


@pytest.mark.parametrize(
    ("column", "words", "remedy", "value"),
    [
        ("array(id)", "Make it text with to_json", "to_json(odd)", "[1]"),
        ("map('a', id)", "Make it text with to_json", "to_json(odd)", '{"a":1}'),
        ("named_struct('a', id)", "Select its fields as columns", "odd.a", 1),
        ("named_struct('a', id)", "make it text with to_json", "to_json(odd)", '{"a":1}'),
        ("parse_json('[1]')", "Make it text with to_json", "to_json(odd)", "[1]"),
        ("binary('x')", "Make it text with base64", "base64(odd)", "eA=="),
        ("interval '1' day", "Cast it to string", "string(odd)", "INTERVAL '1' DAY"),
    ],
)
def test_a_column_that_a_row_cannot_hold_is_made_one_that_it_can(
    column: str, words: str, remedy: str, value: Any, spark: SparkSession, box: Sandbox, keyed: Dataset
) -> None:
    rows = spark.range(1, 2).selectExpr("id", f"{column} as odd")
    with pytest.raises(PySparkException) as failure:
        write(rows, keyed)
    assert words in str(failure.value)
    assert sent(box) == 0
    write(rows.selectExpr("id", f"{remedy} as odd"), keyed)
    assert box.rows(keyed) == [{"id": 1, "odd": value}]


def test_an_array_becomes_rows_of_its_own(spark: SparkSession, box: Sandbox, keyed: Dataset) -> None:
    rows = spark.range(0, 3).selectExpr("id", "array(id, id + 10) as odd")
    with pytest.raises(PySparkException, match="or rows of their own with explode"):
        write(rows, keyed)
    write(rows.selectExpr("explode(odd) as id"), keyed)
    assert [row["id"] for row in stored(box, keyed)] == [0, 1, 2, 10, 11, 12]


@pytest.mark.parametrize(
    ("change", "words", "remedy"),
    [
        (
            lambda rows: rows.selectExpr("id", "id as id"),
            "Rename one",
            lambda rows: rows.selectExpr("id", "id as other"),
        ),
        (lambda rows: rows.selectExpr("id as other"), "no such column", lambda rows: rows.selectExpr("id")),
    ],
    ids=["two of one name", "no key"],
)
def test_a_frame_that_is_mended_is_stored(
    change: Callable[[DataFrame], DataFrame],
    words: str,
    remedy: Callable[[DataFrame], DataFrame],
    spark: SparkSession,
    box: Sandbox,
    keyed: Dataset,
) -> None:
    with pytest.raises(PySparkException, match=words):
        write(change(frame(spark)), keyed)
    write(remedy(frame(spark)), keyed)
    assert len(box.rows(keyed)) == 1000


# Writes


def test_a_dataset_is_purged_where_it_was_to_be_overwritten(
    spark: SparkSession, box: Sandbox, client: Databox, keyed: Dataset
) -> None:
    write(frame(spark), keyed)
    writer = frame(spark, rows=300).write.format("databox").option("datasetId", keyed.id).option("primaryKeys", "id")
    with pytest.raises(PySparkException, match=r"Use mode\('append'\).* for a fresh start call datasets\.purge before"):
        writer.mode("overwrite").save()
    assert stored(box, keyed) == ROWS
    client.datasets.purge(keyed)
    writer.mode("append").save()
    assert stored(box, keyed) == ROWS[:300]


@pytest.mark.parametrize("drop", ["before", "after"])
def test_after_a_lost_answer_without_keys_a_purged_dataset_takes_the_job_again(
    drop: Any, spark: SparkSession, box: Sandbox, client: Databox, unkeyed: Dataset, tmp_path: Path
) -> None:
    box.inject(Fault("create_ingestion", drop=drop, times=1))
    with pytest.raises(PySparkException, match="Look at the error of the first try and at the dataset"):
        write(frame(spark), unkeyed, reportPath=str(tmp_path / "report"))
    assert told(tmp_path / "report")["stored"] is False
    client.datasets.purge(unkeyed)
    write(frame(spark), unkeyed)
    assert stored(box, unkeyed) == ROWS


def test_with_keys_tasks_can_be_tried_again(
    spark: SparkSession, box: Sandbox, client: Databox, source: DataSource, unkeyed: Dataset
) -> None:
    box.inject(Fault("create_ingestion", status=405, times=1))
    with pytest.raises(PySparkException, match=r"With option\('primaryKeys', …\) tasks can be tried again"):
        write(frame(spark), unkeyed)
    keyed = client.datasets.create("Keyed", data_source=source, primary_keys=["id"])
    box.inject(Fault("create_ingestion", status=405, times=1))
    write(frame(spark), keyed)
    assert stored(box, keyed) == ROWS


@pytest.mark.parametrize("remedy", ["primaryKeys", "allowDuplicates"])
def test_a_stream_that_is_told_how_goes_on(
    remedy: str,
    spark: SparkSession,
    box: Sandbox,
    client: Databox,
    source: DataSource,
    unkeyed: Dataset,
    tmp_path: Path,
) -> None:
    arrive(tmp_path, "a.json", ROWS[:300])
    with pytest.raises(PySparkException, match=remedy):
        stream(spark, tmp_path, unkeyed, tmp_path / "report")
    assert sent(box) == 0
    if remedy == "primaryKeys":
        unkeyed = client.datasets.create("Keyed", data_source=source, primary_keys=["id"])
        stream(spark, tmp_path, unkeyed, tmp_path / "report")
    else:
        rows = spark.readStream.schema("id long, amount double").json(str(tmp_path / "in"))
        writer = rows.writeStream.format("databox").option("datasetId", unkeyed.id).option(remedy, "true")
        writer = writer.option("checkpointLocation", str(tmp_path / "checkpoint"))
        writer.trigger(availableNow=True).start().awaitTermination()
    assert stored(box, unkeyed) == ROWS[:300]


# Keys on the caller's word


def test_a_report_says_that_what_went_again_rests_on_the_keys_that_were_named(
    spark: SparkSession, box: Sandbox, unkeyed: Dataset, tmp_path: Path
) -> None:
    """The word is wrong here: the dataset was made without keys."""
    box.inject(Fault("create_ingestion", drop="after", times=1))
    write(frame(spark, tasks=1), unkeyed, primaryKeys="id", reportPath=str(tmp_path / "report"))
    assert len(box.rows(unkeyed)) == 1100
    report = told(tmp_path / "report")
    assert (report["resent"], report["primary_keys"], report["primary_keys_assumed"]) == (100, ["id"], True)


def test_the_driver_says_it_in_words(client: Databox, box: Sandbox, capsys: pytest.CaptureFixture[str]) -> None:
    """What it prints goes past pytest otherwise: it is a process of Spark's that does so."""
    plain = client.datasets.create("Plain", data_source=client.data_sources.create("Warehouse"))
    box.inject(Fault("create_ingestion", drop="after", times=1))
    report = client.datasets.ingest(plain.id, ROWS, primary_keys=["id"])
    options = {"datasetId": plain.id, "primaryKeys": "id"}
    columns = [Column("id", "bigint")]
    plan = plan_of(
        options, columns, Cluster(True, None, ()), RateLimit(store="limit"), overwrite=False, streaming=False
    )
    _tell(plan, [_Written(0, 1, 0.0, 1.0, report)], stored=True)
    said = capsys.readouterr().err
    assert "100 were sent again after a lost answer; they are stored once if the dataset's primary keys are" in said
    assert "1 of them tried again. What came twice is stored once if the dataset's primary keys are those of" in said
