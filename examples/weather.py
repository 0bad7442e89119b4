"""Send four years of Seattle's weather to Databox, twice, and show that no row is lost or duplicated.

make demo                               against its own sandbox
LIVE=1 DATABOX_API_KEY=… make demo      against the real service, in a data source that you delete afterwards
"""

import csv
import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

from dateutil.parser import parse

import databox
from databox import Databox, DataboxError, Dataset, IngestReport
from databox.sandbox import Sandbox

WEATHER = Path(databox.__file__).parent / "cli" / "seattle-weather.csv"
TITLE = "databox-sdk demo"


def weather() -> Iterator[dict[str, str | float]]:
    """Read the file a row at a time; its dates, such as 2012/01/01, become ISO 8601."""
    with WEATHER.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            yield {
                "date": parse(row["date"]).date().isoformat(),
                "precipitation_mm": float(row["precipitation"]),
                "temp_max_c": float(row["temp_max"]),
                "temp_min_c": float(row["temp_min"]),
                "wind_m_s": float(row["wind"]),
                "weather": row["weather"],
            }


def send(client: Databox, dataset: Dataset, occasion: str) -> IngestReport:
    """Ingest and verify the file, and print a line about it."""
    print(f"{occasion:<12}", end="", flush=True)
    report = client.datasets.ingest(dataset, weather())
    print(
        f"{report.rows:,} rows read, {report.accepted:,} accepted: {report.appended:,} appended, "
        f"{report.overwritten:,} overwritten, {report.rejected:,} rejected "
        f"({report.requests} requests, {report.seconds:.1f} s)"
    )
    return report


def main() -> int:
    """Run the demo; return the exit status."""
    with ExitStack() as stack:
        if os.environ.get("LIVE") == "1":
            client = stack.enter_context(Databox())
            print(f"Seattle's weather, 2012 to 2015, into the real service: {client!r}")
        else:
            box = stack.enter_context(Sandbox())
            client = stack.enter_context(Databox(api_key=box.api_key, base_url=box.url))
            print(f"Seattle's weather, 2012 to 2015, into a sandbox at {box.url}")
        account = client.accounts.list().items[0]
        source = client.data_sources.ensure(TITLE, account_id=account.id)
        dataset = client.datasets.ensure("Seattle weather", data_source=source, primary_keys=["date"])
        first = send(client, dataset, "first time")
        again = send(client, dataset, "once more")
        last = client.datasets.get_ingestion(dataset, again.batches[-1].ingestion_id or "")
        held = last.dataset_metrics.total_records_count if last.dataset_metrics else None
        print(f"The dataset holds {held:,} rows." if held is not None else "Its size is not told.")
        if held == first.rows:
            print("Sent twice, stored once: none lost, none doubled.")
        if os.environ.get("LIVE") == "1":
            print(f"When you have looked at it: Databox().data_sources.delete({source.id})")
    return 0 if held == first.rows else 1


if __name__ == "__main__":
    try:
        sys.exit(main())
    except DataboxError as error:
        sys.exit(f"\n{error}")
