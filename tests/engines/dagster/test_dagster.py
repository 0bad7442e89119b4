"""Real assets are materialized into the sandbox, which fails on demand."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dagster
import pytest

from databox import ConfigurationError, Databox, Dataset
from databox.integrations.dagster import DataboxResource, metadata_of
from databox.sandbox import Fault, Sandbox
from tests.engines.page import ROOT, block

ROWS = [{"id": n, "amount": n * 1.5} for n in range(250)]
NOW = {"Retry-After": "0"}

Materialize = Callable[..., dagster.ExecuteInProcessResult]


@pytest.fixture
def materialize(box: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Materialize:
    """Materialize an asset of ROWS in the dataset, with one retry."""
    monkeypatch.setenv("DATABOX_API_KEY", box.api_key)

    def materialize(dataset: str | Dataset, **arguments: Any) -> dagster.ExecuteInProcessResult:
        @dagster.asset(retry_policy=dagster.RetryPolicy(max_retries=1))
        def orders(databox: DataboxResource) -> dagster.MaterializeResult[None]:
            report = databox.ingest(dataset, iter(ROWS), **arguments)
            return dagster.MaterializeResult(metadata=metadata_of(report))

        databox = DataboxResource(api_key=dagster.EnvVar("DATABOX_API_KEY"), base_url=box.url)
        return dagster.materialize([orders], resources={"databox": databox}, raise_on_error=False)

    return materialize


def stored(box: Sandbox, dataset: Dataset) -> list[dict[str, Any]]:
    return sorted(box.rows(dataset), key=lambda row: row["id"])


def sent(box: Sandbox) -> int:
    return sum(request.operation == "datasets.create_ingestion" for request in box.requests)


def failure(result: dagster.ExecuteInProcessResult) -> Any:
    """What the step failed with."""
    return result.filter_events(lambda event: event.is_step_failure)[0].step_failure_data.user_failure_data


@pytest.mark.parametrize(
    ("fault", "retries"),
    [
        (None, 0),
        (Fault("create_ingestion", status=503, times=3, headers=NOW), 0),
        (Fault("create_ingestion", status=429, times=3, headers=NOW), 0),
        (Fault("create_ingestion", drop="after", times=1), 0),
        (Fault("create_ingestion", status=503, times=6, headers=NOW), 1),
    ],
)
def test_keyed_rows_are_stored_once_whatever_happens(
    fault: Fault | None, retries: int, materialize: Materialize, box: Sandbox, keyed: Dataset
) -> None:
    if fault:
        box.inject(fault)
    result = materialize(keyed.id, primary_keys=["id"])
    assert result.success
    assert len(result.filter_events(lambda event: event.is_step_up_for_retry)) == retries
    assert stored(box, keyed) == ROWS
    (materialization,) = result.asset_materializations_for_node("orders")
    counts = {name: entry.value for name, entry in materialization.metadata.items()}
    assert counts["accepted"] == 250
    assert counts["failed"] == counts["ambiguous"] == 0
    assert box.requests[-1].headers["user-agent"].endswith(f" dagster/{dagster.__version__}")


def test_rows_without_keys_are_stored_once_when_a_request_was_surely_refused(
    materialize: Materialize, box: Sandbox, unkeyed: Dataset
) -> None:
    box.inject(Fault("create_ingestion", status=503, times=3, headers=NOW))
    assert materialize(unkeyed).success
    assert stored(box, unkeyed) == ROWS


def test_rows_without_keys_whose_answer_was_lost_are_not_tried_again(
    materialize: Materialize, box: Sandbox, unkeyed: Dataset
) -> None:
    box.inject(Fault("create_ingestion", drop="after", times=1))
    result = materialize(unkeyed)
    assert not result.success
    assert failure(result).metadata["ambiguous"].value == 100
    assert sent(box) == 3
    assert stored(box, unkeyed) == ROWS


def test_nor_are_they_when_some_arrived_and_some_did_not(
    materialize: Materialize, box: Sandbox, unkeyed: Dataset
) -> None:
    box.inject(Fault("create_ingestion", times=1))
    box.inject(Fault("create_ingestion", status=503, headers=NOW))
    assert not materialize(unkeyed).success
    assert stored(box, unkeyed) == ROWS[:100]


def test_with_a_journal_a_retry_goes_on_where_the_first_try_stopped(
    materialize: Materialize, box: Sandbox, unkeyed: Dataset, tmp_path: Path
) -> None:
    box.inject(Fault("create_ingestion", times=1))
    box.inject(Fault("create_ingestion", status=503, times=10, headers=NOW))  # five attempts at each of two batches
    assert materialize(unkeyed, journal=tmp_path / "orders.journal").success
    assert stored(box, unkeyed) == ROWS
    assert sent(box) == 1 + 10 + 2


@pytest.mark.parametrize("status", [400, 401, 403, 404])
def test_what_trying_again_cannot_help_fails_at_once(
    status: int, materialize: Materialize, box: Sandbox, keyed: Dataset
) -> None:
    box.inject(Fault("create_ingestion", status=status))
    result = materialize(keyed)
    assert not result.success
    assert result.filter_events(lambda event: event.is_step_up_for_retry) == []
    assert f"status {status}" in failure(result).description


def test_the_key_does_not_show(
    materialize: Materialize, box: Sandbox, keyed: Dataset, capfd: pytest.CaptureFixture[str]
) -> None:
    echo = {"status": "error", "errors": [{"message": f"Who is {box.api_key}?"}]}
    box.inject(Fault("create_ingestion", status=400, body=echo))
    result = materialize(keyed)
    shown = "".join(capfd.readouterr()) + "".join(str(event) for event in result.all_events)
    assert "Who is" in shown
    shown += repr(DataboxResource(api_key=box.api_key)) + str(DataboxResource(api_key=box.api_key))
    assert box.api_key not in shown


def test_processes_may_share_the_limit(box: Sandbox, tmp_path: Path) -> None:
    store = tmp_path / "databox.limit"
    with DataboxResource(api_key=box.api_key, base_url=box.url, rate_limit_store=str(store)).get_client() as client:
        client.auth.validate_key()
    assert store.exists()


def test_an_empty_key_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="api_key is empty"):
        DataboxResource(api_key="").get_client()


def test_the_page_runs_as_printed(box: Sandbox, client: Databox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABOX_API_KEY", box.api_key)
    monkeypatch.setenv("DATABOX_API_URL", box.url)
    exec(compile(block("Dagster"), "pipelines.md", "exec"), {"__name__": "__main__"})
    account = client.accounts.list().items[0]
    source = client.data_sources.ensure("Shop", account_id=account.id)
    dataset = client.datasets.ensure("Orders", data_source=source)
    assert [row["order_id"] for row in box.rows(dataset)] == [1001]


def test_the_example_runs() -> None:
    example = ROOT / "examples" / "dagster_assets.py"
    done = subprocess.run([sys.executable, str(example)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "accepted: 1461\nappended: 1461\n" in done.stdout


def test_without_dagster_the_extra_is_named() -> None:
    code = "import sys; sys.modules['dagster'] = None; import databox.integrations.dagster"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert 'ImportError: databox.integrations.dagster needs Dagster: pip install "databox-sdk[dagster]".' in done.stderr


def test_databox_does_not_import_dagster() -> None:
    code = "import sys, databox, databox.integrations; print('dagster' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
