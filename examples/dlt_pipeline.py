"""Load four years of Seattle's weather with dlt.

pip install "databox-sdk[dlt,sandbox]"
python examples/dlt_pipeline.py         twice, into its own sandbox, to show that no row is duplicated
DESTINATION__DATABOX__API_KEY=… DESTINATION__DATABOX__DATA_SOURCE_ID=… python examples/dlt_pipeline.py
"""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dlt

import databox
from databox import Databox, read_records
from databox.integrations.dlt import databox_destination
from databox.sandbox import Sandbox

WEATHER = Path(databox.__file__).parent / "cli" / "seattle-weather.csv"


@dlt.resource(name="seattle_weather", primary_key="date", write_disposition="merge")
def weather() -> Iterator[dict[str, Any]]:
    """Read the file; its date column identifies the rows."""
    with read_records(WEATHER) as records:
        yield from records


def load() -> None:
    """Run the pipeline, with dlt's configuration."""
    print(dlt.pipeline("weather", destination=databox_destination()).run(weather()))


def main() -> None:
    """Load once into the service from the environment, or twice into a sandbox."""
    if "DESTINATION__DATABOX__API_KEY" in os.environ:
        load()
        return
    with Sandbox() as box, Databox(box.api_key, box.url) as client:
        source = client.data_sources.create("dlt")
        os.environ |= {
            "DESTINATION__DATABOX__API_KEY": box.api_key,
            "DESTINATION__DATABOX__BASE_URL": box.url,
            "DESTINATION__DATABOX__DATA_SOURCE_ID": str(source.id),
        }
        load()
        load()
        dataset = client.datasets.ensure("seattle_weather", data_source=source)
        print(f"Loaded twice, stored once: the dataset holds {len(box.rows(dataset)):,} rows.")


if __name__ == "__main__":
    main()
