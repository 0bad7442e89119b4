"""A real Airflow runs DAGs against the sandbox, which fails on demand."""

import json
import runpy
import subprocess
import sys
from pathlib import Path
from typing import Any

import airflow
import pytest
from airflow.providers_manager import ProvidersManager
from airflow.sdk import Connection

from databox import Databox, Dataset
from databox.integrations.airflow import DataboxHook
from databox.sandbox import Fault, Sandbox
from tests.engines.airflow.conftest import HOME, Run
from tests.engines.page import ROOT, block

ROWS = [{"id": n, "amount": n * 1.5} for n in range(250)]
NOW = {"Retry-After": "0"}


def stored(box: Sandbox, dataset: Dataset) -> list[dict[str, Any]]:
    return sorted(box.rows(dataset), key=lambda row: row["id"])


def sent(box: Sandbox) -> int:
    return sum(request.operation == "datasets.create_ingestion" for request in box.requests)


@pytest.mark.parametrize(
    ("fault", "tries"),
    [
        (None, 1),
        (Fault("create_ingestion", status=503, times=3, headers=NOW), 1),
        (Fault("create_ingestion", status=429, times=3, headers=NOW), 1),
        (Fault("create_ingestion", drop="after", times=1), 1),
        (Fault("create_ingestion", status=503, times=6, headers=NOW), 2),
    ],
)
def test_keyed_rows_are_stored_once_whatever_happens(
    fault: Fault | None, tries: int, run: Run, box: Sandbox, keyed: Dataset
) -> None:
    if fault:
        box.inject(fault)
    task = run(keyed, 'rows=rows, primary_keys=["id"]')
    assert (task.state, task.try_number) == ("success", tries)
    assert stored(box, keyed) == ROWS
    counts = task.xcom_pull(task_ids="ingest")
    assert counts["rows"] == counts["accepted"] == 250
    assert counts["dataset_id"] == keyed.id
    assert box.requests[-1].headers["user-agent"].endswith(f" airflow/{airflow.__version__}")


def test_rows_without_keys_are_stored_once_when_a_request_was_surely_refused(
    run: Run, box: Sandbox, unkeyed: Dataset
) -> None:
    box.inject(Fault("create_ingestion", status=503, times=3, headers=NOW))
    task = run(unkeyed, "rows=rows")
    assert (task.state, task.try_number) == ("success", 1)
    assert stored(box, unkeyed) == ROWS


def test_rows_without_keys_whose_answer_was_lost_are_not_tried_again(
    run: Run, box: Sandbox, unkeyed: Dataset, capfd: pytest.CaptureFixture[str]
) -> None:
    box.inject(Fault("create_ingestion", drop="after", times=1))
    task = run(unkeyed, "rows=rows")
    assert (task.state, task.try_number) == ("failed", 1)
    assert stored(box, unkeyed) == ROWS
    assert task.xcom_pull(task_ids="ingest")["ambiguous"] == 100
    said = "".join(capfd.readouterr())
    assert "100 ambiguous" in said
    assert "make a dataset with primary keys and name both here" in " ".join(said.split())


def test_they_are_when_somebody_asked_for_it(run: Run, box: Sandbox, unkeyed: Dataset) -> None:
    box.inject(Fault("create_ingestion", drop="after", times=1))
    task = run(unkeyed, 'rows=rows, on_ambiguous="resend"')
    assert task.state == "success"
    assert len(stored(box, unkeyed)) == 350


def test_a_second_try_of_rows_without_keys_is_refused_as_nobody_knows_what_the_first_sent(
    run: Run, box: Sandbox, unkeyed: Dataset, capfd: pytest.CaptureFixture[str]
) -> None:
    task = run(unkeyed, "rows=lambda context: 1 / 0")
    assert (task.state, task.try_number) == ("failed", 2)
    assert "An earlier try may have sent rows" in "".join(capfd.readouterr())
    assert sent(box) == 0


def test_a_second_try_with_a_journal_goes_on_where_the_first_stopped(
    run: Run, box: Sandbox, unkeyed: Dataset, tmp_path: Path
) -> None:
    box.inject(Fault("create_ingestion", times=1))
    box.inject(Fault("create_ingestion", status=503, times=10, headers=NOW))  # five attempts at each of two batches
    task = run(unkeyed, f'rows=rows, journal={str(tmp_path)!r} + "/{{{{ run_id }}}}.journal"')
    assert (task.state, task.try_number) == ("success", 2)
    assert stored(box, unkeyed) == ROWS
    assert sent(box) == 1 + 10 + 2
    assert len(list(tmp_path.glob("manual__*.journal"))) == 1


@pytest.mark.parametrize("status", [400, 401, 403, 404])
def test_what_trying_again_cannot_help_fails_at_once(status: int, run: Run, box: Sandbox, keyed: Dataset) -> None:
    box.inject(Fault("create_ingestion", status=status))
    task = run(keyed, 'rows=rows, primary_keys=["id"]')
    assert (task.state, task.try_number) == ("failed", 1)


