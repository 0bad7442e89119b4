"""What may be wrong with a journal: each message says so, and following its advice stores nothing twice."""

import os
import re
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest

from databox import ConfigurationError, IngestError
from databox.ingest.journal_file import JournalFile, _make, _unusable
from databox.sandbox import Sandbox
from tests.test_ingest import ingestions, rows, stored

TWICE = "It holds 95 accepted rows; without primary keys, starting anew would store them twice."


def refusal(client: Any, *args: Any, **options: Any) -> str:
    """Return the error's message. Nothing may be sent, and the journal must not change."""
    with pytest.raises((ConfigurationError, IngestError)) as caught:
        client.datasets.ingest(*args, **options)
    error = caught.value.__cause__ if isinstance(caught.value, IngestError) else caught.value
    assert isinstance(error, ConfigurationError)
    assert str(error).startswith(f"The journal {options['journal']} ")
    assert not re.search("remove|delete the|another path", str(error))
    return str(error)


@pytest.fixture
def journal(client: Any, plain: Any, tmp_path: Path) -> Path:
    """A journal of 95 accepted rows."""
    path = tmp_path / "journal"
    client.datasets.ingest(plain, rows(95), batch_size=10, journal=path)
    return path


# Another input


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ([*rows(94), {"id": 94, "value": "new"}], "row 94 has changed"),
        ([*rows(42), {"id": 42, "value": -1}, *rows(52, 43)], "row 42 has changed"),
        ([{"id": -1, "value": 0}, *rows(94)], "row 0 has changed"),
        ([*rows(3), *rows(91, 4)], "row 3 has changed"),
        ([*rows(3), {"id": [3]}, *rows(91, 4)], "row 4 has changed"),
        (rows(80), "it had more rows"),
        (rows(94), "there was a row after row 93 that is missing now"),
        ([], "it had more rows"),
    ],
)
def test_a_changed_input_is_refused(
    client: Any, plain: Any, box: Sandbox, journal: Path, changed: list[dict[str, Any]], words: str
) -> None:
    before = len(ingestions(box))
    said = refusal(client, plain, changed, batch_size=10, journal=journal)
    assert f"belongs to another input: {words}. Run again with the rows it was begun with. {TWICE}" in said
    assert client.datasets.ingest(plain, rows(95), journal=journal).ok
    assert len(ingestions(box)) == before
    assert stored(box, plain) == rows(95)


def test_more_rows_than_when_it_was_finished(client: Any, plain: Any, box: Sandbox, journal: Path) -> None:
    said = refusal(client, plain, rows(120), journal=journal)
    assert (
        f"it was finished, but there are more rows now. Send the new rows alone, with another journal. {TWICE}" in said
    )
    assert client.datasets.ingest(plain, rows(25, 95), journal=journal.with_name("another")).ok
    assert stored(box, plain) == rows(120)


def test_with_keys_nothing_can_be_doubled_and_nothing_is_said_of_it(
    client: Any, dataset: Any, box: Sandbox, tmp_path: Path
) -> None:
    path = tmp_path / "journal"
    client.datasets.ingest(dataset, rows(5), journal=path)
    assert refusal(client, dataset, rows(5, 1), journal=path).endswith("Run again with the rows it was begun with.")


def test_another_dataset(client: Any, plain: Any, box: Sandbox, journal: Path) -> None:
    other = client.datasets.create("Other", data_source=plain.data_source_id)
    said = refusal(client, other, rows(95), journal=journal)
    assert f"belongs to another dataset: {plain.id!r}, not {other.id!r}. Use that dataset, or another journal" in said
    assert client.datasets.ingest(other, rows(95), journal=journal.with_name("of its own")).ok
    assert client.datasets.ingest(plain, rows(95), journal=journal).ok
    assert stored(box, plain) == stored(box, other) == rows(95)


def test_other_primary_keys(client: Any, plain: Any, box: Sandbox, journal: Path) -> None:
    said = refusal(client, plain.id, rows(95), journal=journal, primary_keys=["id"])
    assert f"was begun with other primary keys: '', not 'id'. Use those. {TWICE}" in said
    assert client.datasets.ingest(plain, rows(95), journal=journal).ok


def test_another_address(client: Any, plain: Any, box: Sandbox, journal: Path) -> None:
    with closing(sqlite3.connect(journal)) as db, db:
        db.execute("update about set value = 'https://api.databox.com' where name = 'address'")
    said = refusal(client, plain, rows(95), journal=journal)
    assert f"belongs to another address: 'https://api.databox.com', not {box.url!r}. Use that address" in said


# Files


def test_in_use(client: Any, plain: Any, tmp_path: Path) -> None:
    path = tmp_path / "journal"

    def source() -> Iterator[dict[str, Any]]:
        said = refusal(client, plain, rows(5), journal=path)
        assert said.endswith("is in use by another run. Wait until that has ended, then run again.")
        yield from rows(5)

    if client._driver.is_async:
        return  # an asynchronous run's source cannot run another one to its end
    assert client.datasets.ingest(plain, source(), journal=path).ok
    assert client.datasets.ingest(plain, rows(5), journal=path).ok


