"""Files that SQLite would take for its own, or that are no store: each is refused by name and left byte for byte.

SQLite deletes a file `x-journal` beside a database `x`, makes a database of a file of one byte, and waits for a pipe.
"""

import os
import socket
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from databox import APIStatusError, ConfigurationError, Databox, Dataset, RateLimit
from databox.sandbox import Fault, Sandbox
from tests.drive import Driver
from tests.programs import unmeasured
from tests.scripted import ScriptedServer, answer

ROWS = [{"id": n} for n in range(300)]


def limited(client: Any, store: Path) -> Any:
    return client.with_options(rate_limit=RateLimit(store=store))


@pytest.mark.parametrize("suffix", ["-journal", "-wal"])
@pytest.mark.parametrize("exists", [True, False], ids=["used", "new"])
def test_a_file_beside_the_store_is_not_taken_for_a_part_of_it(
    client: Any, box: Sandbox, tmp_path: Path, suffix: str, *, exists: bool
) -> None:
    store, notes = tmp_path / "store", tmp_path / f"store{suffix}"
    if exists:
        limited(client, store).accounts.list()
    notes.write_text("mine\n")
    before = len(box.requests)
    with pytest.raises(ConfigurationError, match=f"store{suffix} is beside it.*Name one that does not exist yet"):
        limited(client, store).accounts.list()
    assert (notes.read_text(), len(box.requests)) == ("mine\n", before)
    limited(client, tmp_path / "another").accounts.list()


def test_a_journal_beside_a_store_is_not_lost(client: Any, box: Sandbox, plain: Dataset, tmp_path: Path) -> None:
    journal = tmp_path / "store-journal"
    assert client.datasets.ingest(plain, ROWS, journal=journal).ok
    with pytest.raises(ConfigurationError, match="store-journal is beside it"):
        limited(client, tmp_path / "store").datasets.ingest(plain, ROWS, journal=journal)
    assert client.datasets.ingest(plain, ROWS, journal=journal).ok
    assert len(box.rows(plain)) == 300


@pytest.mark.parametrize("suffix", ["-journal", "-wal"])
def test_a_file_beside_a_journal_is_not_taken_for_a_part_of_it(
    client: Any, box: Sandbox, plain: Dataset, tmp_path: Path, suffix: str
) -> None:
    journal, notes = tmp_path / "journal", tmp_path / f"journal{suffix}"
    assert client.datasets.ingest(plain, ROWS, journal=journal).ok
    notes.write_text("mine\n")
    with pytest.raises(ConfigurationError, match=f"journal{suffix} is beside it.*Move it, then run again"):
        client.datasets.ingest(plain, ROWS, journal=journal)
    assert notes.rename(tmp_path / "notes").read_text() == "mine\n"
    assert client.datasets.ingest(plain, ROWS, journal=journal).ok
    assert len(box.rows(plain)) == 300


@pytest.mark.parametrize("base", ["store", "journal"])
@pytest.mark.parametrize("suffix", ["-journal", "-wal"])
@pytest.mark.parametrize("use", ["journal", "dead_letter"])
def test_a_file_is_not_made_where_sqlite_would_delete_it(
    client: Any, box: Sandbox, plain: Dataset, tmp_path: Path, base: str, suffix: str, use: str
) -> None:
    limited(client, tmp_path / "store").accounts.list()
    client.datasets.ingest(plain, ROWS[:1], journal=tmp_path / "journal")
    before = len(box.requests)
    with pytest.raises(ConfigurationError, match=f"a part of the database {tmp_path / base},.*Name another"):
        client.datasets.ingest(plain, ROWS, **{use: tmp_path / f"{base}{suffix}"})
    assert not (tmp_path / f"{base}{suffix}").exists()
    assert client.datasets.ingest(plain, ROWS, **{use: tmp_path / f"free-{use}"}).ok
    assert len([each for each in box.requests[before:] if each.operation == "datasets.create_ingestion"]) == 3


def test_dead_letters_beside_the_journal_of_the_run(client: Any, box: Sandbox, plain: Dataset, tmp_path: Path) -> None:
    box.inject(Fault("create_ingestion", status=400))
    with pytest.raises(ConfigurationError, match="a part of the database"):
        client.datasets.ingest(plain, ROWS, journal=tmp_path / "j", dead_letter=tmp_path / "j-journal")
    assert len(box.rows(plain)) == 0