def test_a_file_is_named_by_a_template(run: Run, box: Sandbox, keyed: Dataset, tmp_path: Path) -> None:
    (tmp_path / "ingest.csv").write_text("id;amount\n1;1,5\n2;2,5\n")
    task = run(keyed, f'path={str(tmp_path)!r} + "/{{{{ task.task_id }}}}.csv", primary_keys=["id"]')
    assert task.state == "success"
    assert stored(box, keyed) == [{"id": 1, "amount": 1.5}, {"id": 2, "amount": 2.5}]


def test_the_key_does_not_show(run: Run, box: Sandbox, keyed: Dataset, capfd: pytest.CaptureFixture[str]) -> None:
    echo = {"status": "error", "errors": [{"message": f"Who is {box.api_key}?"}]}
    box.inject(Fault("create_ingestion", status=400, body=echo))
    assert run(keyed, 'rows=rows, primary_keys=["id"]').state == "failed"
    shown = "".join(capfd.readouterr())
    assert "Who is" in shown
    shown += "".join(path.read_bytes().decode("latin-1") for path in HOME.rglob("*") if path.is_file())
    assert box.api_key not in shown


# The connection


def test_the_provider_is_discovered() -> None:
    providers: Any = ProvidersManager
    behaviour = providers().field_behaviours["databox"]
    assert behaviour["relabeling"]["password"] == "API key"
    connection: Any = Connection(conn_id="any", conn_type="databox")
    hook = connection.get_hook()
    assert isinstance(hook, DataboxHook)
    assert hook.databox_conn_id == "any"


def test_the_hook_tests_its_connection(connection: None, box: Sandbox) -> None:
    assert DataboxHook().test_connection() == (True, "The API knows the key.")
    box.inject(Fault("validate_key", status=401))
    fine, said = DataboxHook().test_connection()
    assert not fine
    assert "401" in said


@pytest.mark.parametrize(
    "form",
    [
        "databox://:{key}@127.0.0.1:{port}/http",
        '{{"conn_type": "databox", "password": "{key}", "host": "127.0.0.1", "port": {port}, "schema": "http"}}',
        '{{"conn_type": "databox", "password": "{key}", "host": "http://127.0.0.1", "port": {port}}}',
    ],
)
def test_a_connection_may_be_written_in_each_form(form: str, box: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    value = form.format(key=box.api_key, port=box.url.rpartition(":")[2])
    monkeypatch.setenv("AIRFLOW_CONN_WAREHOUSE", value)
    assert DataboxHook("warehouse").test_connection()[0]


def test_a_connection_may_name_a_store_for_the_limit_of_all_workers(
    box: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    extra = {"rate_limit_store": str(tmp_path / "databox.limit")}
    value = {"conn_type": "databox", "password": box.api_key, "host": box.url, "extra": extra}
    monkeypatch.setenv("AIRFLOW_CONN_DATABOX_DEFAULT", json.dumps(value))
    assert DataboxHook().test_connection()[0]
    assert (tmp_path / "databox.limit").exists()


def test_a_connection_without_a_key_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_DATABOX_DEFAULT", '{"conn_type": "databox"}')
    monkeypatch.setenv("DATABOX_API_KEY", "another-key-of-the-worker")
    fine, said = DataboxHook().test_connection()
    assert (fine, said) == (False, "The connection 'databox_default' has no password. Put the API key there.")


# What is shown


def test_the_page_runs_as_printed(connection: None, box: Sandbox, client: Databox) -> None:
    file = HOME / "dags" / "page.py"
    file.write_text(block("Airflow").replace("\nshop()", "\nshown = shop()"))
    task = runpy.run_path(str(file))["shown"].test().get_task_instance("ingest")
    assert task.state == "success"
    counts = task.xcom_pull(task_ids="ingest")
    assert [row["order_id"] for row in box.rows(counts["dataset_id"])] == [1001]


def test_the_example_runs(connection: None, box: Sandbox) -> None:
    code = (ROOT / "examples" / "airflow_dag.py").read_text("utf-8")
    file = HOME / "dags" / "airflow_dag.py"
    file.write_text(code.replace("\nseattle_weather()", "\nshown = seattle_weather()"))
    task = runpy.run_path(str(file))["shown"].test().get_task_instance("ingest")
    assert task.state == "success"
    assert len(box.rows(task.xcom_pull(task_ids="ingest")["dataset_id"])) == 1461


# Without Airflow


def test_without_airflow_the_extra_is_named() -> None:
    code = "import sys; sys.modules['airflow'] = None; import databox.integrations.airflow"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "ImportError: databox.integrations.airflow needs Airflow 3.2 or later" in done.stderr
    assert 'pip install "databox-sdk[airflow]"' in done.stderr


def test_databox_and_the_provider_info_do_not_import_airflow() -> None:
    code = "import sys, databox, databox.integrations.airflow_provider; print('airflow' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
