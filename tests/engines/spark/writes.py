"""What tests of the Spark data source have in common."""

import json
from pathlib import Path
from typing import Any

from pyspark.sql import DataFrame, SparkSession

from databox import Dataset
from databox.sandbox import Sandbox

ROWS = [{"id": n, "amount": n * 1.5} for n in range(1000)]
NOW = {"Retry-After": "0"}


def frame(spark: SparkSession, rows: int = 1000, tasks: int = 4) -> DataFrame:
    return spark.range(0, rows, 1, tasks).selectExpr("id", "double(id * 1.5) as amount")


def write(frame: DataFrame, dataset: Dataset, **options: str) -> None:
    writer = frame.write.format("databox").option("datasetId", dataset.id)
    if dataset.primary_keys:
        writer = writer.option("primaryKeys", ",".join(dataset.primary_keys))
    writer.options(**options).mode("append").save()


def stored(box: Sandbox, dataset: Dataset) -> list[dict[str, Any]]:
    return sorted(box.rows(dataset), key=lambda row: row["id"])


def sent(box: Sandbox) -> int:
    return sum(request.operation == "datasets.create_ingestion" for request in box.requests)


def told(path: Path) -> dict[str, Any]:
    """The last line of a report's file."""
    return dict(json.loads(path.read_text("utf-8").splitlines()[-1]))
