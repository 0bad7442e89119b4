"""Send DataFrames to Databox: daily sales totals, once with pandas and once with Polars.

python dataframe.py sales.csv

Numbers, dates, categories and missing values keep their meaning. A column for which the API has no type is refused
before anything is sent, and the message says what to do; this example does so in advance for the durations.
"""

import sys
from pathlib import Path

import pandas as pd
import polars as pl

from databox import Databox, Dataset


def with_pandas(path: Path) -> pd.DataFrame:
    """Sum the sales of each day and shop."""
    sales = pd.read_csv(path, dtype={"shop": "category", "pieces": "Int64"}, parse_dates=["at"])
    sales["took"] = pd.to_timedelta(sales["took"])
    days = sales.groupby([sales["at"].dt.date.rename("day"), "shop"], observed=True).agg(
        amount=("amount", "sum"), pieces=("pieces", "sum"), took=("took", "mean")
    )
    days["took_s"] = days.pop("took").dt.total_seconds()  # a duration as seconds: the API has no type for it
    return days.reset_index()  # the index is not sent, but columns are


def with_polars(path: Path) -> pl.DataFrame:
    """Do the same, lazily; `ingest` takes the collected result."""
    sales = pl.scan_csv(path, try_parse_dates=True, schema_overrides={"shop": pl.Categorical})
    clock = pl.col("took").cast(pl.String).str.to_time("%H:%M:%S").cast(pl.Duration)
    days = sales.group_by(pl.col("at").dt.date().alias("day"), "shop").agg(
        pl.col("amount").sum(), pl.col("pieces").sum(), clock.mean().dt.total_seconds(fractional=True).alias("took_s")
    )
    return days.sort("day", "shop").collect()


def send(client: Databox, dataset: Dataset, frame: pd.DataFrame | pl.DataFrame) -> None:
    """Send a frame, and print the outcome."""
    report = client.datasets.ingest(dataset, frame)
    print(f"{type(frame).__module__.partition('.')[0]}: {report.appended} appended, {report.overwritten} overwritten")


def main(path: Path) -> None:
    """Send both to one dataset: they have the same rows, so the second ones overwrite the first."""
    with Databox() as client:
        account = client.accounts.list().items[0]
        source = client.data_sources.ensure("Shops", account_id=account.id)
        dataset = client.datasets.ensure("Sales by day", data_source=source, primary_keys=["day", "shop"])
        send(client, dataset, with_pandas(path))
        send(client, dataset, with_polars(path))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
