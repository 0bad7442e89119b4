"""A DAG that keeps a dataset up to date with a file: Seattle's weather, every day.

pip install "databox-sdk[airflow]"
airflow connections add databox_default --conn-type databox --conn-password API_KEY

Put this file and `data/` into the folder of DAGs.
"""

from datetime import datetime, timedelta
from pathlib import Path

from airflow.sdk import dag, task

import databox
from databox.integrations.airflow import DataboxHook, DataboxIngestOperator

WEATHER = Path(databox.__file__).parent / "cli" / "seattle-weather.csv"


@dag(schedule="@daily", start_date=datetime(2026, 1, 1), catchup=False)
def seattle_weather() -> None:
    """Find or create the dataset, then ingest the file."""

    @task
    def dataset() -> str:
        with DataboxHook().get_conn() as client:
            account = client.accounts.list().items[0]
            source = client.data_sources.ensure("Airflow", account_id=account.id)
            return client.datasets.ensure("Seattle weather", data_source=source, primary_keys=["date"]).id

    DataboxIngestOperator(
        task_id="ingest",
        dataset_id=dataset(),
        path=str(WEATHER),
        primary_keys=["date"],  # so that a retry stores no row twice
        retries=3,
        retry_delay=timedelta(minutes=1),
    )


seattle_weather()
