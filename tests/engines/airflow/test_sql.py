"""Rows of databases that Airflow has connections and hooks for: SQLite, and a real PostgreSQL."""

import json
import re
import runpy
import sqlite3
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from databox import Databox, Dataset, DataSource
from databox.sandbox import Fault, Sandbox
from tests.engines.airflow.conftest import HOME, Dag, Run
from tests.engines.page import block
from tests.postgres_server import NEEDS_POSTGRES, PASSWORD, PostgresServer

OPERATOR = "SqlToDataboxOperator"


@pytest.fixture
def warehouse(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A SQLite database, and a connection of Airflow to it."""
    file = tmp_path / "warehouse.db"
    with sqlite3.connect(file) as database:
        database.execute("create table orders (id integer, day text, amount real)")
        database.executemany(
            "insert into orders values (?, ?, ?)", [(n, f"2026-01-{n % 2 + 1:02}", n * 1.5) for n in range(250)]
        )
    database.close()
    monkeypatch.setenv("AIRFLOW_CONN_WAREHOUSE", json.dumps({"conn_type": "sqlite", "host": str(file)}))
    return file


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    with PostgresServer() as server:
        yield server


@pytest.fixture
def postgres(server: PostgresServer, monkeypatch: pytest.MonkeyPatch) -> PostgresServer:
    value = {
        "conn_type": "postgres",
        "host": "127.0.0.1",
        "port": server.port,
        "login": "owner",
        "password": PASSWORD,
        "schema": "postgres",
    }
    monkeypatch.setenv("AIRFLOW_CONN_WAREHOUSE", json.dumps(value))
    return server


def stored(box: Sandbox, dataset: Dataset) -> list[dict[str, Any]]:
    return sorted(box.rows(dataset), key=lambda row: row["id"])


def test_the_rows_of_a_query_are_ingested(run: Run, warehouse: Path, box: Sandbox, keyed: Dataset) -> None:
    box.inject(Fault("create_ingestion", status=503, times=6, headers={"Retry-After": "0"}))
    sql = "select id, amount from orders where day = :day and id % 100 < 50"
    task = run(
        keyed,
        f'sql={sql!r}, sql_conn_id="warehouse", parameters={{"day": "{{{{ params.day }}}}"}}, primary_keys=["id"], '
        'params={"day": "2026-01-02"}',
        OPERATOR,
    )
    assert (task.state, task.try_number) == ("success", 2)
    assert [row["id"] for row in stored(box, keyed)] == [n for n in range(1, 250, 2) if n % 100 < 50]


def test_parameters_may_stand_in_their_order(run: Run, warehouse: Path, box: Sandbox, keyed: Dataset) -> None:
    sql = "select id, amount from orders where id >= ? and id < ?"
    assert run(keyed, f'sql={sql!r}, sql_conn_id="warehouse", parameters=[10, 20]', OPERATOR).state == "success"
    assert [row["id"] for row in stored(box, keyed)] == list(range(10, 20))


def test_a_query_may_be_a_file_and_a_connection_the_output_of_a_task(
    dag: Dag, warehouse: Path, box: Sandbox, keyed: Dataset
) -> None:
    (HOME / "dags" / "orders.sql").write_text("select id, amount from orders where day = '{{ params.day }}'")
    made = dag(
        f"""
@task
def which():
    return "warehouse"

SqlToDataboxOperator(task_id="ingest", dataset_id={keyed.id!r}, sql="orders.sql", sql_conn_id=which())
""",
        'params={"day": "2026-01-02"}',
    )
    assert made.get_task("ingest").upstream_task_ids == {"which"}
    assert made.test().state == "success"
    assert len(box.rows(keyed)) == 125


def test_a_journal_goes_on_with_its_query_and_refuses_another(
    run: Run, warehouse: Path, box: Sandbox, unkeyed: Dataset, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    box.inject(Fault("create_ingestion", times=1))
    box.inject(Fault("create_ingestion", status=503, times=10, headers={"Retry-After": "0"}))
    arguments = f'sql_conn_id="warehouse", journal={str(tmp_path / "orders.journal")!r}'
    task = run(unkeyed, f'sql="select id, amount from orders order by id", {arguments}', OPERATOR)
    assert (task.state, task.try_number) == ("success", 2)
    assert [row["id"] for row in stored(box, unkeyed)] == list(range(250))
    task = run(unkeyed, f'sql="select id, amount from orders order by -id", {arguments}', OPERATOR)
    assert (task.state, task.try_number) == ("failed", 1)
    assert "journal" in "".join(capfd.readouterr())
    assert len(box.rows(unkeyed)) == 250


def test_a_query_that_the_database_refuses_is_tried_again_and_told_in_its_words(
    run: Run, warehouse: Path, box: Sandbox, keyed: Dataset, capfd: pytest.CaptureFixture[str]
) -> None:
    task = run(keyed, 'sql="select id from nowhere", sql_conn_id="warehouse", primary_keys=["id"]', OPERATOR)
    assert (task.state, task.try_number) == ("failed", 2)
    said = "".join(capfd.readouterr())
    assert "no such table: nowhere" in said
    assert "Nothing was sent." in said


def test_columns_that_cannot_be_sent_fail_at_once(
    run: Run, warehouse: Path, box: Sandbox, keyed: Dataset, capfd: pytest.CaptureFixture[str]
) -> None:
    task = run(keyed, "sql=\"select x'00' as id\", sql_conn_id=\"warehouse\", primary_keys=['id']", OPERATOR)
    assert (task.state, task.try_number) == ("failed", 1)
    assert "Column 'id' of the query holds bytes" in "".join(capfd.readouterr())


def test_a_connection_that_is_no_database_is_told_with_a_way_that_works(
    run: Run, box: Sandbox, keyed: Dataset, capfd: pytest.CaptureFixture[str]
) -> None:
    task = run(keyed, 'sql="select 1 as id", sql_conn_id="databox_default", primary_keys=["id"]', OPERATOR)
    assert (task.state, task.try_number) == ("failed", 1)
    said = " ".join("".join(capfd.readouterr()).split())
    assert "The rows of the connection 'databox_default' cannot be read through SQLAlchemy" in said
    assert "use DataboxIngestOperator with a function that returns the rows, rows=lambda context: …" in said
    assert run(keyed, 'rows=lambda context: [{"id": 1, "amount": 2.5}], primary_keys=["id"]').state == "success"
    assert stored(box, keyed) == [{"id": 1, "amount": 2.5}]


def test_the_page_runs_as_printed(
    connection: None, warehouse: Path, box: Sandbox, client: Databox, source: DataSource
) -> None:
    with sqlite3.connect(warehouse) as database:
        database.execute("alter table orders rename column id to order_id")
        database.execute("update orders set day = date('now')")
    database.close()
    dataset = client.datasets.create("Orders", data_source=source, primary_keys=["order_id"])
    code = re.sub(r'dataset_id="[^"]+"', f'dataset_id="{dataset.id}"', block("From a SQL database"))
    file = HOME / "dags" / "sql_page.py"
    file.write_text(code.replace("\nshop_from_sql()", "\nshown = shop_from_sql()"))
    assert runpy.run_path(str(file))["shown"].test().get_task_instance("ingest").state == "success"
    assert len(box.rows(dataset)) == 250


@NEEDS_POSTGRES
def test_values_have_the_types_of_the_database(
    run: Run, postgres: PostgresServer, box: Sandbox, client: Databox, source: DataSource
) -> None:
    typed = client.datasets.create("Typed", data_source=source, primary_keys=["id"])
    sql = """
        select 1 as id, 19.90::numeric as amount, 12345678901234567890::numeric as long, date '2026-01-31' as day,
               timestamp '2026-01-31 12:30' as naive, timestamptz '2026-01-31 12:30+02' as aware, true as paid,
               null::text as note, '50%' as share
    """
    assert run(typed, f'sql={sql!r}, sql_conn_id="warehouse", primary_keys=["id"]', OPERATOR).state == "success"
    (row,) = box.rows(typed)
    assert row == {
        "id": 1,
        "amount": 19.9,
        "long": "12345678901234567890",
        "day": "2026-01-31",
        "naive": "2026-01-31T12:30:00Z",
        "aware": "2026-01-31T10:30:00Z",
        "paid": True,
        "note": None,
        "share": "50%",
    }


@NEEDS_POSTGRES
def test_rows_stream_from_a_cursor_on_the_server(
    run: Run, postgres: PostgresServer, box: Sandbox, keyed: Dataset
) -> None:
    # 20 million rows of 20 kB that nobody could hold, were they not fetched as they are sent; the API says no to them.
    box.inject(Fault("create_ingestion", status=403))
    sql = "select n as id, repeat('x', 20000) as note from generate_series(1, 20000000) as n where n > %(first)s"
    tracemalloc.start()
    task = run(keyed, f'sql={sql!r}, sql_conn_id="warehouse", parameters={{"first": 0}}, primary_keys=["id"]', OPERATOR)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (task.state, task.try_number) == ("failed", 1)
    assert 0 < task.xcom_pull(task_ids="ingest")["rows"] < 5000
    assert peak < 200_000_000


@NEEDS_POSTGRES
def test_a_database_out_of_reach_is_tried_again_and_its_password_does_not_show(
    run: Run, postgres: PostgresServer, keyed: Dataset, monkeypatch: pytest.MonkeyPatch, capfd: Any
) -> None:
    value = {"conn_type": "postgres", "host": "127.0.0.1", "port": 9, "login": "owner", "password": PASSWORD}
    monkeypatch.setenv("AIRFLOW_CONN_WAREHOUSE", json.dumps(value))
    task = run(keyed, 'sql="select 1 as id", sql_conn_id="warehouse", primary_keys=["id"]', OPERATOR)
    assert (task.state, task.try_number) == ("failed", 2)
    said = "".join(capfd.readouterr())
    assert "cannot be reached" in said
    assert PASSWORD not in said


@NEEDS_POSTGRES
def test_a_query_that_breaks_off_is_tried_again(
    run: Run, postgres: PostgresServer, box: Sandbox, keyed: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    with psycopg.connect(
        host="127.0.0.1", port=postgres.port, user="owner", password=PASSWORD, dbname="postgres", autocommit=True
    ) as database:
        database.execute("create sequence if not exists tries")
    # The first try divides by zero at row 1,800; nextval is not rolled back, so the second does not.
    sql = """
        select n as id, n / (case when n = 1800 and nextval('tries') = 1 then 0 else 1 end)::float8 as amount
        from generate_series(1, 2000) as n
    """
    task = run(keyed, f'sql={sql!r}, sql_conn_id="warehouse", primary_keys=["id"]', OPERATOR)
    assert (task.state, task.try_number) == ("success", 2)
    assert [row["id"] for row in stored(box, keyed)] == list(range(1, 2001))
