"""What was sent, kept in a file, so that a second run goes on where the first stopped.

A line is written before a batch goes out and another one after its answer. Whatever kills the process in between, the
next run knows which batches were accepted, and which may have been.
"""

import hashlib
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import attrs

from databox.errors import ConfigurationError
from databox.ingest.batch import Batch
from databox.ingest.settle import Shares
from databox.report import Outcome

__all__ = ["Entry", "Journal"]

_VERSION = "1"
_SCHEMA = """
create table if not exists about (name text primary key, value text not null);
create table if not exists batches (
    number integer primary key, end_row integer not null, rows integer not null, digest blob not null,
    state text not null, ingestion_id text,
    appended integer not null default 0, overwritten integer not null default 0, rejected integer not null default 0,
    unverified integer not null default 0);
"""


@attrs.frozen
class Entry:
    """What an earlier run did with a batch. `state` is `sending` when no answer was noted."""

    number: int
    end_row: int
    digest: bytes
    state: str
    ingestion_id: str | None
    shares: Shares


class Journal:
    """The journal of one input into one dataset. Safe to use from any thread.

    Args:
        path: the file; made when it is not there.
        about: what must be the same in each run, such as the dataset.

    Raises:
        ConfigurationError: the file is no journal, in use, or belongs to something else.
    """

    def __init__(self, path: str | Path, about: dict[str, str]) -> None:
        self.path = Path(path)
        self._lock = threading.Lock()
        try:
            self._db = sqlite3.connect(self.path, isolation_level=None, timeout=0.5, check_same_thread=False)
        except sqlite3.Error as error:
            raise self._problem(f"cannot be opened: {error}") from None
        try:
            # Held until it is closed, so that no two runs write to one journal.
            self._db.execute("pragma locking_mode = exclusive")
            self._db.execute("pragma synchronous = full")
            self._db.executescript(_SCHEMA)
            self._check(about | {"version": _VERSION})
        except sqlite3.Error as error:
            self._db.close()
            what = "is used by another run" if "locked" in str(error) else f"cannot be used: {error}"
            raise self._problem(what) from None
        except ConfigurationError:
            self._db.close()
            raise
        self._known = {entry.number: entry for entry in self._entries()}

    def close(self) -> None:
        """Let go of the file."""
        self._db.close()

    @property
    def ends(self) -> list[int]:
        """Where the batches of earlier runs ended."""
        return [entry.end_row for _, entry in sorted(self._known.items())]

    def entry(self, number: int, batch: Batch) -> Entry | None:
        """Return what an earlier run did with this batch, or None.

        Raises:
            ConfigurationError: it held other rows then, so the input has changed.
        """
        entry = self._known.get(number)
        if entry is None:
            if self._finished() is not None:
                raise self._problem("was finished, and the input has more rows now")
            return None
        if entry.digest != _digest(batch):
            raise self._problem(f"belongs to another input: the rows from {batch.first_row} on are not the same")
        return entry

    def ended(self, batches: int) -> None:
        """The source came to its end after so many batches.

        Raises:
            ConfigurationError: an earlier run sent more.
        """
        if batches < len(self._known):
            raise self._problem("belongs to another input, which had more rows")
        self._write("insert or replace into about values ('batches', ?)", (str(batches),))

    def sending(self, number: int, batch: Batch) -> None:
        """Note that a batch goes out."""
        row = (number, batch.indexes[-1] + 1, len(batch.rows), _digest(batch))
        self._write(
            "insert or replace into batches (number, end_row, rows, digest, state) values (?, ?, ?, ?, 'sending')", row
        )

    def answered(self, number: int, outcome: Outcome, ingestion_id: str | None) -> None:
        """Note what became of it."""
        query = (
            "update batches set state = ?, ingestion_id = ?, unverified = iif(? = 'accepted', rows, 0) where number = ?"
        )
        self._write(query, (outcome, ingestion_id, outcome, number))

    def verified(self, number: int, shares: Shares) -> None:
        """Note what the server made of it."""
        query = "update batches set appended = ?, overwritten = ?, rejected = ?, unverified = ? where number = ?"
        open_ = shares.unverified + shares.uncounted  # without a count a later run asks again
        self._write(query, (shares.appended, shares.overwritten, shares.rejected, open_, number))

    def value(self, name: str) -> str | None:
        """Return what was noted under a name."""
        with self._lock:
            row = self._db.execute("select value from about where name = ?", (name,)).fetchone()
        return cast("str", row[0]) if row else None

    def note(self, name: str, value: str) -> None:
        """Note something under a name."""
        self._write("insert or replace into about values (?, ?)", (name, value))

    def _write(self, query: str, values: tuple[object, ...]) -> None:
        try:
            with self._lock:
                self._db.execute(query, values)
        except sqlite3.Error as error:
            raise self._problem(f"cannot be written: {error}") from None

    def _check(self, about: dict[str, str]) -> None:
        for name, value in about.items():
            noted = self.value(name)
            if noted is None:
                self._db.execute("insert into about values (?, ?)", (name, value))
            elif noted != value:
                raise self._problem(f"belongs to another {name}: {noted}, not {value}")

    def _finished(self) -> str | None:
        return self.value("batches")

    def _entries(self) -> Iterator[Entry]:
        query = "select number, end_row, digest, state, ingestion_id, appended, overwritten, rejected, unverified"
        for number, end_row, digest, state, ingestion_id, *shares in self._db.execute(f"{query} from batches"):
            yield Entry(number, end_row, digest, state, ingestion_id, Shares(*shares))

    def _problem(self, what: str) -> ConfigurationError:
        return ConfigurationError(
            f"The journal {self.path} {what}. Use another path, or remove the file to start anew."
        )


def _digest(batch: Batch) -> bytes:
    return hashlib.blake2b(batch.body, digest_size=16).digest()
