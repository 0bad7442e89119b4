"""Operators are given what people give to operators: outputs of tasks, templates, functions, and mistakes."""

import json
from pathlib import Path
from typing import Any

import pytest

from databox import Dataset
from databox.integrations.airflow import DataboxIngestOperator, SqlToDataboxOperator
from databox.sandbox import Fault, Sandbox
from tests.engines.airflow.conftest import Dag, Run

EXTRACT = """
@task
def extract():
    return [{"id": 1, "amount": 1.5}, {"id": 2, "amount": 2.5}]
"""
TWO = [{"id": 1, "amount": 1.5}, {"id": 2, "amount": 2.5}]


def stored(box: Sandbox, dataset: Dataset) -> list[dict[str, Any]]:
    return sorted(box.rows(dataset), key=lambda row: row["id"])


# Outputs of tasks


def test_rows_are_the_output_of_a_task_and_depend_on_it(dag: Dag, box: Sandbox, keyed: Dataset) -> None:
    made = dag(
        f"""{EXTRACT}
DataboxIngestOperator(task_id="ingest", dataset_id={keyed.id!r}, rows=extract(), primary_keys=["id"])
"""
    )
    assert made.get_task("ingest").upstream_task_ids == {"extract"}
    assert made.test().get_task_instance("ingest").state == "success"
    assert stored(box, keyed) == TWO


def test_every_argument_may_be_the_output_of_a_task(dag: Dag, box: Sandbox, keyed: Dataset, tmp_path: Path) -> None:
    made = dag(
        f"""{EXTRACT}
@task(multiple_outputs=True)
def settings():
    return {{
        "dataset_id": {keyed.id!r},
        "primary_keys": ["id"],
        "journal": {str(tmp_path / "journal")!r},
        "verify": "status",
        "verify_timeout": 20,
        "patience": 1,
        "on_ambiguous": "resend",
        "databox_conn_id": "databox_default",
    }}

given = settings()
names = ["dataset_id", "primary_keys", "journal", "verify", "verify_timeout", "patience", "on_ambiguous",
         "databox_conn_id"]
DataboxIngestOperator(task_id="ingest", rows=extract(), **{{name: given[name] for name in names}})
"""
    )
    assert made.get_task("ingest").upstream_task_ids == {"extract", "settings"}
    task = made.test().get_task_instance("ingest")
    assert task.state == "success"
    assert task.xcom_pull(task_ids="ingest")["verify"] == "status"
    assert stored(box, keyed) == TWO
    assert (tmp_path / "journal").exists()


def test_the_rows_of_all_instances_of_a_mapped_task_are_ingested(dag: Dag, box: Sandbox, keyed: Dataset) -> None:
    made = dag(
        f"""
@task
def extract(day):
    return [{{"id": day * 10 + n, "amount": 1.5}} for n in range(3)]

DataboxIngestOperator(
    task_id="ingest", dataset_id={keyed.id!r}, rows=extract.expand(day=[1, 2, 3]), primary_keys=["id"]
)
"""
    )
    assert made.test().get_task_instance("ingest").state == "success"
    assert [row["id"] for row in stored(box, keyed)] == [10, 11, 12, 20, 21, 22, 30, 31, 32]


def test_the_operator_may_be_mapped(dag: Dag, box: Sandbox, keyed: Dataset) -> None:
    made = dag(
        f"""
@task
def chunks():
    return [[{{"id": 1, "amount": 1.5}}], [{{"id": 2, "amount": 2.5}}]]

DataboxIngestOperator.partial(
    task_id="ingest", dataset_id={keyed.id!r}, primary_keys=["id"]
).expand(rows=chunks())
"""
    )
    assert made.test().state == "success"
    assert stored(box, keyed) == TWO


def test_text_with_braces_is_data_where_it_comes_from_a_task(dag: Dag, box: Sandbox, keyed: Dataset) -> None:
    made = dag(
        f"""
@task
def extract():
    return [{{"id": 1, "note": "{{{{ run_id }}}}"}}]

DataboxIngestOperator(task_id="ingest", dataset_id={keyed.id!r}, rows=extract(), primary_keys=["id"])
DataboxIngestOperator(
    task_id="literal", dataset_id={keyed.id!r}, rows=literal([{{"id": 2, "note": "{{{{ run_id }}}}"}}])
)
DataboxIngestOperator(task_id="template", dataset_id={keyed.id!r}, rows=[{{"id": 3, "note": "{{{{ run_id }}}}"}}])
"""
    )
    done = made.test()
    assert done.state == "success"
    assert [row["note"] for row in stored(box, keyed)] == ["{{ run_id }}", "{{ run_id }}", done.run_id]


