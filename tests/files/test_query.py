"""Rows from databases: SQLite, and a real PostgreSQL."""

import asyncio
import io
import pickle
import sqlite3
import subprocess
import sys
import traceback
from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
import pytest
import sqlalchemy as sa

from databox import AsyncDatabox, ConfigurationError, DataboxError, IngestError, InvalidRecordError, read_query
from databox.sandbox import Sandbox
from tests.drive import Driver
from tests.postgres_server import NEEDS_POSTGRES, PASSWORD, PostgresServer
from tests.programs import PEAK


@pytest.fixture
def shop(tmp_path: Path) -> str:
    """A database of SQLite with some orders."""
    path = tmp_path / "shop.db"
    with sqlite3.connect(path) as connection:
        connection.execute("create table orders (id integer, name text, amount real, day text)")
        rows = [(n, f"n°{n}", n / 4, "2025-12-31") for n in range(250)]
        connection.executemany("insert into orders values (?, ?, ?, ?)", rows)
    connection.close()
    return f"sqlite:///{path}"


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    with PostgresServer() as running:
        yield running


def test_rows_of_a_query(shop: str) -> None:
    records = read_query(shop, "select id, name, amount, null as none from orders where id < 2 order by id")
    assert [(column.name, column.type) for column in records.columns] == [
        *(("id", "number"), ("name", "text"), ("amount", "number"), ("none", "empty"))
    ]
    assert records.description == "SQL, sqlite"
    assert list(records) == [
        {"id": 0, "name": "n°0", "amount": 0.0, "none": None},
        {"id": 1, "name": "n°1", "amount": 0.25, "none": None},
    ]


def test_parameters_and_none(shop: str) -> None:
    assert len(list(read_query(shop, "select * from orders where id >= :since", params={"since": 200}))) == 50
    assert len(list(read_query(shop, "select id from orders where name like 'n%' and ':x' = ':x'"))) == 250
    assert list(read_query(shop, "select id from orders where 1 = 0")) == []


def test_engines_and_connections(shop: str) -> None:
    engine = sa.create_engine(shop)
    assert len(list(read_query(engine, "select * from orders"))) == 250
    with engine.connect() as connection:
        assert len(list(read_query(connection, "select * from orders"))) == 250
        assert len(list(read_query(connection, "select * from orders limit 3"))) == 3
    assert len(list(read_query(sa.make_url(shop), "select * from orders"))) == 250
    engine.dispose()


def test_it_is_sent(driver: Driver, client: Any, box: Sandbox, dataset: Any, shop: str) -> None:
    report = client.datasets.ingest(dataset, read_query(shop, "select * from orders order by id"))
    assert report.appended == 250
    assert sorted(box.rows(dataset), key=lambda row: row["id"])[249] == {
        "id": 249,
        "name": "n°249",
        "amount": 62.25,
        "day": "2025-12-31",
    }


def test_a_journal_belongs_to_the_query(client: Any, dataset: Any, shop: str, tmp_path: Path) -> None:
    sql, journal = "select * from orders where id < :end order by id", tmp_path / "journal"

    def send(sql: str, end: int) -> Any:
        return client.datasets.ingest(dataset, read_query(shop, sql, params={"end": end}), journal=journal)

    send(sql, 100)
    assert send(sql, 100).accepted == 100  # of the first run
    for other, end in ((sql, 200), (sql.replace("order by id", "order by id desc"), 100)):
        with pytest.raises(ConfigurationError, match=r"journal.*another query, or with other parameters"):
            send(other, end)
    with pytest.raises(ConfigurationError, match="another query"):
        client.datasets.ingest(dataset, [{"id": 1}], journal=journal)
    assert PASSWORD.encode() not in journal.read_bytes()


@pytest.mark.parametrize(
    ("sql", "words"),
    [
        ("select id, name as id from orders", "1 and 2 of the query are both named 'id'. Name them apart"),
        ("select x'00ff' as blob from orders", r"'blob' of the query holds bytes. Make them text in the query, .*hex"),
        ('select 1 as "" from orders', "has no name. Give it one"),
    ],
)
def test_columns_that_cannot_be_sent(shop: str, sql: str, words: str) -> None:
    with pytest.raises(InvalidRecordError, match=words):
        read_query(shop, sql)


def test_remedies_for_columns(shop: str) -> None:
    assert list(read_query(shop, "select hex(x'00ff') as blob from orders limit 1")) == [{"blob": "00FF"}]
    assert list(read_query(shop, "select id, name as other from orders limit 1")) == [{"id": 0, "other": "n°0"}]


