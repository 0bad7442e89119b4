"""The file of a journal: creates and opens it, and explains what may be wrong with it, with a remedy for each."""

import os
import secrets
import sqlite3
import stat
import threading
from collections.abc import Generator, Iterable
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any, cast

from databox.databases import beside, cause_of, is_database, layout_of, part_of
from databox.errors import ConfigurationError
from databox.paths import lack_at
from databox.wording import message

__all__ = ["JournalFile", "Statement", "problem", "transaction"]

Statement = tuple[str, Iterable[tuple[object, ...]]]

_FORMAT = 3
_MARK = 0x44424A31
"""SQLite's application id, which distinguishes a journal from other databases."""
_SCHEMA = f"""
pragma application_id = {_MARK};
pragma user_version = {_FORMAT};
create table about (name text primary key, value text not null) without rowid;
create index about_again on about (value, name);
create table batches (
    number integer primary key, end_row integer not null, rows integer not null, max_batch_bytes integer not null,
    digest blob not null, run integer not null, state text not null, ingestion_id text, error text, shares text,
    rejected text, ordered integer not null default 1, lost text);
create index batches_again on batches (number, end_row, rows, max_batch_bytes,
    digest, run, state, ingestion_id, error, shares, rejected, ordered, lost);
create table keys (key blob, row integer, batch integer not null, primary key (key, row)) without rowid;
create index keys_by_batch on keys (batch);
create table left_out (
    row integer primary key, batch integer not null, outcome text not null, error text, by_row integer not null);
create index left_out_by_batch on left_out (batch, row, outcome, error, by_row);
create table letter_files (file text primary key) without rowid;
create table letters (file text, row integer, run integer, digest blob, primary key (file, row, run)) without rowid;
"""
"""SQLite has no checksums. So what decides what is sent is stored in an index as well: damage to one of the two makes
them differ, and `pragma integrity_check` reports it."""
_NO_JOURNAL = "is not a journal, and was left unchanged. Name a file that does not exist yet."

_UNREADABLE = ("IOERR_READ", "IOERR_SHORT_READ")
_NO_ROOM = ("FULL", "IOERR")
_DAMAGED = (
    "is damaged: {}. Restore a copy of it. Without one it is not known which rows were accepted: without primary keys, "
    "purge the dataset before you send all rows again."
)


