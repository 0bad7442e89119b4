"""Each remedy of a message or the page is followed, through the next run that succeeds, and rows are counted."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from databox import Databox, Dataset, DataSource
from databox.sandbox import Fault, Sandbox
from tests.engines.airflow.conftest import Run

ROWS = [{"id": n, "amount": n * 1.5} for n in range(250)]
NOW = {"Retry-After": "0"}
RUN = {"logical_date": datetime(2026, 1, 31, tzinfo=UTC), "run_after": datetime(2026, 1, 31, tzinfo=UTC)}
"""The same run, as a task of it that is cleared runs again."""


def stored(box: Sandbox, dataset: Dataset) -> list[dict[str, Any]]:
    return sorted(box.rows(dataset), key=lambda row: row["id"])


@pytest.fixture
def doubtful(run: Run, box: Sandbox, unkeyed: Dataset, capfd: pytest.CaptureFixture[str]) -> Dataset:
    """A dataset without keys, after a run of which an answer was lost."""
    box.inject(Fault("create_ingestion", drop="after", times=1))
    task = run(unkeyed, "rows=rows", **RUN)
    assert (task.state, task.try_number) == ("failed", 1)
    said = " ".join("".join(capfd.readouterr()).split())
    for remedy in (
        'Look at the dataset, or purge it: if it has none of these rows, set on_ambiguous="resend"',
        "Or make a dataset with primary keys and name both here",
        "For runs to come a journal does as well",
    ):
        assert remedy in said
    assert stored(box, unkeyed) == ROWS
    return unkeyed


def test_the_dataset_is_purged_and_all_is_sent_again(
    doubtful: Dataset, run: Run, box: Sandbox, client: Databox
) -> None:
    client.datasets.purge(doubtful)
    assert run(doubtful, 'rows=rows, on_ambiguous="resend"', **RUN).state == "success"
    assert stored(box, doubtful) == ROWS


def test_what_is_not_purged_is_stored_twice_as_the_message_says(doubtful: Dataset, run: Run, box: Sandbox) -> None:
    assert run(doubtful, 'rows=rows, on_ambiguous="resend"', **RUN).state == "success"
    assert len(stored(box, doubtful)) == 2 * len(ROWS)


def test_a_dataset_with_primary_keys_is_made(doubtful: Dataset, run: Run, box: Sandbox, keyed: Dataset) -> None:
    box.inject(Fault("create_ingestion", status=503, times=6, headers=NOW))
    task = run(keyed, 'rows=rows, primary_keys=["id"]', **RUN)
    assert (task.state, task.try_number) == ("success", 2)
    assert stored(box, keyed) == ROWS


def test_a_second_try_that_was_refused_goes_on_by_the_same_remedies(
    run: Run, box: Sandbox, unkeyed: Dataset, capfd: pytest.CaptureFixture[str]
) -> None:
    task = run(unkeyed, "rows=lambda context: 1 / 0")
    assert (task.state, task.try_number) == ("failed", 2)
    assert 'if it has none of these rows, set on_ambiguous="resend"' in " ".join("".join(capfd.readouterr()).split())
    assert box.rows(unkeyed) == []
    assert run(unkeyed, 'rows=rows, on_ambiguous="resend"').state == "success"
    assert stored(box, unkeyed) == ROWS


def test_in_runs_to_come_a_journal_lets_a_try_go_on(run: Run, box: Sandbox, unkeyed: Dataset, tmp_path: Path) -> None:
    box.inject(Fault("create_ingestion", times=1))
    box.inject(Fault("create_ingestion", status=503, times=10, headers=NOW))
    journal = f'rows=rows, journal={str(tmp_path)!r} + "/orders-{{{{ run_id }}}}.journal"'
    task = run(unkeyed, journal)
    assert (task.state, task.try_number) == ("success", 2)
    assert stored(box, unkeyed) == ROWS


@pytest.fixture
def journalled(
    run: Run, box: Sandbox, unkeyed: Dataset, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> tuple[Dataset, str]:
    """A dataset without keys and what to say, after a run with a journal of which an answer was lost."""
    arguments = f'rows=rows, journal={str(tmp_path)!r} + "/orders-{{{{ run_id }}}}.journal"'
    box.inject(Fault("create_ingestion", drop="before", times=1, when={"column": "id", "value": 150}))
    task = run(unkeyed, arguments, **RUN)
    assert (task.state, task.try_number) == ("failed", 1)
    said = " ".join("".join(capfd.readouterr()).split())
    assert 'If so, mark the task as successful. If not, set on_ambiguous="resend" and clear the task' in said
    assert len(stored(box, unkeyed)) == 150
    return unkeyed, arguments


def test_ambiguous_rows_in_a_journal_are_sent_again_and_no_others(
    journalled: tuple[Dataset, str], run: Run, box: Sandbox
) -> None:
    dataset, arguments = journalled
    assert run(dataset, f'{arguments}, on_ambiguous="resend"', **RUN).state == "success"
    assert stored(box, dataset) == ROWS


def test_without_a_word_they_stay_what_they_are(journalled: tuple[Dataset, str], run: Run, box: Sandbox) -> None:
    dataset, arguments = journalled
    task = run(dataset, arguments, **RUN)
    assert (task.state, task.try_number) == ("failed", 1)
    assert task.xcom_pull(task_ids="ingest")["ambiguous"] == 100
    assert len(stored(box, dataset)) == 150


def test_a_key_that_was_missing_is_put_into_the_connection(
    run: Run, box: Sandbox, keyed: Dataset, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    value = {"conn_type": "databox", "host": box.url}
    monkeypatch.setenv("AIRFLOW_CONN_DATABOX_DEFAULT", json.dumps(value))
    task = run(keyed, 'rows=rows, primary_keys=["id"]')
    assert (task.state, task.try_number) == ("failed", 1)
    assert "has no password. Put the API key there." in "".join(capfd.readouterr())
    monkeypatch.setenv("AIRFLOW_CONN_DATABOX_DEFAULT", json.dumps({**value, "password": box.api_key}))
    assert run(keyed, 'rows=rows, primary_keys=["id"]').state == "success"
    assert stored(box, keyed) == ROWS


def test_rows_that_cannot_be_read_fail_at_once_and_go_when_they_were_mended(
    run: Run, box: Sandbox, keyed: Dataset, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    good = "".join(f"{n},{n * 1.5}\n" for n in range(10_100))  # more than decide the types of the columns
    (tmp_path / "rows.csv").write_text(f"id,amount\n{good}x,y\n")
    task = run(keyed, f'path={str(tmp_path / "rows.csv")!r}, primary_keys=["id"]')
    assert (task.state, task.try_number) == ("failed", 1)
    assert "rows.csv" in "".join(capfd.readouterr())
    (tmp_path / "rows.csv").write_text(f"id,amount\n{good}")
    assert run(keyed, f'path={str(tmp_path / "rows.csv")!r}, primary_keys=["id"]').state == "success"
    assert len(stored(box, keyed)) == 10_100


def test_refused_rows_go_when_they_were_mended(run: Run, box: Sandbox, keyed: Dataset, source: DataSource) -> None:
    box.inject(Fault("create_ingestion", when={"column": "amount", "value": "n/a"}))
    task = run(keyed, 'rows=[{"id": 1, "amount": 1.5}, {"id": 2, "amount": "n/a"}], primary_keys=["id"]')
    assert (task.state, task.try_number) == ("failed", 1)
    assert task.xcom_pull(task_ids="ingest")["failed"] == 1
    task = run(keyed, 'rows=[{"id": 1, "amount": 1.5}, {"id": 2, "amount": 2.5}], primary_keys=["id"]')
    assert task.state == "success"
    assert stored(box, keyed) == [{"id": 1, "amount": 1.5}, {"id": 2, "amount": 2.5}]