def test_dead_letters_are_not_added_to_a_database(client: Any, plain: Dataset, tmp_path: Path) -> None:
    store = tmp_path / "store"
    limited(client, store).accounts.list()
    held = store.read_bytes()
    with pytest.raises(ConfigurationError, match="it is a database"):
        client.datasets.ingest(plain, [{"id": 1}, "no row"], dead_letter=store)
    assert store.read_bytes() == held


def database(*statements: str) -> Callable[[Path], None]:
    def make(path: Path) -> None:
        with closing(sqlite3.connect(path)) as db:
            for statement in statements:
                db.execute(statement)
            db.commit()

    return make


@pytest.mark.parametrize(
    "make",
    [
        pytest.param(database("create table logs (a, b, c, d)", "insert into logs values (1, 2, 3, 4)"), id="logs"),
        pytest.param(database("create table slots (log, at, x)"), id="slots"),
        pytest.param(database("create view v as select 1"), id="views"),
        pytest.param(database("create table t (x)", "drop table t"), id="dropped"),
        pytest.param(database("pragma user_version = 7"), id="version"),
        pytest.param(lambda path: path.write_bytes(b"\n"), id="one byte"),
        pytest.param(lambda path: path.write_bytes(b"x" * 500), id="bytes"),
    ],
)
def test_what_is_no_store_is_left_as_it_is(
    client: Any, box: Sandbox, tmp_path: Path, make: Callable[[Path], None]
) -> None:
    file = tmp_path / "yours"
    make(file)
    held, before = file.read_bytes(), len(box.requests)
    with pytest.raises(ConfigurationError, match="it is another kind of file, left unchanged"):
        limited(client, file).accounts.list()
    assert (file.read_bytes(), len(box.requests)) == (held, before)
    assert [each.name for each in tmp_path.iterdir()] == ["yours"]


def test_a_database_whose_program_was_killed_is_left_as_it_is(client: Any, tmp_path: Path) -> None:
    file = tmp_path / "yours"
    program = "\n".join(
        (
            "import os, sqlite3",
            f"db = sqlite3.connect({str(file)!r}, isolation_level=None)",
            "db.execute('pragma journal_mode = wal')",
            "db.execute('create table orders (id)')",
            "os._exit(0)",
        )
    )
    subprocess.run([sys.executable, "-c", program], check=True, env=unmeasured())
    held = {each.name: each.read_bytes() for each in tmp_path.iterdir()}
    assert len(held) == 3
    with pytest.raises(ConfigurationError, match="yours-wal is beside it"):
        limited(client, file).accounts.list()
    assert {each.name: each.read_bytes() for each in tmp_path.iterdir()} == held


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes with names")
@pytest.mark.parametrize("kind", ["pipe", "device"])
def test_a_store_that_is_no_file(client: Any, tmp_path: Path, kind: str) -> None:
    """A pipe that nobody writes to would be waited for, and what is written to a device is not there later."""
    place = Path(os.devnull)
    if kind == "pipe":
        place = tmp_path / "pipe"
        os.mkfifo(place, 0o444)
    with pytest.raises(ConfigurationError, match="it is another kind of file, left unchanged"):
        limited(client, place)


def test_a_store_whose_path_cannot_be_followed(client: Any, tmp_path: Path) -> None:
    (tmp_path / "one").symlink_to(tmp_path / "other")
    (tmp_path / "other").symlink_to(tmp_path / "one")
    for place in (tmp_path / "one", tmp_path / ("x" * 300), tmp_path / "one" / "store"):
        with pytest.raises(ConfigurationError, match=r"The store of the rate limit.*Name|Make it first") as caught:
            limited(client, place)
        assert "emove" not in str(caught.value)
    with pytest.raises(TypeError, match=r"RateLimit\.store must be the path of a file"):
        RateLimit(store="a\0b")


