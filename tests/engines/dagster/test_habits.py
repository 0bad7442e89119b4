"""What people do in Dagster: retries, partitions, checks, runs that are run again; and remedies, to their end."""

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attrs
import dagster
import pytest

from databox import Databox, Dataset, IngestReport
from databox.integrations.dagster import DataboxResource, metadata_of
from databox.sandbox import Fault, Sandbox
from tests.engines.page import block

ROWS = [{"id": n, "amount": n * 1.5} for n in range(250)]
NOW = {"Retry-After": "0"}


@pytest.fixture
def databox(box: Sandbox, monkeypatch: pytest.MonkeyPatch) -> DataboxResource:
    monkeypatch.setenv("DATABOX_API_KEY", box.api_key)
    return DataboxResource(api_key=dagster.EnvVar("DATABOX_API_KEY"), base_url=box.url)


def materialize(databox: DataboxResource, rows: Any, dataset: Any, **arguments: Any) -> Any:
    """Materialize an asset, with one retry."""

    @dagster.asset(retry_policy=dagster.RetryPolicy(max_retries=1))
    def orders(databox: DataboxResource) -> None:
        databox.ingest(dataset, rows() if callable(rows) else rows, **arguments)

    return dagster.materialize([orders], resources={"databox": databox}, raise_on_error=False)


def retries(result: Any) -> int:
    return len(result.filter_events(lambda event: event.is_step_up_for_retry))


def failure(result: Any) -> Any:
    return result.filter_events(lambda event: event.is_step_failure)[0].step_failure_data.user_failure_data


def stored(box: Sandbox, dataset: Dataset) -> list[dict[str, Any]]:
    return sorted(box.rows(dataset), key=lambda row: row["id"])


# Retries


@pytest.mark.parametrize(
    ("rows", "arguments", "said"),
    [
        ({"id": 1}, {"primary_keys": ["id"]}, "Put a single row in a list"),
        (ROWS, {"primary_keys": "id"}, "primary_keys must be a list"),
        (ROWS, {"primary_keys": ["id"], "verify": "yes"}, "verify must be"),
        (ROWS, {"primary_keys": ["id"], "patience": -1}, "patience must be"),
    ],
)
def test_an_argument_that_is_wrong_is_not_tried_again(
    rows: Any, arguments: dict[str, Any], said: str, databox: DataboxResource, box: Sandbox, keyed: Dataset
) -> None:
    result = materialize(databox, rows, keyed.id, **arguments)
    assert not result.success
    assert retries(result) == 0
    assert said in failure(result).description
    assert box.rows(keyed) == []


def test_rows_whose_source_fails_in_passing_are_tried_again(
    databox: DataboxResource, box: Sandbox, keyed: Dataset
) -> None:
    tries: list[int] = []

    def rows() -> Iterator[dict[str, Any]]:
        tries.append(1)
        yield from ROWS[:150]
        if len(tries) == 1:
            raise ConnectionError("the database went away")
        yield from ROWS[150:]

    result = materialize(databox, rows, keyed)
    assert result.success
    assert retries(result) == 1
    assert stored(box, keyed) == ROWS


# Metadata and checks


def test_metadata_has_every_count_of_a_report(box: Sandbox, keyed: Dataset) -> None:
    box.inject(Fault("create_ingestion", drop="after", times=1))
    report = DataboxResource(api_key=box.api_key, base_url=box.url).ingest(keyed, ROWS)
    metadata = metadata_of(report)
    numbers = {field.name for field in attrs.fields(IngestReport) if field.type in (int, float)}
    assert set(metadata) == numbers
    assert {name: value.value for name, value in metadata.items()} == {name: getattr(report, name) for name in numbers}
    assert metadata["resent"].value == 100


@pytest.mark.parametrize("passed", [True, False])
def test_a_check_says_whether_every_row_is_stored(
    passed: bool, databox: DataboxResource, box: Sandbox, unkeyed: Dataset
) -> None:
    if not passed:
        box.inject(Fault("create_ingestion", status=403, times=1))
    code = re.sub(r'"4e1219d8[^"]+"', f'"{unkeyed.id}"', block("Asset checks"))
    names: dict[str, Any] = {}
    exec(compile(code, "pipelines.md", "exec"), names)
    result = dagster.materialize([names["deliveries"]], resources={"databox": databox})
    (check,) = result.get_asset_check_evaluations()
    assert check.passed is passed
    stored = 1 if passed else 0
    assert check.metadata["appended"].value == len(box.rows(unkeyed)) == stored
    assert f"1 rows read, {stored} accepted" in str(check.description)


# Partitions, and runs that are run again