# Templates and functions


def test_templates_are_rendered(dag: Dag, box: Sandbox, keyed: Dataset, tmp_path: Path) -> None:
    made = dag(
        f"""{EXTRACT}
rows = extract()
DataboxIngestOperator(
    task_id="ingest",
    dataset_id="{{{{ params.dataset }}}}",
    rows="{{{{ ti.xcom_pull(task_ids='extract') }}}}",
    primary_keys=["{{{{ params.key }}}}"],
    journal={str(tmp_path)!r} + "/{{{{ task.task_id }}}}.journal",
    verify_timeout="{{{{ params.seconds }}}}",
).set_upstream(rows)
""",
        f'render_template_as_native_obj=True, params={{"dataset": {keyed.id!r}, "key": "id", "seconds": 30}}',
    )
    assert made.test().get_task_instance("ingest").state == "success"
    assert stored(box, keyed) == TWO
    assert (tmp_path / "ingest.journal").exists()


def test_numbers_that_are_templates_may_come_as_text(run: Run, box: Sandbox, keyed: Dataset) -> None:
    task = run(keyed, 'rows=rows, primary_keys=["id"], verify_timeout="{{ 20 + 1 }}", patience="{{ 0 }}"')
    assert task.state == "success"
    assert len(box.rows(keyed)) == 250


def test_functions_are_called_when_the_task_runs(dag: Dag, box: Sandbox, keyed: Dataset) -> None:
    made = dag(
        f"""
DataboxIngestOperator(
    task_id="ingest",
    dataset_id=lambda context, jinja_env: {keyed.id!r},
    rows=lambda context: ({{"id": n, "amount": 1.5}} for n in range(3)),
    primary_keys=lambda context, jinja_env: ["id"],
)
"""
    )
    assert made.test().state == "success"
    assert len(box.rows(keyed)) == 3


def test_a_file_may_be_a_path_of_airflow(dag: Dag, box: Sandbox, keyed: Dataset, tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text("id,amount\n1,1.5\n2,2.5\n")
    made = dag(
        f"""
@task
def export():
    return ObjectStoragePath({f"file://{tmp_path}/rows.csv"!r})

DataboxIngestOperator(task_id="ingest", dataset_id={keyed.id!r}, path=export(), primary_keys=["id"])
"""
    )
    assert made.test().state == "success"
    assert stored(box, keyed) == TWO


def test_arguments_may_be_defaults_of_the_dag(dag: Dag, box: Sandbox, keyed: Dataset) -> None:
    made = dag(
        f'DataboxIngestOperator(task_id="ingest", dataset_id={keyed.id!r}, rows=rows)',
        'default_args={"primary_keys": ["id"], "verify": "status", "patience": 2.0}',
    )
    task = made.get_task("ingest")
    assert (task.primary_keys, task.verify, task.patience) == (["id"], "status", 2.0)


def test_the_serialized_dag_is_the_same_each_time_it_is_parsed(dag: Dag, keyed: Dataset) -> None:
    from airflow.serialization.serialized_objects import DagSerialization

    body = f"""
DataboxIngestOperator(task_id="ingest", dataset_id={keyed.id!r}, rows=rows)
DataboxIngestOperator(task_id="other", dataset_id={keyed.id!r}, rows=lambda context: [])
"""
    first, second = (json.dumps(DagSerialization.to_dict(dag(body)), sort_keys=True) for _ in range(2))
    assert first == second
    assert "<callable " in first


# What cannot work is refused when the DAG is parsed


def once() -> Any:
    yield {"id": 1}


async def later(context: Any) -> Any:
    return [context]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({}, "either rows or path"),
        ({"rows": [], "path": "rows.csv"}, "either rows or path"),
        ({"rows": once()}, "rows is a generator, which can be read once"),
        ({"rows": iter([])}, "which can be read once"),
        ({"rows": {"id": 1}}, "not one dict. Put a single row in a list"),
        ({"rows": "rows.csv"}, "not one str"),
        ({"rows": 5}, "must be rows, not int"),
        ({"rows": lambda: [{"id": 1}]}, "does not take one argument"),
        ({"rows": later}, "asynchronous"),
        ({"path": 5}, "path must be a str, not int"),
        ({"path": ""}, "path is empty"),
        ({"rows": [], "dataset_id": 5}, "dataset must be a str or a Dataset, not int"),
        ({"rows": [], "dataset_id": ""}, "dataset is empty"),
        ({"rows": [], "primary_keys": "id"}, "primary_keys must be a list of column names"),
        ({"rows": [], "primary_keys": ["id", "id"]}, "names a column twice"),
        ({"rows": [], "verify": "yes"}, "verify must be"),
        ({"rows": [], "verify_timeout": -1}, "verify_timeout must be a finite number of seconds, 0 or more"),
        ({"rows": [], "patience": None}, "patience must be a number of seconds"),
        ({"rows": [], "on_ambiguous": "ignore"}, "on_ambiguous must be"),
        ({"rows": [], "journal": 5}, "take a path"),
        ({"rows": [], "deferrable": "yes"}, "deferrable must be a bool"),
        ({"rows": [], "deferrable": True, "verify": "status"}, 'verify must be "counts"'),
        ({"rows": [], "databox_conn_id": ""}, "databox_conn_id is empty"),
        ({"rows": [], "primary_key": ["id"]}, "primary_key"),
    ],
)
def test_what_cannot_work_is_refused_when_the_dag_is_parsed(arguments: dict[str, Any], said: str) -> None:
    with pytest.raises((TypeError, ValueError), match=said):
        DataboxIngestOperator(task_id="ingest", **{"dataset_id": "d", **arguments})


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"sql": ""}, "sql is empty"),
        ({"sql": 5}, "sql must be a str"),
        ({"sql_conn_id": None}, "sql_conn_id must be a str"),
        ({"parameters": "id"}, "parameters must be a mapping or a list, not str"),
        ({"rows": []}, "rows"),
    ],
)
def test_so_is_a_query_that_cannot(arguments: dict[str, Any], said: str) -> None:
    given = {"dataset_id": "d", "sql": "select 1 as id", "sql_conn_id": "warehouse", **arguments}
    with pytest.raises((TypeError, ValueError), match=said):
        SqlToDataboxOperator(task_id="ingest", **given)


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ("extract", "a task that was not called"),
        ('DataboxIngestOperator(task_id="other", dataset_id="d", rows=[])', "Give its output"),
    ],
)
def test_a_task_in_place_of_its_output_is_refused(rows: str, said: str, dag: Dag) -> None:
    with pytest.raises(TypeError, match=said):
        dag(f"{EXTRACT}\nDataboxIngestOperator(task_id='ingest', dataset_id='d', rows={rows})")


