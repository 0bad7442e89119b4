"""The rows that did not make it, in a file that `ingest` takes back, and beside it why.

What becomes of a row may be known only at the very end, so all rows wait in a file of their own until then.
"""

import json
import sqlite3
from collections.abc import Iterable, Iterator
from pathlib import Path

import attrs

from databox.errors import ConfigurationError
from databox.ingest.batch import Batch
from databox.ingest.run import Run

__all__ = ["DeadLetters"]

_SCHEMA = """
create table rows (number integer primary key, batch integer, data blob, key blob, reason text);
create index rows_by_key on rows (key);
"""


@attrs.frozen
class _Letter:
    row: int
    data: bytes | None
    reason: str
    overtaken: bool = False


class DeadLetters:
    """Keeps all rows of a run, and writes those that did not make it.

    Args:
        path: JSON Lines of the rows; `<path>.reasons.jsonl` says why, line by line. Both are appended to: what is there
            is still to be dealt with.

    Raises:
        ConfigurationError: nothing can be written there.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.reasons = self.path.with_name(self.path.name + ".reasons.jsonl")
        self._spool = self.path.with_name(self.path.name + ".spool")
        try:
            self._spool.unlink(missing_ok=True)
            with self.path.open("ab"), self.reasons.open("ab"):
                pass  # to learn now, and not at the end, that nothing can be written
            self._db = sqlite3.connect(self._spool, isolation_level=None, check_same_thread=False)
            self._db.executescript(f"pragma journal_mode = off; pragma synchronous = off; {_SCHEMA}")
        except (OSError, sqlite3.Error) as error:
            raise self._problem(error) from None

    @property
    def offsets(self) -> str:
        """Where this run's lines will begin, to be kept for a later run of the same journal."""
        return f"{self.path.stat().st_size} {self.reasons.stat().st_size}"

    def start_again_at(self, offsets: str) -> None:
        """Take away what an earlier run of the same journal wrote; this run tells of all its rows again."""
        for path, offset in zip((self.path, self.reasons), offsets.split(), strict=True):
            with path.open("r+b") as file:
                file.truncate(min(int(offset), path.stat().st_size))

    def keep(self, number: int, batch: Batch) -> None:
        """Keep the rows of a batch until its outcome is known."""
        columns = zip(batch.indexes, batch.rows, batch.row_keys, strict=True)
        self._insert((index, number, row, key, None) for index, row, key in columns)

    def keep_invalid(self, index: int, data: bytes | None, reason: str) -> None:
        """Keep a row that cannot be sent."""
        self._insert([(index, None, data, None, reason)])

    def write(self, run: Run, keyed: bool) -> int:
        """Write the letters of a run that has ended; return how many rows can be ingested again.

        Raises:
            ConfigurationError: the disk is full, or the like.
        """
        written = 0
        try:
            with self.path.open("ab") as rows, self.reasons.open("ab") as reasons:
                for letter in self._letters(run, keyed):
                    why: dict[str, object] = {"row": letter.row, "reason": letter.reason}
                    if letter.data is None:
                        why["left_out"] = "a later row of the same key is stored" if letter.overtaken else "see reason"
                    else:
                        rows.write(letter.data + b"\n")
                        written += 1
                    reasons.write(json.dumps(why).encode() + b"\n")
        except (OSError, sqlite3.Error) as error:
            raise self._problem(error) from None
        return written

    def close(self) -> None:
        """Remove the waiting rows, and files that stayed empty."""
        self._db.close()
        for path in (self._spool, self.path, self.reasons):
            if path == self._spool or (path.exists() and not path.stat().st_size):
                path.unlink(missing_ok=True)

    def _letters(self, run: Run, keyed: bool) -> Iterator[_Letter]:
        for index, number, data, key, reason in self._db.execute("select * from rows order by number"):
            if number is None:
                yield _Letter(index, data, reason)
                continue
            why = _why(run, number)
            if why is None:
                continue
            if why.startswith("some of") and not keyed:
                yield _Letter(index, None, f"{why}; sending the batch again would double the others")
            elif key is not None and self._is_overtaken(run, index, key):
                yield _Letter(index, None, why, overtaken=True)
            else:
                yield _Letter(index, data, why)

    def _is_overtaken(self, run: Run, index: int, key: bytes) -> bool:
        query = "select distinct batch from rows where key = ? and number > ?"
        later = self._db.execute(query, (key, index)).fetchall()
        return any(run.outcome(number)[0] == "accepted" and _why(run, number) is None for (number,) in later)

    def _insert(self, rows: Iterable[tuple[object, ...]]) -> None:
        try:
            self._db.execute("begin")
            self._db.executemany("insert or replace into rows values (?, ?, ?, ?, ?)", rows)
            self._db.execute("commit")
        except BaseException as error:
            if self._db.in_transaction:  # an interrupt may come at any moment, and rows come again after it
                self._db.rollback()
            if isinstance(error, sqlite3.Error):
                raise self._problem(error) from None
            raise

    def _problem(self, error: Exception) -> ConfigurationError:
        what = getattr(error, "strerror", None) or error
        return ConfigurationError(f"The dead letters cannot be written to {self.path}: {what}.")


def _why(run: Run, number: int) -> str | None:
    """Why the rows of a batch did not make it, or None when they did as far as is known."""
    outcome, shares, error = run.outcome(number)
    said = f": {error}" if error else ""
    if outcome == "accepted":
        if not shares.rejected:
            return None
        whole = not (shares.appended or shares.overwritten or shares.unverified)
        return f"{'rejected' if whole else 'some of this batch were rejected'}{said}"
    return f"{outcome or 'unsent'}{said}"