class JournalFile:
    """The file of a journal, open for this run only. Safe to use from any thread.

    Raises:
        ConfigurationError: it cannot be used, and why.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        if not os.path.lexists(path):
            _make(path)
        _look_at(path)
        try:
            self._db = sqlite3.connect(path, isolation_level=None, timeout=0.5, check_same_thread=False)
            try:
                _claim(path, self._db)
            except BaseException:
                self.close()
                raise
        except sqlite3.Error as error:
            raise _unusable(path, error) from None

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def __del__(self) -> None:
        # An interrupt may come before anybody has it, and a connection that is merely forgotten keeps its lock.
        if hasattr(self, "_db"):
            self.close()

    def rows(self, query: str, *values: object) -> list[Any]:
        """Return the rows of a query."""
        try:
            with self._lock:
                return self._db.execute(query, values).fetchall()
        except sqlite3.Error as error:
            raise _unusable(self._path, error) from None

    def row(self, query: str, *values: object) -> Any:
        """Return the first row of a query."""
        return self.rows(query, *values)[0]

    def write(self, *statements: Statement) -> None:
        """Run a statement, atomically."""
        try:
            with self._lock, transaction(self._db):
                for query, rows in statements:
                    self._db.executemany(query, rows)
        except sqlite3.Error as error:
            doubled = ""
            with suppress(ConfigurationError):  # it may not be readable either
                doubled = self.doubled()
            raise _unusable(self._path, error, doubled) from None

    def value(self, name: str) -> str | None:
        """Return the value of a name."""
        found = self.rows("select value from about where name = ?", name)
        return cast("str", found[0][0]) if found else None

    def note(self, name: str, value: str) -> str:
        """Store a value under a name, and return it."""
        self.write(("insert or replace into about values (?, ?)", [(name, value)]))
        return value

    def renumber(self) -> None:
        """Renumber the batches in row order, because an earlier run split some of them."""
        found = self.rows("select number from batches order by end_row")
        moved = [(place, number) for place, (number,) in enumerate(found) if place != number]
        if not moved:
            return
        tables = {"batches": "number", "keys": "batch", "left_out": "batch"}
        # Through negative numbers, so that no two ever have the same.
        aside: list[Statement] = [
            (f"update {table} set {name} = -1 - ? where {name} = ?", moved) for table, name in tables.items()
        ]
        back: list[Statement] = [
            (f"update {table} set {name} = -1 - {name} where {name} < 0", [()]) for table, name in tables.items()
        ]
        self.write(*aside, *back)

    def doubled(self) -> str:
        """Say how many rows would be stored twice without this journal; empty if none would."""
        accepted = self.row(
            "select coalesce(sum(rows), 0) - (select count(*) from left_out join batches on number = batch "
            "where state = 'accepted') from batches where state = 'accepted'"
        )[0]
        if self.value("primary keys") or not accepted:
            return ""
        rows = "1 accepted row" if accepted == 1 else f"{accepted:,} accepted rows"
        return f" It holds {rows}; without primary keys, starting anew would store them twice."


def _make(path: Path) -> None:
    """Create a journal atomically, so that a partial file is never taken for one."""
    if lack := lack_at(path):
        raise problem(path, message("cannot be made: ", lack))
    if base := part_of(path):
        raise problem(path, f"is named like a part of the database {base}, and would be deleted with it. Name another.")
    new = path.with_name(f"{path.name}.{secrets.token_hex(4)}.new")
    try:
        os.close(os.open(new, os.O_CREAT | os.O_EXCL, 0o600))  # nobody else may read it
        with closing(sqlite3.connect(new, isolation_level=None)) as db:
            db.executescript(_SCHEMA)
        try:
            os.link(new, path)  # unlike a rename, it never replaces a file that another run has just created
        except OSError:  # it has, or the file system does not support links
            if not os.path.lexists(path):
                new.rename(path)
    except sqlite3.Error as error:
        raise _unusable(path, error) from None
    except OSError as error:
        raise problem(path, f"cannot be created: {error.strerror}. Name a file in a folder you may write to.") from None
    finally:
        with suppress(OSError):
            new.unlink(missing_ok=True)


def _claim(path: Path, db: sqlite3.Connection) -> None:
    """Lock a journal, and check that it is one."""
    db.execute("pragma locking_mode = exclusive")  # until it is closed: no two runs write to one journal
    db.execute("pragma synchronous = full")
    db.execute("begin exclusive")
    db.execute("commit")
    _check_format(path, db)


def _look_at(path: Path) -> None:
    """Refuse what is no journal before SQLite opens it."""
    try:
        found, is_ours = path.stat(), is_database(path)
    except OSError as error:
        raise problem(path, f"cannot be read: {error.strerror}. Make it readable, then run again.") from None
    if stat.S_ISDIR(found.st_mode):
        raise problem(path, "is a folder. Name a file in it.")
    if stat.S_ISREG(found.st_mode) and not found.st_size:
        raise problem(
            path,
            "is an empty file, which no run leaves behind. Name a file that does not exist yet; but if runs have used "
            "this one, find out first what happened to it, because without it all rows would be sent again.",
        )
    if not is_ours:
        raise problem(path, _NO_JOURNAL)
    if other := beside(path):
        raise problem(
            path, f"cannot be used while {other} is beside it: SQLite would delete that. Move it, then run again."
        )


def _check_format(path: Path, db: sqlite3.Connection) -> None:
    found = layout_of(db)
    mark, version = (db.execute(f"pragma {name}").fetchone()[0] for name in ("application_id", "user_version"))
    if mark != _MARK and not {"about", "batches"} <= found.keys():
        raise problem(path, _NO_JOURNAL)
    if (mark, version) != (_MARK, _FORMAT):
        raise problem(
            path,
            f"was written by another version of this package, in format {version or 1}; this version reads {_FORMAT}. "
            "Continue with that version.",
        )
    with closing(sqlite3.connect(":memory:")) as fresh:
        fresh.executescript(_SCHEMA)
        if found != layout_of(fresh):
            raise problem(path, _DAMAGED.format("its tables were changed"))
    # On its own, SQLite notices only what it happens to read: an empty page looks like a table without rows.
    said = db.execute("pragma integrity_check(1)").fetchone()[0]
    if said != "ok":
        raise problem(path, _DAMAGED.format(" ".join(said.split())))


@contextmanager
def transaction(db: sqlite3.Connection) -> Generator[None]:
    """Run the block as a transaction."""
    db.rollback()  # if there is one that an interrupt left open
    db.execute("begin")
    with db:  # which commits, or rolls back
        yield


def _unusable(path: Path, error: sqlite3.Error, doubled: str = "") -> ConfigurationError:
    """The error for an SQLite error, with its only remedy."""
    name = cause_of(error)
    if name.startswith("BUSY"):
        return problem(path, "is in use by another run. Wait until that has ended, then run again.")
    if name.startswith(_UNREADABLE):
        return problem(path, f"cannot be read: {error}. Check the disk, then run again with the same journal.")
    if name.startswith(_NO_ROOM):
        remedy = "Make room on the disk, then run again with the same journal."
        return problem(path, f"cannot be written: {error}. {remedy}{doubled}")
    if name.startswith(("READONLY", "CANTOPEN", "PERM", "AUTH")):
        return problem(path, f"cannot be opened for writing: {error}. Let this user write there, then run again.")
    return problem(path, _DAMAGED.format(error))


def problem(path: Path, what: str) -> ConfigurationError:
    """Return the error that says what is wrong with a journal."""
    return ConfigurationError(message(f"The journal {path} ", what))
