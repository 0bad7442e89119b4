"""`dataset ingest` from a database."""

import re
import shlex
import sqlite3
from pathlib import Path

import pytest

from databox.sandbox import Fault, Sandbox
from tests.cli.conftest import Command
from tests.postgres_server import NEEDS_POSTGRES, PostgresServer
from tests.sandbox.http import dataset_in

SQL = "select id, name from orders where id >= :since order by id"


@pytest.fixture
def shop(tmp_path: Path) -> str:
    path = tmp_path / "shop.db"
    with sqlite3.connect(path) as connection:
        connection.execute("create table orders (id integer, name text)")
        connection.executemany("insert into orders values (?, ?)", [(n, f"n°{n}") for n in range(250)])
    connection.close()
    return f"sqlite:///{path}"


def test_the_rows_of_a_query(
    databox: Command, box: Sandbox, dataset_id: str, shop: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ("dataset", "ingest", dataset_id, "--param", "since=100", "--primary-keys", "id")
    done = databox(*words, "--database", shop, "--query", SQL)
    assert done.code == 0
    assert "SQL, sqlite" in done.err
    assert len(box.rows(dataset_id)) == 150
    (tmp_path / "orders.sql").write_text(SQL)
    monkeypatch.setenv("DATABOX_DATABASE_URL", shop)
    done = databox(*words, "--query", f"@{tmp_path}/orders.sql", "--json")
    assert (done.code, done.json["overwritten"]) == (0, 150)
    assert done.json["columns"][0] == {"name": "id", "type": "number", "note": "", "example": "100"}
    done = databox(*words[:3], "--records", '[{"id": 1000, "name": "x"}]', "--json")
    assert done.json["appended"] == 1  # the variable alone does not request a query


def test_it_goes_on_with_the_journal_of_the_query(
    databox: Command, box: Sandbox, dataset_id: str, shop: str, tmp_path: Path
) -> None:
    words = ["dataset", "ingest", dataset_id, "--database", shop, "--journal", tmp_path / "journal"]
    box.inject(Fault("create_ingestion", status=401, times=4))
    assert databox(*words, "--query", SQL, "--param", "since=0").code == 1
    done = databox(*words, "--query", SQL, "--param", "since=100")
    assert done.code in {0, 2}  # nothing was sent with it before, or something was
    done = databox(*words, "--query", SQL, "--param", "since=7")
    assert done.code == 2
    assert "another query, or with other parameters" in done.err


def test_no_password_in_what_is_shown(databox: Command, dataset_id: str, monkeypatch: pytest.MonkeyPatch) -> None:
    url = "postgresql+psycopg://owner:hush%40hush@127.0.0.1:1/shop"
    done = databox("dataset", "ingest", dataset_id, "--database", url, "--query", "select 1", "--json")
    assert done.code == 2
    assert "owner:***@127.0.0.1" in done.err
    assert "hush" not in done.out + done.err
    url = "postgresql+psycopg://127.0.0.1:1/shop?user=owner&password=hush"
    done = databox("dataset", "ingest", dataset_id, "--database", url, "--query", "select 1", "--json")
    assert "//127.0.0.1:1/shop cannot be reached" in done.err
    assert "hush" not in done.out + done.err


def test_the_command_that_goes_on_has_no_password() -> None:
    from databox.cli.summary import resuming

    said = resuming(["dataset", "ingest", "--database", "postgresql://u:p%40ss:w/ord@h/d"], Path("j"))
    assert said == "databox dataset ingest --database 'postgresql://u:***@h/d' --journal j"
    said = resuming(["dataset", "ingest", "--database=postgresql://h/d?user=u&password=hush&x=1"], Path("j"))
    assert said == "databox dataset ingest '--database=postgresql://h/d?***' --journal j"


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://u:hu sh@h/d", "postgresql://u:***@h/d"),
        ("postgresql://u@tenant:hush@h/d", "postgresql://u@tenant:***@h/d"),
        ("postgresql://a name:hush@h/d", "postgresql://a name:***@h/d"),
        ("postgresql://u:hu?sh@h/d?sslmode=require", "postgresql://u:***@h/d?***"),
        ("postgresql://u:hu\nsh@h/d", "postgresql://u:***@h/d"),
        ("postgresql://u:pw@h/d?options=a b&password=hush", "postgresql://u:***@h/d?***"),
        ("mssql+pyodbc:///?odbc_connect=DRIVER={ODBC Driver 18};UID=a;PWD=hush", "mssql+pyodbc:///?***"),
        ("postgresql://h:5432/d", "postgresql://h:5432/d"),
    ],
)
def test_however_a_url_is_written_its_password_is_hidden(url: str, shown: str) -> None:
    from databox.cli.summary import resuming

    sql = "select 'http://a:b@c?d=e'"
    for option in (["--database", url], [f"--database={url}"]):
        said = shlex.split(resuming(["dataset", "ingest", "id", *option, "--query", sql], Path("j")))
        hidden = [word.replace(url, shown) for word in option]
        assert said == ["databox", "dataset", "ingest", "id", *hidden, "--query", sql, "--journal", "j"]
        assert "hush" not in " ".join(said)