def test_a_partition_that_is_materialized_again_stores_no_row_twice(
    databox: DataboxResource, box: Sandbox, unkeyed: Dataset, tmp_path: Path
) -> None:
    rows = [dict(row) for row in ROWS]

    @dagster.asset(partitions_def=dagster.StaticPartitionsDefinition(["2026-01-30", "2026-01-31"]))
    def orders(context: dagster.AssetExecutionContext, databox: DataboxResource) -> None:
        first = 0 if context.partition_key == "2026-01-30" else 125
        databox.ingest(unkeyed, rows[first : first + 125], journal=tmp_path / f"{context.partition_key}.journal")

    def done(day: str) -> Any:
        return dagster.materialize([orders], resources={"databox": databox}, partition_key=day, raise_on_error=False)

    assert all(done(day).success for day in ("2026-01-30", "2026-01-31", "2026-01-30"))
    assert stored(box, unkeyed) == ROWS
    rows[3]["amount"] = 0.0  # which the journal of the partition does not know
    result = done("2026-01-30")
    assert not result.success
    assert "journal" in failure(result).description
    assert stored(box, unkeyed) == ROWS


def job_of_an_asset_without_keys() -> dagster.JobDefinition:
    """As the page has it: a journal for a run and all runs that it is run again as."""

    @dagster.asset
    def orders(context: dagster.AssetExecutionContext, databox: DataboxResource) -> None:
        run = context.run.root_run_id or context.run.run_id
        journal = Path(os.environ["JOURNALS"]) / f"{run}.journal"
        databox.ingest(os.environ["DATASET"], iter(ROWS), journal=journal)
        if not Path(os.environ["JOURNALS"], "mended").exists():
            raise RuntimeError("after the ingest")

    resources = {"databox": DataboxResource(api_key=dagster.EnvVar("DATABOX_API_KEY"), base_url=os.environ["URL"])}
    job = dagster.define_asset_job("job", [orders], executor_def=dagster.in_process_executor)
    return dagster.Definitions([orders], resources=resources, jobs=[job]).resolve_job_def("job")


def test_a_run_that_failed_after_the_ingest_and_is_run_again_stores_no_row_twice(
    databox: DataboxResource, box: Sandbox, unkeyed: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {"JOURNALS": str(tmp_path), "DATASET": unkeyed.id, "URL": box.url}.items():
        monkeypatch.setenv(name, value)
    job = dagster.reconstructable(job_of_an_asset_without_keys)
    with dagster.DagsterInstance.ephemeral() as instance:
        first = dagster.execute_job(job, instance)
        assert not first.success
        assert stored(box, unkeyed) == ROWS
        (tmp_path / "mended").touch()
        again = dagster.ReexecutionOptions(first.run_id)
        second = dagster.execute_job(job, instance, reexecution_options=again)
        assert second.success
        assert second.run_id != first.run_id
    assert stored(box, unkeyed) == ROWS


# Remedies, to their end


@pytest.fixture
def doubtful(databox: DataboxResource, box: Sandbox, unkeyed: Dataset) -> Dataset:
    """A dataset without keys, after a run of which an answer was lost."""
    box.inject(Fault("create_ingestion", drop="after", times=1))
    result = materialize(databox, ROWS, unkeyed)
    assert not result.success
    said = failure(result).description
    assert "Before the asset is materialized again, do one of these." in said
    assert stored(box, unkeyed) == ROWS
    return unkeyed


def test_the_dataset_is_purged_and_all_is_sent_again(
    doubtful: Dataset, databox: DataboxResource, box: Sandbox, client: Databox
) -> None:
    client.datasets.purge(doubtful)
    assert materialize(databox, ROWS, doubtful, on_ambiguous="resend").success
    assert stored(box, doubtful) == ROWS


def test_what_is_not_purged_is_stored_twice_as_the_message_says(
    doubtful: Dataset, databox: DataboxResource, box: Sandbox
) -> None:
    assert materialize(databox, ROWS, doubtful, on_ambiguous="resend").success
    assert len(box.rows(doubtful)) == 2 * len(ROWS)


def test_a_dataset_with_primary_keys_is_made(
    doubtful: Dataset, databox: DataboxResource, box: Sandbox, keyed: Dataset
) -> None:
    box.inject(Fault("create_ingestion", status=503, times=6, headers=NOW))
    result = materialize(databox, ROWS, keyed.id, primary_keys=["id"])
    assert (result.success, retries(result)) == (True, 1)
    assert stored(box, keyed) == ROWS


def test_in_runs_to_come_a_journal_lets_a_try_go_on(
    databox: DataboxResource, box: Sandbox, unkeyed: Dataset, tmp_path: Path
) -> None:
    box.inject(Fault("create_ingestion", times=1))
    box.inject(Fault("create_ingestion", status=503, times=10, headers=NOW))
    result = materialize(databox, ROWS, unkeyed, journal=tmp_path / "orders.journal")
    assert (result.success, retries(result)) == (True, 1)
    assert stored(box, unkeyed) == ROWS
