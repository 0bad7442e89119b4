"""What SQLite would do to files that are not its own: looked at before it opens one.

It takes `x-journal` and `x-wal` for parts of a database `x`, whatever they are, and deletes them. It makes a database
of a file of one byte, and waits for a pipe. Source: https://sqlite.org/tempfiles.html
"""

import sqlite3
from contextlib import closing, suppress
from pathlib import Path
from typing import NamedTuple

__all__ = ["beside", "cause_of", "is_database", "layout_of", "part_of"]

_START = b"SQLite format 3\0"
_SMALLEST = 512
"""Bytes of the smallest page, and so of the smallest database."""
_PARTS = ("-journal", "-wal")
_ROLLBACK = (b"\xd9\xd5\x05\xf9\x20\xa1\x63\xd7", b"\0" * 8)
"""How SQLite's own journals begin, before and after a transaction. We never ask for a write-ahead log."""


def is_database(path: Path) -> bool:
    """Whether a file is an SQLite database, perhaps damaged; its locks stay as they are.

    To open it in any other way, and close it, would release all locks that this process has on it. Source:
    https://sqlite.org/howtocorrupt.html, section 2.2.

    Raises:
        OSError: it cannot be read.
    """
    if not path.is_file():
        return False
    if path.stat().st_size >= _SMALLEST:
        try:
            with closing(sqlite3.connect(f"{path.absolute().as_uri()}?immutable=1", uri=True)) as db:
                db.execute("pragma schema_version")
        except sqlite3.Error as error:
            if cause_of(error) not in ("NOTADB", "CANTOPEN"):
                return True
        else:
            return True
    with path.open("rb") as file:  # no connection of this process has it as a database
        return file.read(len(_START)) == _START


def beside(path: Path) -> Path | None:
    """Return the file beside a database that SQLite would take for a part of it, although it is not."""
    for other in (path.with_name(path.name + part) for part in _PARTS):
        with suppress(OSError):  # there is none, or SQLite cannot delete it either
            if _is_strange(other):
                return other
    return None


def part_of(path: Path) -> Path | None:
    """Return the database that SQLite would take a file for a part of, by its name."""
    for part in _PARTS:
        base = path.with_name(path.name.removesuffix(part) or path.name)
        with suppress(OSError):
            if base != path and is_database(base):
                return base
    return None


def layout_of(db: sqlite3.Connection) -> dict[str, str]:
    """Return what a database consists of: by name, how each table and index was made."""
    return dict(db.execute("select name, coalesce(sql, '') from sqlite_master"))


def cause_of(error: Exception) -> str:
    """Return SQLite's own name for an error, such as `NOTADB`; empty if it is not one of SQLite's."""
    return getattr(error, "sqlite_errorname", "").removeprefix("SQLITE_")


class _State(NamedTuple):
    size: int
    number: int
    changed: int


def _state(path: Path) -> _State:
    found = path.stat()
    return _State(found.st_size, found.st_ino, found.st_mtime_ns)


def _is_strange(path: Path) -> bool:
    """Whether a file is not SQLite's own, which comes and goes with each transaction, perhaps just now."""
    for _ in range(100):
        found = _state(path)
        if not found.size or _is_rollback_journal(path):
            return False
        if found == _state(path):
            break
    return True


def _is_rollback_journal(path: Path) -> bool:
    if not path.name.endswith("-journal") or is_database(path):
        return False
    with path.open("rb") as file:
        start = file.read(8)
    return any(mark.startswith(start) for mark in _ROLLBACK)