def test_long_numbers_stay_exact(shop: str) -> None:
    sql = "select 9007199254740993 as id union all select 1"
    assert sorted(row["id"] for row in read_query(shop, sql)) == ["1", "9007199254740993"]
    late = "select id from (select id from orders union all select 9007199254740993) order by id"
    with pytest.raises(InvalidRecordError, match=r"row 251, column 'id': 9007199254740993 has more .* Cast it to text"):
        list(read_query(shop, late))
    assert list(read_query(shop, late.replace("select id", "select cast(id as text) as id", 1)))[-1]["id"]


@pytest.mark.parametrize(
    ("database", "sql", "error", "words"),
    [
        ("no url secret", "select 1", ConfigurationError, "no URL as SQLAlchemy has them"),
        ("postgres://u:secret@h/d", "select 1", ConfigurationError, "Write postgresql://"),
        ("nosuch://u:secret@h/d", "select 1", ConfigurationError, "no database 'nosuch'"),
        ("mysql+pymysql://u:secret@h/d", "select 1", ImportError, "pip install pymysql"),
        ("sqlite:////no/such/file", "select 1", ConfigurationError, "There is no file /no/such/file"),
        ("sqlite://shop.db", "select 1", ConfigurationError, "Invalid SQLite URL"),
        ("postgresql+psycopg://u:one@secret@127.0.0.1:1/d", "select 1", ConfigurationError, "as %40"),
        ("postgresql+psycopg://u:12/secret@127.0.0.1:1/d", "select 1", ConfigurationError, "cannot be reached"),
        ("postgresql+psycopg://127.0.0.1:1/d?user=u&password=secret", "select 1", ConfigurationError, "be reached"),
        ("postgresql+psycopg://127.0.0.1:1/d?sslmode=x&password=secret", "select 1", ConfigurationError, "mode.*x"),
        ("mssql+pyodbc:///?odbc_connect=PWD%3Dsecret", "select 1", ImportError, "pip install pyodbc"),
        ("postgresql+psycopg://u:secret@127.0.0.1:1/d", "select 1", ConfigurationError, "cannot be reached"),
        ("sqlite://", "selct 1", ConfigurationError, "cannot be run by sqlite://: near"),
        ("sqlite://", "attach ':memory:' as more", ConfigurationError, "returns no rows"),
        (7, "select 1", TypeError, "must be a URL"),
        ("sqlite://", "", TypeError, "text of a query"),
    ],
)
def test_what_cannot_be_read(database: Any, sql: str, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words) as caught:
        read_query(database, sql)
    assert "secret" not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize(
    ("sql", "params", "words"),
    [
        ("select '\udcff'", None, "surrogates not allowed"),
        ("select '\udcff' where 1 = :x", {"x": 1}, "surrogates not allowed"),
        ("select :x", {"x": "\ud800"}, "surrogates not allowed"),
        ("select 1\0", None, "null character"),
        ("select :x as x", {"x": 2**63}, "too large"),
    ],
)
def test_what_the_driver_itself_cannot_say(shop: str, sql: str, params: dict[str, Any] | None, words: str) -> None:
    with pytest.raises(ConfigurationError, match=r"The query cannot be run by sqlite:///.*shop\.db: ") as caught:
        read_query(shop, sql, params=params)
    assert words in str(caught.value)
    assert str(caught.value).isprintable()


def test_parameters_have_names() -> None:
    with pytest.raises(TypeError, match="params must be a mapping from names to values"):
        read_query("sqlite://", "select :x", params=["a"])  # type: ignore[arg-type]


def test_a_missing_library_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sqlalchemy", None)
    with pytest.raises(ImportError, match=r'pip install "databox-sdk\[sql\]"'):
        read_query("sqlite://", "select 1")


def test_the_parameter_that_was_forgotten(shop: str) -> None:
    with pytest.raises(ConfigurationError, match="bind parameter 'until'"):
        read_query(shop, "select * from orders where id > :since and id < :until", params={"since": 1})


