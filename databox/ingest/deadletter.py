"""The rows that were not stored, and why; those that may be sent again, in a form that `ingest` accepts.

The outcome of a row may be known only at the end of a run, so all rows are kept in a temporary file until then.
"""

import errno
import os
import sqlite3
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

import attrs

from databox.errors import ConfigurationError
from databox.ingest.batch import Batch
from databox.ingest.journal import Journal
from databox.ingest.journal_file import transaction
from databox.ingest.letter_files import Letter, LetterFiles, Own, digest_of
from databox.ingest.resume import LeftOut, Refused
from databox.ingest.run import Run
from databox.paths import lack_at
from databox.wording import message

__all__ = ["DeadLetters"]

_FULL = (errno.ENOSPC, errno.EDQUOT)

_SCHEMA = """
pragma journal_mode = off;
pragma synchronous = off;
pragma locking_mode = exclusive;
create table rows (
    row integer primary key, batch integer, data blob, key blob, outcome text, reason text, by_row integer);
"""
_ENDS = """
drop table if exists batches;
drop table if exists rejected;
drop table if exists newest;
create table batches (
    number integer primary key, outcome text, reason text, made text not null, again integer not null);
create table rejected (row integer primary key);
create table newest (key blob primary key, sure integer, possible integer, batch integer) without rowid;
"""
_NEWEST = """
insert into newest
select key,
    max(iif(made = 'yes' and row not in (select row from rejected), row, null)),
    max(iif(made = 'some', row, null)), max(iif(made = 'some', batch, null))
from rows join batches on number = batch where made <> 'no' and key is not null group by key
"""
_LETTERS = """
select row, data, coalesce(batches.outcome, rows.outcome), coalesce(batches.reason, rows.reason, ''),
    coalesce(again, rows.outcome <> 'invalid'), sure, iif(newest.batch is not rows.batch, possible, null), by_row
from rows left join batches on number = rows.batch left join newest on newest.key = rows.key
where rows.batch is null or made <> 'yes' or row in (select row from rejected) order by row
"""
_MEANING = {
    "failed": "It was refused, or all attempts failed.",
    "ambiguous": "It was sent, but the answer was lost: it may be stored.",
    "unsent": "It was not tried.",
}