# What turns out not to work when the task runs is not tried again


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ("lambda context: 5", "int"),
        ('lambda context: {"id": 1}', "Put a single row in a list"),
        ('"{{ [1] }}"', "rows came as text"),
    ],
)
def test_rows_that_are_none_fail_at_once(
    rows: str, said: str, run: Run, box: Sandbox, keyed: Dataset, capfd: pytest.CaptureFixture[str]
) -> None:
    task = run(keyed, f'rows={rows}, primary_keys=["id"]')
    assert (task.state, task.try_number) == ("failed", 1)
    assert said in "".join(capfd.readouterr())
    assert box.rows(keyed) == []


@pytest.mark.parametrize(
    "arguments",
    [
        "rows=rows, primary_keys=\"{{ 'id' }}\"",
        'rows=rows, primary_keys=["id"], verify="{{ \'perhaps\' }}"',
        'rows=rows, primary_keys=["id"], patience="{{ \'long\' }}"',
    ],
)
def test_so_do_arguments_that_a_template_made(arguments: str, run: Run, box: Sandbox, keyed: Dataset) -> None:
    task = run(keyed, arguments)
    assert (task.state, task.try_number) == ("failed", 1)
    assert box.rows(keyed) == []


def test_a_task_that_returned_nothing_is_named(dag: Dag, keyed: Dataset, capfd: pytest.CaptureFixture[str]) -> None:
    made = dag(
        f"""
@task
def extract():
    pass

DataboxIngestOperator(
    task_id="ingest", dataset_id={keyed.id!r}, rows=extract(), primary_keys=["id"], retries=1, retry_delay=timedelta(0)
)
"""
    )
    task = made.test().get_task_instance("ingest")
    assert (task.state, task.try_number) == ("failed", 1)
    assert "rows came as None" in "".join(capfd.readouterr())


def test_what_passes_is_tried_again(run: Run, box: Sandbox, keyed: Dataset) -> None:
    box.inject(Fault("create_ingestion", status=503, times=6, headers={"Retry-After": "0"}))
    task = run(keyed, 'rows=rows, primary_keys=["id"]')
    assert (task.state, task.try_number) == ("success", 2)
    assert len(box.rows(keyed)) == 250


def test_a_file_that_is_not_there_yet_is_tried_again(run: Run, box: Sandbox, keyed: Dataset, tmp_path: Path) -> None:
    task = run(keyed, f'path={str(tmp_path / "rows.csv")!r}, primary_keys=["id"]')
    assert (task.state, task.try_number) == ("failed", 2)
    assert box.rows(keyed) == []