def test_what_a_killed_process_leaves_beside_its_store_is_no_obstacle(client: Any, tmp_path: Path) -> None:
    store = tmp_path / "store"
    limited(client, store).accounts.list()
    program = "\n".join(
        (
            "import os, sqlite3",
            f"db = sqlite3.connect({str(store)!r}, isolation_level=None)",
            "db.execute('pragma cache_size = 1')",
            "db.execute('begin immediate')",
            "db.executemany('insert into slots (log, at, gone) values (?, 1, 1)', [('x' * 900,)] * 900)",
            "os._exit(0)",
        )
    )
    subprocess.run([sys.executable, "-c", program], check=True, env=unmeasured())
    assert (tmp_path / "store-journal").stat().st_size > 0
    limited(client, store).accounts.list()
    with closing(sqlite3.connect(store)) as db:
        assert db.execute("select count(*) from slots where log like 'x%'").fetchone() == (0,)


def test_a_second_run_does_not_unlock_the_journal_for_others(
    client: Any, box: Sandbox, plain: Dataset, tmp_path: Path
) -> None:
    """Closing a file releases the locks that the same process has on it, however it was opened."""
    journal = tmp_path / "journal"
    program = "\n".join(
        (
            "from databox import APIStatusError, ConfigurationError, Databox",
            f"client = Databox({box.api_key!r}, {box.url!r})",
            "try:",
            f"    client.datasets.ingest({plain.id!r}, [{{'id': 1}}], journal={str(journal)!r})",
            "except ConfigurationError as error:",
            "    print(error)",
        )
    )

    def rows() -> Iterator[dict[str, int]]:
        for row in ROWS:
            if row["id"] == 250:
                with (
                    Databox(box.api_key, box.url) as second,
                    pytest.raises(ConfigurationError, match="in use by another run"),
                ):
                    second.datasets.ingest(plain, ROWS, journal=journal)
                done = subprocess.run(
                    [sys.executable, "-c", program], capture_output=True, text=True, check=True, env=unmeasured()
                )
                assert "in use by another run" in done.stdout
            yield row

    assert client.datasets.ingest(plain, rows(), journal=journal).accepted == 300
    assert len(box.rows(plain)) == 300


@pytest.mark.parametrize("status", [429, 503])
def test_a_store_that_breaks_after_a_refusal_does_not_hide_it(
    driver: Driver, server: ScriptedServer, tmp_path: Path, status: int
) -> None:
    """What the API said comes before what the store lacks: the request may have taken effect."""
    store = tmp_path / "folder" / "store"
    store.parent.mkdir()

    def refuses(connection: socket.socket) -> None:
        store.parent.rename(tmp_path / "moved")
        answer(status, headers={"retry-after": "0"})(connection)

    server.will(refuses)
    client = driver.client("test-key-0123456789", server.url, rate_limit=RateLimit(store=store), max_retries=2)
    with pytest.raises(APIStatusError, match=f"failed with status {status}") as caught:
        client.accounts.list()
    assert any("not tried again: The store" in note for note in caught.value.__notes__)
    with pytest.raises(ConfigurationError, match="there is no folder"):
        client.accounts.list()
    assert len(server.requests) == 1


LIMITED = """
import os, signal, sys
from pathlib import Path
from databox import ConfigurationError
from databox.limit.file import StoredLog

lack, store = sys.argv[1], Path(sys.argv[2])
StoredLog(store.with_name("another"), "log")  # which imports what it needs
if lack == "room":
    import resource
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1024, 1024))
elif lack == "permission" and os.geteuid() == 0:
    os.setuid(65534)
elif lack == "permission":
    store.parent.chmod(0o500)
try:
    StoredLog(store, "log")
except ConfigurationError as error:
    print(error)
"""


@pytest.mark.skipif(not hasattr(os, "setuid"), reason="permissions are another matter there")
@pytest.mark.parametrize(
    ("lack", "remedy"),
    [("room", "Make room on the disk"), ("permission", "Let this user write to it and to its folder")],
)
def test_what_a_store_lacks_is_named_and_mended(lack: str, remedy: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        store = Path(folder, "store")
        command = [sys.executable, "-c", LIMITED, lack, str(store)]
        done = subprocess.run(command, capture_output=True, text=True, check=True, env=unmeasured())
        assert remedy in done.stdout
        assert "emove" not in done.stdout
        store.parent.chmod(0o777)
        command[3] = "nothing"
        assert subprocess.run(command, capture_output=True, text=True, check=True, env=unmeasured()).stdout == ""