class DeadLetters:
    """Keeps all rows of a run, and writes those that were not stored.

    Args:
        path: the file of rows that may be sent again; `<path>.reasons.jsonl` lists all, and why. Both are appended to.
        run_id: distinguishes this run's lines from those of others.
        keyed: whether the dataset has primary keys.

    Raises:
        ConfigurationError: the file cannot be written.
    """

    def __init__(self, path: Path, run_id: str, *, keyed: bool) -> None:
        self._files = LetterFiles(path)
        self.path = self._files.path
        self._run_id = run_id
        self._keyed = keyed
        try:
            self._files.check()  # to fail now, and not at the end
            handle, name = tempfile.mkstemp(".spool", f".{self.path.name}.", self.path.parent)
            os.close(handle)
            self._spool = Path(name)
            self._db = sqlite3.connect(name, isolation_level=None, check_same_thread=False)
            try:
                self._db.executescript(_SCHEMA)
            except sqlite3.Error:
                self.close()
                raise
            with suppress(OSError):  # so that nothing is left if the process is killed; not possible on Windows
                self._spool.unlink()
        except (OSError, sqlite3.Error) as error:
            raise self._problem(error) from None

    def keep(self, number: int, batch: Batch) -> None:
        """Keep the rows of a batch until its outcome is known."""
        columns = zip(batch.indexes, batch.rows, batch.row_keys, strict=True)
        self._insert((index, number, row, key, None, None, None) for index, row, key in columns)

    def keep_left_out(self, batch: Batch, left_out: Iterable[LeftOut]) -> None:
        """Keep rows of a batch that are not sent again, because newer rows with the same keys were accepted."""
        ended = {left.index: left for left in left_out}
        columns = zip(batch.indexes, batch.rows, batch.row_keys, strict=True)
        self._insert(
            (index, None, row, key, ended[index].outcome, ended[index].error, ended[index].by)
            for index, row, key in columns
            if index in ended
        )

    def keep_invalid(self, index: int, row: bytes | str, reason: str) -> None:
        """Keep a row that cannot be sent: encoded, or as text."""
        self._insert([(index, None, row, None, "invalid", reason, None)])

    def write(self, run: Run, journal: Journal | None, *, before: int, refused: Refused | None) -> None:
        """Write the letters of a finished run, which replace those that earlier runs of its journal wrote.

        Args:
            run: the outcomes of the rows.
            journal: the run's journal.
            before: letters that earlier runs wrote for rows from this position on stay.
            refused: the row from which on the journal refused the input.

        Raises:
            ConfigurationError: the disk is full, or similar; the files are unchanged.
        """
        try:
            self._settle(run)
            if journal is None:
                self._files.add(self._letters(run, refused), self._run_id)
                return
            files = journal.letter_files()
            # In advance, so that they are found again if the process is killed in between.
            again = ((each.index, digest_of(each.row)) for each in self._letters(run, refused) if each.again)
            try:
                journal.writes_letters(self.path, again)
            except ConfigurationError:
                # A later run would not find these lines. So no row is offered for sending again, but each is listed.
                told = (attrs.evolve(letter, again=False) for letter in self._letters(run, refused))
                self._files.add(told, self._run_id)
                raise
            kept: list[tuple[int, bytes]] = []
            if journal.is_new:
                self._files.add(self._letters(run, refused), self._run_id)
            else:
                own = Own(journal.letters(self.path), before)
                kept = self._files.replace(self._letters(run, refused), self._run_id, own)
            journal.wrote_letters(self.path, kept)
            for other in files:
                if other != self.path:  # an earlier run wrote them to another file
                    kept = []
                    if other.parent.is_dir():  # otherwise they are lost with it
                        kept = LetterFiles(other).replace((), self._run_id, Own(journal.letters(other), before))
                    journal.wrote_letters(other, kept)
        except (OSError, sqlite3.Error) as error:
            raise self._problem(error) from None

    def close(self) -> None:
        """Remove the temporary file of rows."""
        self._db.close()
        self._spool.unlink(missing_ok=True)

    def _settle(self, run: Run) -> None:
        """Record the outcome of each batch."""
        self._db.executescript(_ENDS)
        with transaction(self._db):
            for number in run.numbers():
                end = (number, *_end_of(run, number, keyed=self._keyed))
                self._db.execute("insert into batches values (?, ?, ?, ?, ?)", end)
                self._db.executemany("insert into rejected values (?)", ((row,) for row in run.rejected(number)))
            self._db.execute(_NEWEST)

    def _letters(self, run: Run, refused: Refused | None) -> Iterator[Letter]:
        """Iterate over the letters in the order of the source."""
        for row, data, outcome, reason, again, sure, possible, by in self._db.execute(_LETTERS):
            if refused and row >= refused.row:
                again, reason = False, f"{reason} {refused.why}"
            # A row that was not read this time is known only to the journal.
            accepted = max(sure if sure is not None else -1, by if by is not None and by >= run.rows else -1)
            if outcome != "invalid" and max(accepted, possible or -1) > row:
                again, reason = False, f"{reason} {_overtaken(accepted, possible, row)}"
            yield Letter(row, outcome, reason, data, bool(again))

    def _insert(self, rows: Iterable[tuple[object, ...]]) -> None:
        try:
            with transaction(self._db):
                self._db.executemany("insert or replace into rows values (?, ?, ?, ?, ?, ?, ?)", rows)
        except sqlite3.Error as error:
            raise self._problem(error) from None

    def _problem(self, error: Exception) -> ConfigurationError:
        what = getattr(error, "strerror", None) or error
        full = getattr(error, "errno", None) in _FULL or getattr(error, "sqlite_errorname", None) == "SQLITE_FULL"
        remedy = "Free disk space there, or name another file." if full else "Name another file."
        return ConfigurationError(
            message(f"The dead letters cannot be written to {self.path}: ", lack_at(self.path) or f"{what}. {remedy}")
        )


def _end_of(run: Run, number: int, *, keyed: bool) -> tuple[str, str, str, bool]:
    """The outcome of a batch.

    Returns:
        The outcome of rows that were not stored, the reason, whether they were stored ("yes", except for known rejected
        ones; "some", but unknown which; "no"), and whether they may be sent again.
    """
    outcome, shares, error = run.outcome(number)
    said = str(error) if error else ""
    rejected = run.rejected(number)
    if outcome != "accepted":
        # Without keys, it is unknown whether sending them again would duplicate them.
        return outcome or "unsent", said or _MEANING[outcome or "unsent"], "no", outcome != "ambiguous" or keyed
    if not shares.rejected or rejected:
        return "rejected", said, "yes", True
    if shares.rejected == run.rows_of(number):  # by the status alone; not enough to send them again without keys
        return "rejected", said, "no", keyed
    some = (
        f"Of this batch's {run.rows_of(number)} rows {shares.rejected} were rejected, but the API does not say which."
    )
    return "rejected", f"{some} {said}".strip(), "some", keyed


def _overtaken(accepted: int, possible: int | None, row: int) -> str:
    if accepted > row:
        return f"Not to be sent again: row {accepted}, which is newer and has the same key, was accepted."
    return f"Not to be sent again: row {possible}, which is newer and has the same key, may have been stored."