def of_another_kind(path: Path) -> None:
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("create table customers (id)")


@pytest.mark.parametrize(
    "make",
    [
        lambda path: path.write_bytes(b"not a database at all" * 100),
        lambda path: path.write_bytes(b"\0" * 5000),
        lambda path: path.write_bytes(b"x"),
        of_another_kind,
    ],
)
def test_what_is_no_journal_is_left_alone(
    client: Any, plain: Any, box: Sandbox, tmp_path: Path, make: Callable[[Path], None]
) -> None:
    path = tmp_path / "file"
    make(path)
    before = path.read_bytes(), len(box.requests)
    said = refusal(client, plain, rows(5), journal=path)
    assert said.endswith("is not a journal, and was left unchanged. Name a file that does not exist yet.")
    assert (path.read_bytes(), len(box.requests)) == before
    assert client.datasets.ingest(plain, rows(5), journal=tmp_path / "no file yet").ok
    assert sorted(each.name for each in tmp_path.iterdir()) == ["file", "no file yet"]


def test_an_empty_file_is_no_journal(client: Any, plain: Any, box: Sandbox, tmp_path: Path) -> None:
    """It may have been a journal; starting over with it could store all rows twice."""
    path = tmp_path / "journal"
    path.touch()
    said = refusal(client, plain, rows(5), journal=path)
    assert "is an empty file, which no run leaves behind. Name a file that does not exist yet; but if runs have" in said
    assert path.read_bytes() == b""


def test_one_of_another_version(client: Any, plain: Any, box: Sandbox, tmp_path: Path) -> None:
    path = tmp_path / "journal"
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("create table about (name text primary key, value text not null)")
        db.execute("create table batches (number integer primary key)")
        db.execute("insert into about values ('version', '1')")
    said = refusal(client, plain, rows(5), journal=path)
    assert (
        "was written by another version of this package, in format 1; this version reads 3. Continue with that version"
        in said
    )


def lacking_a_column(path: Path) -> None:
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("drop index batches_again")
        db.execute("alter table batches drop column ingestion_id")


def lacking_a_table(path: Path) -> None:
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("drop table keys")


def overwritten(path: Path) -> None:
    with path.open("r+b") as file:
        file.seek(100)
        file.write(b"\xff" * (path.stat().st_size - 100))


def with_another_head(path: Path) -> None:
    """It begins as a database does, but SQLite takes it for none."""
    with path.open("r+b") as file:
        file.seek(16)
        file.write(b"\xff" * 84)