@pytest.mark.parametrize(
    ("sql", "params", "words"),
    [
        ("select 1 as a where 1 = :since", None, r"give its value with params=\{'since': …\}\."),
        ("select '12 :30' as a where 1 = :x", {"x": 1}, r"'30'.*Write a colon that does not begin a parameter as \\:"),
        ("select 1 as a where 1 = :since", {"since": 1, "sinse": 2}, "no parameter :sinse"),
        ("select :a::text as x", {"a": 1}, r"no parameter :a\. Write cast\(:a as …\) for :a::…"),
    ],
)
def test_parameters_that_do_not_fit_the_query(sql: str, params: dict[str, Any] | None, words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        read_query("sqlite://", sql, params=params)


def test_remedies_for_parameters() -> None:
    assert list(read_query("sqlite://", r"select '12 \:30' as a where 1 = :x", params={"x": 1})) == [{"a": "12 :30"}]
    assert list(read_query("sqlite://", "select cast(:a as text) as x", params={"a": 1})) == [{"x": "1"}]


@pytest.mark.parametrize(
    "sql",
    [
        *("drop table orders", "delete from orders", "insert into orders values (1, '', 0, '') returning id"),
        *("create table more (a)", "pragma user_version = 7", "update orders set id = 0"),
    ],
)
def test_nothing_is_written(shop: str, sql: str) -> None:
    path = Path(shop.removeprefix("sqlite:///"))
    before = path.read_bytes()
    with pytest.raises(ConfigurationError, match=r"readonly"):
        read_query(shop, sql)
    assert path.read_bytes() == before


def test_a_database_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="There is no file"):
        read_query(f"sqlite:///{tmp_path}/nosuch.db", "select 1")
    assert list(tmp_path.iterdir()) == []


def test_a_column_of_several_types_is_told_with_a_remedy_for_queries() -> None:
    [column] = read_query("sqlite://", "select 1 as a union all select 'b'").columns
    assert column.note == "mixed types: cast it in the query"
    [column] = read_query("sqlite://", "select cast(a as text) as a from (select 1 as a union select 'b')").columns
    assert (column.type, column.note) == ("text", "")


def test_the_rows_of_an_open_query_do_not_pickle(shop: str) -> None:
    with read_query(shop, "select * from orders") as records, pytest.raises(TypeError, match="Call read_query where"):
        pickle.dump(records, io.BytesIO())


# PostgreSQL


@pytest.mark.slow
@NEEDS_POSTGRES
def test_types_are_those_of_postgresql(server: PostgresServer) -> None:
    sql = """select 1::smallint as i, 9007199254740993 as long, 1.10::numeric(20, 2) as n, 0.1::float8 as f,
        'ü'::text as t, true as b, date '2025-12-31' as d, timestamptz '2025-12-31 10:00+02' as z,
        timestamp '2025-12-31 10:00' as naive, 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'::uuid as u, null::int as none"""
    records = read_query(server.url, sql)
    assert "naive" in records.notes[0]
    (row,) = records
    assert row == {
        "i": 1,
        "long": "9007199254740993",
        "n": Decimal("1.10"),
        "f": 0.1,
        "t": "ü",
        "b": True,
        "d": date(2025, 12, 31),
        "z": datetime(2025, 12, 31, 8, tzinfo=UTC),
        "naive": datetime(2025, 12, 31, 10),
        "u": UUID("a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"),
        "none": None,
    }


@NEEDS_POSTGRES
@pytest.mark.parametrize(
    ("value", "words", "remedy"),
    [
        ("'{\"a\": 1}'::jsonb", "nested values", "('{\"a\": 1}'::jsonb)->>'a'"),
        ("array[1, 2]", "nested values", "array[1, 2]::text"),
        ("'\\x00ff'::bytea", "bytes", "encode('\\x00ff'::bytea, 'hex')"),
        ("int4range(1, 5)", "values of type Range. Cast it to text", "int4range(1, 5)::text"),
        ("time '10:00'", "times of day", "(time '10:00')::text"),
        ("interval '1 hour'", "durations", "extract(epoch from interval '1 hour')"),
    ],
)
def test_what_postgresql_has_and_the_api_has_not(server: PostgresServer, value: str, words: str, remedy: str) -> None:
    with pytest.raises(InvalidRecordError, match=f"'x' of the query holds {words}"):
        read_query(server.url, f"select {value} as x")
    assert len(list(read_query(server.url, f"select {remedy} as x"))) == 1


@NEEDS_POSTGRES
def test_numbers_that_json_does_not_have(client: Any, box: Sandbox, plain: Any, server: PostgresServer) -> None:
    """As from any other source: what is not a number is null, and what is infinite is refused."""
    client.datasets.ingest(plain, read_query(server.url, "select 1 as id, 'NaN'::numeric as n"))
    assert box.rows(plain) == [{"id": 1, "n": None}]
    with pytest.raises(IngestError, match="'n' is infinite"):
        client.datasets.ingest(plain, read_query(server.url, "select 1 as id, 'infinity'::numeric as n"))


