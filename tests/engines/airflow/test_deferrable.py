"""Airflow's triggerer waits for outcomes, and no worker does."""

import asyncio
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from airflow.models.trigger import Trigger

from databox import Databox, Dataset
from databox.integrations.airflow import DataboxIngestionTrigger, DataboxIngestOperator
from databox.sandbox import Fault, Sandbox
from tests.engines.airflow.conftest import Run

NOW = {"Retry-After": "0"}
DEFERRED = 'rows=rows, primary_keys=["id"], deferrable=True'


@pytest.fixture
def box(monkeypatch: pytest.MonkeyPatch) -> Iterator[Sandbox]:
    """One in which an outcome is there when it was asked for twice."""
    with Sandbox(processing_polls=1) as box:
        yield box


def asked(box: Sandbox) -> int:
    return sum(request.operation == "datasets.get_ingestion" for request in box.requests)


def test_outcomes_are_waited_for_after_the_worker_is_done(
    run: Run, box: Sandbox, keyed: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    when: list[int] = []
    defer = DataboxIngestOperator.defer

    def seen(self: DataboxIngestOperator, **arguments: Any) -> None:
        when.append(asked(box))
        defer(self, **arguments)

    monkeypatch.setattr(DataboxIngestOperator, "defer", seen)
    task = run(keyed, DEFERRED)
    assert (task.state, task.try_number) == ("success", 1)
    assert when == [0]  # the worker asked for none
    counts = task.xcom_pull(task_ids="ingest")
    assert (counts["rows"], counts["accepted"], counts["appended"]) == (250, 250, 250)
    assert (counts["verify"], counts["unverified"], counts["dataset_id"]) == ("counts", 0, keyed.id)
    assert counts["requests"] == len([r for r in box.requests if "ingestion" in str(r.operation)])
    assert len(box.rows(keyed)) == 250


def test_a_question_that_fails_is_asked_again(run: Run, box: Sandbox, keyed: Dataset) -> None:
    box.inject(Fault("get_ingestion", status=503, times=3, headers=NOW))
    box.inject(Fault("get_ingestion", drop="before", times=2))
    task = run(keyed, DEFERRED)
    assert (task.state, task.try_number) == ("success", 1)
    assert task.xcom_pull(task_ids="ingest")["appended"] == 250


def test_rejected_rows_fail_the_task_and_are_told(
    run: Run, box: Sandbox, client: Databox, keyed: Dataset, capfd: pytest.CaptureFixture[str]
) -> None:
    client.datasets.ingest(keyed, [{"id": -1, "amount": 1.5}])
    task = run(
        keyed,
        'rows=[{"id": 1, "amount": 1.5}, {"id": 2, "amount": "many"}], primary_keys=["id"], deferrable=True',
    )
    assert (task.state, task.try_number) == ("failed", 1)
    counts = task.xcom_pull(task_ids="ingest")
    assert (counts["accepted"], counts["appended"], counts["rejected"]) == (2, 1, 1)
    assert "The API rejected 1 row of ingestion" in "".join(capfd.readouterr())


def test_an_outcome_that_does_not_come_is_tried_again_where_that_does_no_harm(
    run: Run, box: Sandbox, keyed: Dataset, capfd: pytest.CaptureFixture[str]
) -> None:
    box.inject(Fault("get_ingestion", status=503, times=40, headers=NOW))
    task = run(keyed, f"{DEFERRED}, verify_timeout=0")
    assert (task.state, task.try_number) == ("failed", 2)
    assert task.xcom_pull(task_ids="ingest")["unverified"] == 250
    assert "250 unverified" in "".join(capfd.readouterr())
    box.process()
    assert len(box.rows(keyed)) == 250


def test_nor_is_it_without_keys(run: Run, box: Sandbox, unkeyed: Dataset, capfd: pytest.CaptureFixture[str]) -> None:
    box.inject(Fault("get_ingestion", status=503, times=40, headers=NOW))
    task = run(unkeyed, "rows=rows, deferrable=True, verify_timeout=0")
    assert (task.state, task.try_number) == ("failed", 1)
    assert "Before the task runs again, do one of these." in "".join(capfd.readouterr())


def test_what_an_earlier_try_learned_is_not_lost_or_counted_twice(
    run: Run, box: Sandbox, unkeyed: Dataset, tmp_path: Path
) -> None:
    box.inject(Fault("get_ingestion", status=503, times=40, headers=NOW, after=4))
    journal = f"rows=rows, journal={str(tmp_path / 'orders.journal')!r}"
    task = run(unkeyed, f"{journal}, verify_timeout=0.5")
    assert 0 < task.xcom_pull(task_ids="ingest")["appended"] < 250
    box.clear_faults()
    task = run(unkeyed, f"{journal}, deferrable=True")
    assert (task.state, task.try_number) == ("success", 1)
    counts = task.xcom_pull(task_ids="ingest")
    assert (counts["accepted"], counts["appended"], counts["unverified"]) == (250, 250, 0)
    assert len(box.rows(unkeyed)) == 250


def test_rows_that_could_not_be_sent_are_not_waited_for(run: Run, box: Sandbox, keyed: Dataset) -> None:
    box.inject(Fault("create_ingestion", status=403))
    task = run(keyed, DEFERRED)
    assert (task.state, task.try_number) == ("failed", 1)
    assert asked(box) == 0


def test_airflow_may_defer_all_operators(
    run: Run, box: Sandbox, keyed: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW__OPERATORS__DEFAULT_DEFERRABLE", "True")
    task = run(keyed, 'rows=rows, primary_keys=["id"]')
    assert task.state == "success"
    assert task.xcom_pull(task_ids="ingest")["appended"] == 250
    assert run(keyed, 'rows=rows, primary_keys=["id"], verify="status"').state == "success"  # which cannot be


# The trigger


@pytest.fixture
def trigger(box: Sandbox, client: Databox, keyed: Dataset, connection: None) -> DataboxIngestionTrigger:
    """One that waits for three rows."""
    receipt = client.datasets.create_ingestion(keyed, [{"id": n} for n in range(3)])
    counts = {"rows": 3, "accepted": 3, "unverified": 3, "requests": 1, "seconds": 0.1, "primary_keys": ["id"]}
    counts |= dict.fromkeys(["appended", "overwritten", "rejected", "uncounted"], 0)
    return DataboxIngestionTrigger(
        databox_conn_id="databox_default",
        dataset_id=keyed.id,
        ingestions={receipt.ingestion_id: 3},
        counts=counts,
        deadline=time.time() + 20,
    )


def event_of(trigger: Any) -> Any:
    async def first() -> Any:
        return await anext(trigger.run())

    return asyncio.run(first()).payload


def test_it_is_kept_in_the_database_without_the_key_and_made_anew(
    trigger: DataboxIngestionTrigger, box: Sandbox
) -> None:
    path, arguments = trigger.serialize()
    assert box.api_key not in json.dumps(arguments)
    row = Trigger.from_object(trigger)  # encrypted, as it is in Airflow's database
    module, _, name = row.classpath.rpartition(".")
    assert row.classpath == path
    again = getattr(__import__(module, fromlist=[name]), name)(**row.kwargs)
    assert again.serialize() == trigger.serialize()
    assert event_of(again)["counts"]["appended"] == 3


def test_it_does_not_wait_anew_in_another_process(trigger: DataboxIngestionTrigger, box: Sandbox) -> None:
    trigger.deadline = time.time() - 1
    event = event_of(trigger)  # asked once, which does not suffice here
    assert (event["counts"]["appended"], event["counts"]["unverified"]) == (0, 3)
    assert "was not known after 0 seconds" in event["problems"][0]


def test_it_ends_when_it_is_cancelled(trigger: DataboxIngestionTrigger, box: Sandbox) -> None:
    box.inject(Fault("get_ingestion", status=503, headers=NOW))

    async def cancelled() -> None:
        async def first() -> Any:
            return await anext(trigger.run())

        waiting = asyncio.create_task(first())
        while not asked(box):
            await asyncio.sleep(0.01)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert len(asyncio.all_tasks()) == 1

    asyncio.run(cancelled())


def test_a_connection_that_lost_its_key_leaves_the_rows_unverified(
    trigger: DataboxIngestionTrigger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_DATABOX_DEFAULT", '{"conn_type": "databox"}')
    event = event_of(trigger)
    assert event["problems"] == ["The connection 'databox_default' has no password. Put the API key there."]
    assert event["counts"] == trigger.counts
