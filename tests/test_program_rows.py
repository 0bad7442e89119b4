"""Rows from programs: of databases, of msgspec, of namespaces."""

import sqlite3
from collections import namedtuple
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
import sqlalchemy as sa

from databox import IngestError
from databox.sandbox import Sandbox
from tests.drive import Driver

ROWS = [{"id": 1, "name": "Ann", "amount": 1.5}, {"id": 2, "name": "Bob", "amount": None}]
QUERY = "select id, name, amount from people order by id"


class Person(msgspec.Struct):
    id: int
    name: str
    amount: float | None = None


@pytest.fixture
def people() -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(":memory:", check_same_thread=False)
    connection.execute("create table people (id integer, name text, amount real)")
    connection.executemany("insert into people values (?, ?, ?)", [tuple(row.values()) for row in ROWS])
    connection.commit()
    yield connection
    connection.close()


@pytest.fixture
def engine(people: sqlite3.Connection) -> sa.Engine:
    return sa.create_engine("sqlite://", creator=lambda: people, poolclass=sa.StaticPool)


def test_rows_and_cursors_of_sqlite(client: Any, box: Sandbox, plain: Any, people: sqlite3.Connection) -> None:
    client.datasets.ingest(plain, people.execute(QUERY))
    people.row_factory = sqlite3.Row
    client.datasets.ingest(plain, people.execute(QUERY))
    client.datasets.ingest(plain, people.execute(QUERY).fetchall())
    assert box.rows(plain) == ROWS * 3


def test_rows_and_results_of_sqlalchemy(client: Any, box: Sandbox, plain: Any, engine: sa.Engine) -> None:
    with engine.connect() as connection:
        client.datasets.ingest(plain, connection.execute(sa.text(QUERY)))
        client.datasets.ingest(plain, connection.execute(sa.text(QUERY)).all())
        client.datasets.ingest(plain, connection.execute(sa.text(QUERY)).mappings())
        client.datasets.ingest(plain, connection.execute(sa.text(QUERY)).mappings().all())
    assert box.rows(plain) == ROWS * 4


def test_objects_with_fields(client: Any, box: Sandbox, plain: Any) -> None:
    client.datasets.ingest(plain, [Person(**row) for row in ROWS])  # type: ignore[arg-type]
    client.datasets.ingest(plain, [SimpleNamespace(**row) for row in ROWS])
    assert box.rows(plain) == ROWS * 2


@pytest.mark.parametrize("row", [Person(1, "Ann"), SimpleNamespace(id=1)])
def test_one_object_is_not_rows(client: Any, plain: Any, row: Any) -> None:
    with pytest.raises(TypeError, match="Put a single row in a list"):
        client.datasets.ingest(plain, row)


TWICE = "select id, name, id from people"


def test_two_columns_of_one_name_are_refused(
    client: Any, box: Sandbox, plain: Any, people: sqlite3.Connection, engine: sa.Engine
) -> None:
    with engine.connect() as connection:
        result = connection.execute(sa.text(TWICE))
        rows = connection.execute(sa.text(TWICE)).all()
        for source in (people.execute(TWICE), result, connection.execute(sa.text(TWICE)).mappings()):
            with pytest.raises(TypeError, match=r"two columns named 'id'. Name them apart in the query: select … as …"):
                client.datasets.ingest(plain, source)
    people.row_factory = sqlite3.Row
    for found in (rows, people.execute(TWICE).fetchall()):
        with pytest.raises(IngestError, match="two columns named 'id'") as caught:
            client.datasets.ingest(plain, found)
        assert caught.value.report.invalid == 2
    assert box.rows(plain) == []


@pytest.mark.parametrize(
    "factory",
    [
        sqlite3.Row,
        lambda _, row: row,
        lambda _, row: list(row),
        lambda cursor, row: dict(zip([name for name, *_ in cursor.description], row, strict=True)),
        lambda _, row: Person(*row),
        lambda _, row: namedtuple("Row", "id name")(*row),
    ],
)
def test_a_cursor_that_makes_rows_of_its_own(
    client: Any, box: Sandbox, plain: Any, people: sqlite3.Connection, factory: Any
) -> None:
    cursor = people.cursor()
    cursor.row_factory = factory
    client.datasets.ingest(plain, cursor.execute("select 1 as id, 'Ann' as name"))
    assert [(row["id"], row["name"]) for row in box.rows(plain)] == [(1, "Ann")]


@pytest.mark.parametrize("place", [0, 1])
def test_a_cursor_that_gives_one_value_of_each_row(
    client: Any, box: Sandbox, plain: Any, people: sqlite3.Connection, place: int
) -> None:
    """A text of two letters is not a row of two columns."""
    cursor = people.cursor()
    cursor.row_factory = lambda _, row: row[place]
    with pytest.raises(IngestError, match="not a mapping from column to value"):
        client.datasets.ingest(plain, cursor.execute("select 1 as id, 'Jo' as name"))
    assert box.rows(plain) == []


def test_a_cursor_without_a_query(client: Any, plain: Any, people: sqlite3.Connection) -> None:
    with pytest.raises(TypeError, match="Execute a query with it first"):
        client.datasets.ingest(plain, people.cursor())


@pytest.mark.parametrize("row", [[1, "Ann"], (1, "Ann")])
def test_rows_without_names_are_refused_and_the_remedy_works(
    driver: Driver, client: Any, box: Sandbox, plain: Any, row: Any
) -> None:
    with pytest.raises(IngestError) as caught:
        client.datasets.ingest(plain, [row])
    assert caught.value.report.invalid == 1
    said = str(caught.value.report.batches[0].error)
    assert "has no names for its values" in said
    assert "dict(zip(names, row))" in said
    client.datasets.ingest(plain, [dict(zip(["id", "name"], row, strict=True))])
    client.datasets.ingest(plain, [namedtuple("Row", "id name")(*row)])
    assert box.rows(plain) == [{"id": 1, "name": "Ann"}] * 2