@NEEDS_POSTGRES
def test_the_password_never_shows(server: PostgresServer) -> None:
    with read_query(server.url, "select 1 as a") as records:
        assert "owner:***@" in records.name
        shown = repr(records) + str(vars(records)["name"]) + records.description
    address, _, secret = server.url.removeprefix("postgresql+psycopg://").partition("@")
    parts = f"postgresql+psycopg://{secret}?user=owner&password={address.partition(':')[2]}"
    with read_query(parts, "select 1 as a") as records:
        assert records.name == f"postgresql+psycopg://{secret}"
    wrong = server.url.replace("p%40ss", "wrong%40pass")
    for url, sql in ((wrong, "select 1"), (server.url, "select nothing")):
        with pytest.raises(ConfigurationError) as caught:
            read_query(url, sql)
        shown += "".join(traceback.format_exception(caught.value))
    for secret in (PASSWORD, "p%40ss", "wrong@pass", "wrong%40pass"):
        assert secret not in shown


@NEEDS_POSTGRES
def test_a_database_that_fails_in_the_middle(server: PostgresServer) -> None:
    sql = "select 10 / (5000 - n) as x from generate_series(1, 6000) n"
    records = read_query(server.url, sql)
    rows: list[Any] = []
    with pytest.raises(DataboxError, match="failed: division by zero"):
        rows.extend(records)
    assert len(rows) >= 4000


@NEEDS_POSTGRES
def test_cursors_of_psycopg(driver: Driver, client: Any, box: Sandbox, plain: Any, server: PostgresServer) -> None:
    url = server.url.replace("+psycopg", "")
    sql = "select n as id, 'x' || n as name from generate_series(1, 3) n"
    with psycopg.connect(url) as connection:
        client.datasets.ingest(plain, connection.execute(sql))
        if driver.is_async:
            return
        with connection.cursor("streamed", row_factory=psycopg.rows.dict_row) as cursor:
            client.datasets.ingest(plain, cursor.execute(sql))
    assert box.rows(plain) == [{"id": n, "name": f"x{n}"} for n in (1, 2, 3)] * 2


@NEEDS_POSTGRES
def test_an_asynchronous_cursor(box: Sandbox, server: PostgresServer) -> None:
    async def main() -> str:
        url = server.url.replace("+psycopg", "")
        async with (
            await psycopg.AsyncConnection.connect(url) as connection,
            AsyncDatabox(box.api_key, box.url) as client,
        ):
            dataset = await client.datasets.create("D", data_source=await client.data_sources.create("S"))
            await client.datasets.ingest(dataset, await connection.execute("select 1 as id, 'x' as name"))
            with pytest.raises(TypeError, match="two columns named 'id'"):
                await client.datasets.ingest(dataset, await connection.execute("select 1 as id, 2 as id"))
        return dataset.id

    assert box.rows(asyncio.run(main())) == [{"id": 1, "name": "x"}]


MEMORY = (
    PEAK
    + """
import sys
from databox import read_query
first = list(read_query(sys.argv[1], sys.argv[2] + " limit 5000"))
before = peak()
records = read_query(sys.argv[1], sys.argv[2])
rows = sum(1 for row in records)
print(rows, peak() - before)
"""
)
MANY = """select n as id, 'customer ' || n as name, (n * 1.25)::numeric(12, 2) as amount, now() as at,
    date '2025-01-01' + n % 365 as day from generate_series(1, 1000000) n"""


@NEEDS_POSTGRES
@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_million_rows_at_flat_memory(server: PostgresServer) -> None:
    done = subprocess.run([sys.executable, "-c", MEMORY, server.url, MANY], capture_output=True, text=True, check=True)
    rows, more = map(int, done.stdout.split())
    assert rows == 1_000_000
    assert more < 10_000  # kilobytes


@pytest.mark.parametrize(
    ("url", "package", "other"),
    [
        ("mysql://u:s3cret@db/shop", "mysqlclient", "mysql+pymysql://"),
        ("postgresql+psycopg2://u:s3cret@db/shop", "psycopg2-binary", "postgresql+psycopg://"),
    ],
)
def test_a_driver_that_is_missing_is_named_as_pip_knows_it(
    monkeypatch: pytest.MonkeyPatch, url: str, package: str, other: str
) -> None:
    for driver in ("MySQLdb", "psycopg2"):
        monkeypatch.setitem(sys.modules, driver, None)
    with pytest.raises(ImportError, match=f"pip install {package};") as caught:
        read_query(url, "select 1")
    assert other in str(caught.value)
    assert "s3cret" not in str(caught.value)
