"""A journal's file: how it is made and opened, and what may be wrong with it, with the one remedy for each."""

import os
import secrets
import sqlite3
from collections.abc import Generator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from databox.errors import ConfigurationError

__all__ = ["opened", "problem", "transaction", "unusable"]

_FORMAT = 2
_MARK = 0x44424A31
"""What SQLite calls the application id, by which a journal is told from other databases."""
_SCHEMA = f"""
pragma application_id = {_MARK};
pragma user_version = {_FORMAT};
create table about (name text primary key, value text not null) without rowid;
create table batches (
    number integer primary key, end_row integer not null, rows integer not null, max_batch_bytes integer not null,
    digest blob not null, run integer not null, state text not null, ingestion_id text, error text, shares text,
    rejected text, ordered integer not null default 1, lost text);
create table keys (key blob, row integer, batch integer not null, primary key (key, row)) without rowid;
create index keys_by_batch on keys (batch);
create table left_out (
    row integer primary key, batch integer not null, outcome text not null, error text, by_row integer not null);
create index left_out_by_batch on left_out (batch);
create table letter_files (file text primary key) without rowid;
create table letters (file text, row integer, run integer, digest blob, primary key (file, row, run)) without rowid;
"""
_NO_JOURNAL = "is no journal, and was left as it is. Name a path where there is no file yet."

_DAMAGED = (
    "is damaged: {}. Put a copy of it back. Without one nobody knows which rows were accepted: where there are no "
    "primary keys, purge the dataset before all rows are sent again."
)


def _make(path: Path) -> None:
    """Make a journal, whole or not at all, so that no half one is ever taken for one."""
    if not path.parent.is_dir():
        raise problem(path, f"cannot be made: there is no folder {path.parent}. Make it first.")
    new = path.with_name(f"{path.name}.{secrets.token_hex(4)}.new")
    try:
        os.close(os.open(new, os.O_CREAT | os.O_EXCL, 0o600))  # it is nobody else's to read
        with closing(sqlite3.connect(new, isolation_level=None)) as db:
            db.executescript(_SCHEMA)
        try:
            os.link(new, path)  # unlike a rename it never replaces what another run has just made
        except FileExistsError:
            pass
        except OSError:  # some file systems have no links
            if not os.path.lexists(path):
                new.rename(path)
    except sqlite3.Error as error:
        raise unusable(path, error) from None
    except OSError as error:
        raise problem(path, f"cannot be made: {error.strerror}. Name a path where you may write.") from None
    finally:
        with suppress(OSError):
            new.unlink(missing_ok=True)


def opened(path: Path) -> sqlite3.Connection:
    """Open a journal, made if there is none, for this run alone.

    Raises:
        ConfigurationError: it cannot be used, and why.
    """
    if not os.path.lexists(path):
        _make(path)
    if path.is_dir():
        raise problem(path, "is a folder. Name a file in it.")
    if path.is_file() and not path.stat().st_size:
        raise problem(
            path,
            "is an empty file, which no run leaves behind. Name a path where there is no file yet; but if runs have "
            "used this one, find out first what became of it, since without it all rows would be sent again.",
        )
    try:
        db = sqlite3.connect(path, isolation_level=None, timeout=0.5, check_same_thread=False)
        try:
            db.execute("pragma locking_mode = exclusive")  # until it is closed: no two runs write to one journal
            db.execute("pragma synchronous = full")
            db.execute("begin exclusive")
            db.execute("commit")
            _check_format(path, db)
        except BaseException:
            db.close()
            raise
    except sqlite3.Error as error:
        raise unusable(path, error) from None
    return db


def _check_format(path: Path, db: sqlite3.Connection) -> None:
    found = _layout(db)
    mark, version = (db.execute(f"pragma {name}").fetchone()[0] for name in ("application_id", "user_version"))
    if mark != _MARK and not {"about", "batches"} <= found.keys():
        raise problem(path, _NO_JOURNAL)
    if (mark, version) != (_MARK, _FORMAT):
        raise problem(
            path,
            f"was made by another version of this package, in format {version or 1}, and this one knows {_FORMAT}. "
            "Go on with that version.",
        )
    with closing(sqlite3.connect(":memory:")) as fresh:
        fresh.executescript(_SCHEMA)
        if found != _layout(fresh):
            raise problem(path, _DAMAGED.format("its tables are not as they were made"))


def _layout(db: sqlite3.Connection) -> dict[str, str]:
    return dict(db.execute("select name, coalesce(sql, '') from sqlite_master"))


@contextmanager
def transaction(db: sqlite3.Connection) -> Generator[None]:
    """Do all of what is in the block or nothing."""
    if db.in_transaction:  # an interrupt came in the midst of another one
        db.execute("rollback")
    db.execute("begin")
    try:
        yield
    except BaseException:
        with suppress(sqlite3.Error):
            db.execute("rollback")
        raise
    db.execute("commit")


def unusable(path: Path, error: sqlite3.Error) -> ConfigurationError:
    """The error for what SQLite says, with the one remedy that there is."""
    name = getattr(error, "sqlite_errorname", "").removeprefix("SQLITE_")
    if name.startswith("BUSY"):
        return problem(path, "is used by another run. Wait until that has ended, then run again.")
    if name == "NOTADB":
        return problem(path, _NO_JOURNAL)
    if name in {"FULL"} or name.startswith("IOERR"):
        return problem(
            path, f"cannot be written: {error}. Make room on the disk, then run again with the same journal."
        )
    if name.startswith(("READONLY", "CANTOPEN", "PERM", "AUTH")):
        return problem(path, f"cannot be opened for writing: {error}. Let this user write there, then run again.")
    return problem(path, _DAMAGED.format(error))


def problem(path: Path, what: str) -> ConfigurationError:
    """Return the error that says what is wrong with a journal."""
    return ConfigurationError(f"The journal {path} {what}")