def cut_off(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def mixed_up(path: Path) -> None:
    """SQLite can read every page, but some are swapped, as after a bad copy."""
    first, *pages = (path.read_bytes()[start : start + 4096] for start in range(0, path.stat().st_size, 4096))
    path.write_bytes(b"".join([first, *reversed(pages)]))


def with_an_empty_page(path: Path) -> None:
    """The page of the batches is empty, as if none had been sent."""
    with closing(sqlite3.connect(path)) as db:
        (page,) = db.execute("select rootpage from sqlite_master where name = 'batches'").fetchone()
        (empty,) = db.execute("select rootpage from sqlite_master where name = 'left_out'").fetchone()
    content = path.read_bytes()
    with path.open("r+b") as file:
        file.seek((page - 1) * 4096)
        file.write(content[(empty - 1) * 4096 : empty * 4096])


def with_another_state(path: Path) -> None:
    """A bit has flipped: rows that it recorded as accepted are something else."""
    content = path.read_bytes()
    place = content.index(b"accepted")
    with path.open("r+b") as file:
        file.seek(place)
        file.write(b"i")


@pytest.mark.parametrize(
    "harm",
    [
        lacking_a_column,
        lacking_a_table,
        overwritten,
        with_another_head,
        cut_off,
        mixed_up,
        with_an_empty_page,
        with_another_state,
    ],
)
def test_a_damaged_one(client: Any, plain: Any, box: Sandbox, journal: Path, harm: Callable[[Path], None]) -> None:
    copy = journal.read_bytes()
    harm(journal)
    said = refusal(client, plain, rows(95), journal=journal)
    assert "is damaged: " in said
    assert "Restore a copy of it. Without one it is not known which rows were accepted" in said
    journal.write_bytes(copy)
    assert client.datasets.ingest(plain, rows(95), journal=journal).ok
    # Or, without one:
    client.datasets.purge(plain)
    assert client.datasets.ingest(plain, rows(95), journal=journal.with_name("new")).ok
    assert stored(box, plain) == rows(95)


def test_no_folder(client: Any, plain: Any, tmp_path: Path) -> None:
    path = tmp_path / "no" / "journal"
    assert refusal(client, plain, rows(5), journal=path).endswith(
        f"there is no folder {tmp_path / 'no'}. Make it first."
    )
    path.parent.mkdir()
    assert client.datasets.ingest(plain, rows(5), journal=path).ok


def test_a_folder_that_takes_no_files(client: Any, plain: Any, box: Sandbox, tmp_path: Path) -> None:
    said = refusal(client, plain, rows(5), journal=Path("/proc/journal"))
    assert said.endswith("cannot be created: No such file or directory. Name a file in a folder you may write to.")
    assert client.datasets.ingest(plain, rows(5), journal=tmp_path / "journal").ok


def test_a_link_to_nothing(client: Any, plain: Any, box: Sandbox, tmp_path: Path) -> None:
    """Its disk may not be mounted, so a new journal in its place would store all rows again."""
    path = tmp_path / "journal"
    path.symlink_to(tmp_path / "disk" / "journal")
    said = refusal(client, plain, rows(5), journal=path)
    assert said.endswith("cannot be read: No such file or directory. Make it readable, then run again.")
    (tmp_path / "disk").mkdir()
    client.datasets.ingest(plain, rows(5), journal=tmp_path / "disk" / "journal")
    assert client.datasets.ingest(plain, rows(5), journal=path).ok
    assert stored(box, plain) == rows(5)


def test_a_file_system_without_links(
    client: Any, plain: Any, box: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def link(*_: object) -> None:
        raise PermissionError("Operation not permitted")  # as on FAT

    monkeypatch.setattr("os.link", link)
    path = tmp_path / "journal"
    for _ in range(2):
        assert client.datasets.ingest(plain, rows(5), journal=path).ok
    assert stored(box, plain) == rows(5)
    assert list(tmp_path.iterdir()) == [path]


def test_one_that_another_run_creates_at_the_same_moment_is_not_replaced(journal: Path) -> None:
    before = journal.read_bytes()
    _make(journal)
    assert journal.read_bytes() == before
    assert list(journal.parent.iterdir()) == [journal]


def test_a_folder(client: Any, plain: Any, tmp_path: Path) -> None:
    assert refusal(client, plain, rows(5), journal=tmp_path).endswith("is a folder. Name a file in it.")
    assert client.datasets.ingest(plain, rows(5), journal=tmp_path / "journal").ok


def test_one_that_may_not_be_written(journal: Path) -> None:
    with closing(sqlite3.connect(f"file:{journal}?mode=ro", uri=True)) as db:
        with pytest.raises(sqlite3.OperationalError) as caught:
            db.execute("delete from batches")
        said = str(_unusable(journal, caught.value))
    assert "cannot be opened for writing" in said
    assert said.endswith("Let this user write there, then run again.")


def test_a_disk_that_goes_away_is_told_from_one_that_is_full(journal: Path) -> None:
    """Reads and writes fail, as the file's descriptor is that of a folder."""
    with closing(JournalFile(journal)) as file:
        file._db.executescript("pragma cache_size = 1; pragma shrink_memory;")  # what is in memory can still be read
        folder = os.open(journal.parent, os.O_RDONLY)
        for each in os.listdir("/proc/self/fd"):
            with suppress(OSError):
                if os.path.samefile(f"/proc/self/fd/{each}", journal):
                    os.dup2(folder, int(each))
        os.close(folder)
        with pytest.raises(
            ConfigurationError, match=r"cannot be read: disk I/O error\. Check the disk, then run again"
        ):
            file.rows("select * from batches")
        with pytest.raises(ConfigurationError, match=r"disk I/O error\."):
            file.note("runs", "5")


FULL = """
import resource, signal, sys
from databox import Databox, IngestError
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
with Databox(rate_limit=None, max_retries=0) as client:
    rows = ({"id": n, "value": n / 8} for n in range(3000))
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (80_000, before[1]))
    try:
        client.datasets.ingest(sys.argv[1], rows, batch_size=10, journal=sys.argv[2], verify=None)
    except IngestError as error:
        print(error.report.accepted, error.report.ambiguous, error.__cause__)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)  # for what measures coverage
"""


@pytest.mark.slow
def test_a_full_disk(client: Any, plain: Any, box: Sandbox, tmp_path: Path) -> None:
    path = tmp_path / "journal"
    environ = os.environ | {"DATABOX_API_KEY": box.api_key, "DATABOX_API_URL": box.url}
    command = [sys.executable, "-W", "error", "-c", FULL, plain.id, str(path)]
    done = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=120, check=True)
    assert done.stderr == ""
    accepted, ambiguous, words = done.stdout.split(" ", 2)
    assert 0 < int(accepted) < 3000
    assert words.startswith(f"The journal {path} cannot be written: ")
    assert "Make room on the disk, then run again with the same journal. It holds" in words
    assert "starting anew would store them twice" in words
    # Now there is room.
    report = client.datasets.ingest(plain, rows(3000), journal=path, raise_on_failure=False)
    assert report.accepted == 3000 - report.ambiguous
    # Those whose answer arrived when nothing could be recorded any more: at most four batches are in flight.
    assert int(ambiguous) <= report.ambiguous <= int(ambiguous) + 40
    values = [row["id"] for row in box.rows(plain)]
    assert len(values) == len(set(values)) >= report.accepted
