"""The database of a world, in a file or in memory."""

import os
import sqlite3
from contextlib import suppress
from pathlib import Path

__all__ = ["emptied", "opened"]

_SCHEMA = """
create table data_sources (
    id integer primary key autoincrement, account_id integer not null, title text not null, created text not null,
    timezone text not null);
create table datasets (
    id text primary key, data_source_id integer not null references data_sources on delete cascade,
    title text not null, created text not null, primary_keys text not null,
    row_count integer not null default 0, size integer not null default 0);
create table columns (
    dataset_id text not null references datasets on delete cascade, name text not null, type text not null,
    primary key (dataset_id, name)) without rowid;
create table rows (
    number integer primary key autoincrement, dataset_id text not null references datasets on delete cascade,
    key text, record text not null);
create unique index rows_by_key on rows (dataset_id, key);
create table ingestions (
    number integer primary key autoincrement, id text not null unique,
    dataset_id text not null references datasets on delete cascade, timestamp text not null,
    ready_at real not null, polls integer not null default 0, records text, answer text);
create index ingestions_by_dataset on ingestions (dataset_id, number);
create index open_ingestions on ingestions (number) where records is not null;
"""
_TABLES = ("ingestions", "rows", "columns", "datasets", "data_sources", "sqlite_sequence")
_FIRST_DATA_SOURCE = 4754489
_OURS = 0x44425832
"""Marks a file as a sandbox's; change it with the schema."""


def opened(state: str | Path | None) -> sqlite3.Connection:
    """Return the database in a file, or in memory, with its tables created.

    Raises:
        ValueError: the file cannot be used, or is something else.
    """
    db = None
    if state and not os.path.exists(state):
        with suppress(OSError):  # SQLite's error is more precise
            os.close(os.open(os.path.realpath(state), os.O_CREAT | os.O_EXCL, 0o600))  # nobody else may read it
    try:
        db = sqlite3.connect(state or ":memory:", check_same_thread=False)
        _prepare(db)
    except (sqlite3.Error, ValueError) as error:
        if db:
            db.close()
        raise ValueError(f"The state file {str(state)!r} cannot be used: {error}.") from None
    return db


def emptied(db: sqlite3.Connection) -> None:
    """Remove all rows, and number data sources starting with the reference's example."""
    for table in _TABLES:
        db.execute(f"delete from {table}")
    db.execute("insert into sqlite_sequence values ('data_sources', ?)", (_FIRST_DATA_SOURCE - 1,))


def _prepare(db: sqlite3.Connection) -> None:
    if db.execute("pragma application_id").fetchone()[0] != _OURS:
        if db.execute("select count(*) from sqlite_master").fetchone()[0]:
            raise ValueError("it was not written by a sandbox, or by another version")
        db.executescript(f"{_SCHEMA} pragma application_id = {_OURS};")
        with db:
            emptied(db)
    # The sandbox's file need not survive a crash of the machine, so requests do not wait for the disk.
    db.executescript("pragma journal_mode = wal; pragma synchronous = off; pragma foreign_keys = on;")
    db.row_factory = sqlite3.Row