@pytest.mark.slow
@NEEDS_POSTGRES
@pytest.mark.parametrize("password_in", ["address", "options"])
def test_the_password_is_to_be_given_again(
    databox: Command, box: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, password_in: str
) -> None:
    monkeypatch.chdir(tmp_path)
    dataset_id = dataset_in(box)
    sql = "select n as id, 'x' as name from generate_series(1, 250) n order by n"
    with PostgresServer() as server:
        address, _, place = server.url.rpartition("@")
        password = address.rpartition(":")[2]
        options = f"postgresql+psycopg://{place}?user=owner&password={password}"
        url = server.url if password_in == "address" else options
        words = ["dataset", "ingest", dataset_id, "--database", url, "--query", sql, "--concurrency", "1"]
        box.inject(Fault("create_ingestion", status=503, after=1))
        done = databox(*words, "--patience", "0")
        box.clear_faults()
        assert (done.code, password in done.out + done.err, len(box.rows(dataset_id))) == (1, False, 100)
        *_, printed, advice = done.out.splitlines()
        assert advice.startswith("Replace *** with what the URL has there, or leave --database out and set DATABOX_")
        again = shlex.split(printed)[1:]
        at = again.index("--database")
        before = again[at + 1].partition("***")[0]
        assert url.startswith(before)
        if password_in == "address":
            again[at + 1] = url
        else:
            del again[at : at + 2]
            monkeypatch.setenv(re.findall(r"DATABOX_\w+", advice)[0], url)
        assert databox(*again).code == 0
    assert [row["id"] for row in box.rows(dataset_id)] == list(range(1, 251))


def test_a_file_of_sql_in_another_encoding_is_named(databox: Command, dataset_id: str, tmp_path: Path) -> None:
    (tmp_path / "old.sql").write_bytes('select "ü"'.encode("latin-1"))
    done = databox("dataset", "ingest", dataset_id, "--database", "sqlite://", "--query", f"@{tmp_path}/old.sql")
    assert done.code == 2
    assert "old.sql is not UTF-8. Save it as UTF-8" in " ".join(done.err.replace("│", " ").split())


def test_typed_rows_are_read_as_they_were_typed(command: Command) -> None:
    done = command("dataset", "ingest", "x", "--records", '{"id": 61440393786409381.5}', "--dry-run", "--json")
    assert done.json["columns"][0]["example"] == "61440393786409381.5"
    done = command("dataset", "ingest", "x", "--records", '[{"id": 1, "id": 2}]', "--dry-run", "--json")
    assert "has 'id' twice" in done.err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--database", "sqlite://"], "give the query"),
        (["--query", "select 1"], "name the database"),
        (["--database", "sqlite://", "--query", "select 1", "file.csv"], "either a query or files"),
        (["--database", "sqlite://", "--query", "select 1", "--column", "a=text"], "is for files"),
        (["--database", "sqlite://", "--query", "select 1", "--param", "a"], "not like since"),
        (["--database", "sqlite://", "--query", "select 1", "--param", "a=1", "--param", "a=2"], "given twice"),
        (["--param", "a=1"], "is for a query"),
        (["--database", "sqlite://", "--query", "@nosuch.sql"], "nosuch.sql: No such file"),
        (["--database", "sqlite://", "--query", "selct 1"], "cannot be run"),
        (["--database", "no url", "--query", "select 1"], "no URL"),
        (["--database", "sqlite://", "--query", " "], "text of a query"),
    ],
)
def test_wrong_usage(databox: Command, box: Sandbox, dataset_id: str, arguments: list[str], words: str) -> None:
    before = len(box.requests)
    done = databox("dataset", "ingest", dataset_id, *arguments)
    assert done.code == 2
    assert words in " ".join(done.err.replace("│", " ").split())
    assert len(box.requests) == before
