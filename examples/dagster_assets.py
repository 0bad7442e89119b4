"""An asset that keeps a dataset up to date with a file: Seattle's weather.

pip install "databox-sdk[dagster,sandbox]"
python examples/dagster_assets.py                                  into its own sandbox
DATABOX_API_KEY=… dagster dev -f examples/dagster_assets.py        into the real service
"""

import os
from pathlib import Path

from dagster import Definitions, EnvVar, MaterializeResult, RetryPolicy, asset, materialize

import databox
from databox import read_records
from databox.integrations.dagster import DataboxResource, metadata_of
from databox.sandbox import Sandbox

WEATHER = Path(databox.__file__).parent / "cli" / "seattle-weather.csv"


@asset(retry_policy=RetryPolicy(max_retries=3, delay=60))
def seattle_weather(databox: DataboxResource) -> MaterializeResult[None]:
    """Find or create the dataset, then ingest the file."""
    with databox.get_client() as client:
        account = client.accounts.list().items[0]
        source = client.data_sources.ensure("Dagster", account_id=account.id)
        dataset = client.datasets.ensure("Seattle weather", data_source=source, primary_keys=["date"])
    with read_records(WEATHER) as records:
        report = databox.ingest(dataset, records)
    return MaterializeResult(metadata={"dataset": dataset.id, **metadata_of(report)})


defs = Definitions(
    assets=[seattle_weather],
    resources={"databox": DataboxResource(api_key=EnvVar("DATABOX_API_KEY"))},
)


def main() -> None:
    """Materialize the asset in a sandbox."""
    with Sandbox() as box:
        os.environ |= {"DATABOX_API_KEY": box.api_key, "DATABOX_API_URL": box.url}
        result = materialize([seattle_weather], resources=defs.resources)
        (made,) = result.asset_materializations_for_node("seattle_weather")
        for name, value in made.metadata.items():
            print(f"{name}: {value.value}")


if __name__ == "__main__":
    main()
