"""A Spark job that writes a file's rows into a dataset: Seattle's weather.

pip install "databox-sdk[spark,sandbox]"                      and a Java 17 or later
python examples/spark_job.py                                  into its own sandbox
DATABOX_API_KEY=… DATASET_ID=… python examples/spark_job.py   into the real service
"""

import os
import sys
from pathlib import Path

from pyspark.sql import SparkSession

import databox
from databox import Databox
from databox.integrations.spark import register
from databox.sandbox import Sandbox

WEATHER = Path(databox.__file__).parent / "cli" / "seattle-weather.csv"


def write(spark: SparkSession, dataset_id: str) -> None:
    """Write the file; the report goes to standard error."""
    register(spark)
    frame = spark.read.csv(str(WEATHER), header=True, inferSchema=True)
    writer = frame.repartition(4).write.format("databox")
    writer.option("datasetId", dataset_id).option("primaryKeys", "date").mode("append").save()


def main() -> None:
    """Write once into the service from the environment, or twice into a sandbox."""
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    spark = SparkSession.builder.appName("weather").getOrCreate()
    if "DATABOX_API_KEY" in os.environ:
        write(spark, os.environ["DATASET_ID"])
        return
    with Sandbox() as box, Databox(box.api_key, box.url) as client:
        source = client.data_sources.create("Spark")
        dataset = client.datasets.create("Seattle weather", data_source=source, primary_keys=["date"])
        os.environ |= {"DATABOX_API_KEY": box.api_key, "DATABOX_API_URL": box.url}
        write(spark, dataset.id)
        write(spark, dataset.id)
        print(f"Written twice, stored once: {len(box.rows(dataset))} rows are stored.")


if __name__ == "__main__":
    main()
