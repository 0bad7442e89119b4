"""What was sent, kept in a file, so that a second run goes on where the first stopped.

A line is written before a batch goes out and another one after its answer. Whatever kills the process in between, the
next run knows which batches were accepted, and which may have been.

With primary keys it also keeps the keys of rows that were not accepted, and of later rows with these keys that were:
so it knows which rows may not be sent again.
"""

import json
import secrets
import sqlite3
import threading
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, cast

import attrs

from databox.errors import ConfigurationError
from databox.ingest.batch import Batch, End
from databox.ingest.digests import difference, digest_of_key, digest_of_rows
from databox.ingest.journal_file import opened, problem, transaction, unusable
from databox.ingest.resume import Entry, LeftOut, Newer
from databox.ingest.settle import Shares
from databox.ingest.totals import Total
from databox.report import Outcome

__all__ = ["Journal"]

_NEWEST = """
create temp table newest (key blob primary key, accepted integer, possible integer) without rowid;
insert into newest
select key, max(iif(state = 'accepted', row, null)), max(iif(state in ('ambiguous', 'sending'), row, null))
from keys join batches on batches.number = keys.batch
where state in ('accepted', 'ambiguous', 'sending') group by key;
"""
_REMEDIES = {
    "dataset": "Name that dataset; another one needs a journal of its own.",
    "address": "Go on with that address; another one needs a journal of its own.",
    "primary keys": "Go on with those.",
}
_Statement = tuple[str, Iterable[tuple[object, ...]]]


class Journal:
    """The journal of one input into one dataset. Safe to use from any thread.

    Args:
        path: the file; made when it is not there.
        about: what must be the same in each run, such as the dataset.
        keyed: whether the dataset has primary keys.

    Raises:
        ConfigurationError: the file is no journal, in use, or belongs to something else.
    """

    def __init__(self, path: str | Path, about: Mapping[str, str], *, keyed: bool) -> None:
        self.path = Path(path)
        self._keyed = keyed
        self._lock = threading.Lock()
        self._under_way: dict[int, Batch] = {}
        self._db = opened(self.path)
        try:
            self._check(about)
            self.id = self._value("id") or self._noted("id", secrets.token_hex(8))
            """What tells its runs' dead letters from those of others."""
            self._run = int(self._value("runs") or 0) + 1
            self._noted("runs", str(self._run))
            self._known: int = self._row("select count(*) from batches")[0]
            self._db.executescript(_NEWEST)
        except sqlite3.Error as error:
            self._db.close()
            raise unusable(self.path, error) from None
        except BaseException:
            self._db.close()
            raise

    def close(self) -> None:
        """Let go of the file."""
        self._db.close()

    # What earlier runs did

    def ends(self) -> Iterator[End]:
        """Walk the ends of the batches of earlier runs."""
        for number in range(self._known):
            yield End(*self._row("select end_row, max_batch_bytes from batches where number = ?", number))

    def entry(self, number: int, batch: Batch, *, complete: bool) -> tuple[Entry | None, bool]:
        """Return what earlier runs did with a batch, or None, and whether these are all its rows.

        Args:
            number: the batch's place.
            batch: its rows.
            complete: whether there surely are no more rows of it in the source.

        Raises:
            ConfigurationError: it held other rows then, so the input has changed.
        """
        if number >= self._known:
            if self._value("batches") is not None:
                raise self._other_input(
                    "it was finished, and there are more rows now", "Send the new rows alone, with another journal."
                )
            return None, True
        columns = "rows, digest, state, ingestion_id, error, shares, rejected, ordered, lost"
        rows, noted, state, ingestion_id, error, shares, rejected, ordered, lost = self._row(
            f"select {columns} from batches where number = ?", number
        )
        given = digest_of_rows(batch)
        whole = given == noted
        if not (whole or (not complete and noted.startswith(given))):
            raise self._other_input(difference(batch, given, noted))
        entry = Entry(
            number,
            rows,
            state,
            ingestion_id,
            error,
            Shares(**json.loads(shares)) if shares else None,
            frozenset(json.loads(rejected)) if rejected else frozenset(),
            tuple(self._left_out(number)),
            bool(ordered),
            lost,
        )
        return entry, whole

    def newer(self, batch: Batch) -> dict[int, Newer]:
        """Return for the places of a batch's rows the last later rows of their keys that earlier runs sent."""
        found: dict[int, Newer] = {}
        last = batch.indexes[-1]
        query = "select accepted, possible from newest where key = ?"
        for index, key in zip(batch.indexes, batch.row_keys, strict=True):
            for row in self._rows(query, digest_of_key(key)) if key else ():
                found[index] = Newer(*(place if place is not None and place > last else None for place in row))
        return found

    @property
    def total(self) -> Total | None:
        """The largest total of the dataset's rows that was told so far."""
        noted = json.loads(self._value("total") or "null")
        return Total(*noted) if noted else None

    def ended(self, batches: int) -> None:
        """The source came to its end after so many batches.

        Raises:
            ConfigurationError: an earlier run sent more.
        """
        if batches < self._known:
            raise self._other_input("it had more rows")
        self._noted("batches", str(batches))

    # What this one does

    def sending(self, number: int, batch: Batch, *, whole: Batch, max_batch_bytes: int) -> None:
        """Note that a batch goes out; `whole` has its left out rows too."""
        row = (number, whole.indexes[-1] + 1, len(whole.rows), max_batch_bytes, digest_of_rows(whole), self._run)
        columns = "number, end_row, rows, max_batch_bytes, digest, run, state"
        query = f"insert into batches ({columns}) values (?, ?, ?, ?, ?, ?, 'sending') on conflict"
        self._under_way[number] = batch  # first, so that after an interrupt it is known to be noted, or so it may be
        try:
            self._write((f"{query} do update set state = 'sending', run = excluded.run", [row]))
        except ConfigurationError:
            del self._under_way[number]
            raise

    def leave_out(self, number: int, rows: Iterable[LeftOut]) -> None:
        """Note which rows of a batch are left out from now on."""
        values = [(row.index, number, row.outcome, row.error, row.by) for row in rows]
        forget: _Statement = ("delete from left_out where batch = ?", [(number,)])
        self._write(forget, ("insert into left_out values (?, ?, ?, ?, ?)", values))

    def not_sent_again(self, number: int, batch: Batch, outcome: Outcome) -> None:
        """Note what stays of a batch that no answer was noted to, or that is held back."""
        query = "update batches set state = ? where number = ? and state = 'sending'"
        self._write((query, [(outcome, number)]), self._waiting(number, batch))

    def answered(self, number: int, outcome: Outcome, ingestion_id: str | None, error: str | None) -> None:
        """Note what became of a batch that is under way; told again, nothing changes."""
        batch = self._under_way.get(number)
        if batch is None:
            return
        query = "update batches set state = ?, ingestion_id = ?, error = ?, shares = null where number = ?"
        ended: _Statement = (query, [(outcome, ingestion_id, error, number)])
        if outcome == "accepted":
            # Of accepted rows those matter whose key an earlier row has that was not.
            query = "insert or ignore into keys select ?1, ?2, ?3 where exists (select 1 from keys where key = ?1)"
            self._write(ended, (query, self._keys_of(number, batch)))
        else:
            self._write(ended, self._waiting(number, batch))
        self._under_way.pop(number, None)

    def withdrawn(self, number: int, error: str) -> None:
        """Note that a batch may not have been accepted after all. Which later rows have its keys is not known."""
        query = "update batches set state = 'ambiguous', ingestion_id = null, error = ?, ordered = 0 where number = ?"
        self._write((query, [(error, number)]))

    def verified(
        self, number: int, shares: Shares, rejected: frozenset[int], error: str | None, total: Total | None
    ) -> None:
        """Note what the server made of a batch; `rejected` are the places of rejected rows, where they are known."""
        values = (json.dumps(attrs.asdict(shares)), json.dumps(sorted(rejected)), error, number)
        query = "update batches set shares = ?, rejected = ?, error = ? where number = ?"
        # A row that was rejected overtakes nothing.
        forget: _Statement = ("delete from keys where batch = ? and row = ?", [(number, row) for row in rejected])
        self._write((query, [values]), forget, _total(total))

    def lost(self, error: str, left: Total) -> None:
        """Note that rows which earlier runs stored may not be there any more, and how many there are now."""
        query = "update batches set lost = ? where state = 'accepted' and run < ?"
        self._write((query, [(error, self._run)]), _total(left))

    # Dead letters

    def letter_files(self) -> list[Path]:
        """Return the files of dead letters to which runs of this journal wrote."""
        return [Path(file) for (file,) in self._rows("select file from letter_files")]

    def letters(self, file: Path) -> list[tuple[int, bytes]]:
        """Return the rows that earlier runs wrote to a file of dead letters: place and digest."""
        query = "select row, digest from letters where file = ? and run < ? order by row"
        return self._rows(query, str(file), self._run)

    def writes_letters(self, file: Path, rows: Iterable[tuple[int, bytes]]) -> None:
        """Note which rows this run is about to write to a file of dead letters, beside those of earlier ones."""
        self._write(
            ("insert or ignore into letter_files values (?)", [(str(file),)]), self._letters_of_this_run(file, rows)
        )

    def wrote_letters(self, file: Path, kept: Iterable[tuple[int, bytes]]) -> None:
        """Note that they are there now in the place of those of earlier runs, but for some that were kept."""
        forget: _Statement = ("delete from letters where file = ? and run < ?", [(str(file), self._run)])
        self._write(forget, self._letters_of_this_run(file, kept))

    def _letters_of_this_run(self, file: Path, rows: Iterable[tuple[int, bytes]]) -> _Statement:
        values = ((str(file), row, self._run, digest) for row, digest in rows)
        return "insert or ignore into letters values (?, ?, ?, ?)", values

    # Within

    def _waiting(self, number: int, batch: Batch) -> _Statement:
        return "insert or ignore into keys values (?, ?, ?)", self._keys_of(number, batch)

    def _keys_of(self, number: int, batch: Batch) -> list[tuple[object, ...]]:
        pairs = zip(batch.row_keys, batch.indexes, strict=True)
        return [(digest_of_key(key), index, number) for key, index in pairs if key is not None]

    def _left_out(self, number: int) -> Iterator[LeftOut]:
        query = "select row, outcome, error, by_row from left_out where batch = ? order by row"
        return (LeftOut(*row) for row in self._rows(query, number))

    def _value(self, name: str) -> str | None:
        found = self._rows("select value from about where name = ?", name)
        return cast("str", found[0][0]) if found else None

    def _noted(self, name: str, value: str) -> str:
        self._write(("insert or replace into about values (?, ?)", [(name, value)]))
        return value

    def _row(self, query: str, *values: object) -> Any:
        return self._rows(query, *values)[0]

    def _rows(self, query: str, *values: object) -> list[Any]:
        try:
            with self._lock:
                return self._db.execute(query, values).fetchall()
        except sqlite3.Error as error:
            raise unusable(self.path, error) from None

    def _write(self, *statements: _Statement) -> None:
        """Do all of it or nothing."""
        try:
            with self._lock, transaction(self._db):
                for query, rows in statements:
                    self._db.executemany(query, rows)
        except sqlite3.Error as error:
            raise unusable(self.path, error) from None

    # What may be wrong with it

    def _check(self, about: Mapping[str, str]) -> None:
        for name, value in about.items():
            noted = self._value(name)
            if noted is None:
                self._noted(name, value)
            elif noted != value:
                raise problem(self.path, f"belongs to another {name}: {noted!r}, not {value!r}. {_REMEDIES[name]}")

    def _other_input(
        self, what: str, remedy: str = "Run again with the rows that it began with."
    ) -> ConfigurationError:
        accepted = self._row(
            "select coalesce(sum(rows), 0) - (select count(*) from left_out join batches on number = batch "
            "where state = 'accepted') from batches where state = 'accepted'"
        )[0]
        if self._keyed or not accepted:
            doubled = ""
        else:
            doubled = (
                f" It holds {accepted:,} accepted {'row' if accepted == 1 else 'rows'}, and the dataset has no primary "
                "keys: starting anew would store them twice."
            )
        return problem(self.path, f"belongs to another input: {what}. {remedy}{doubled}")


def _total(total: Total | None) -> _Statement:
    values = [("total", json.dumps(attrs.astuple(total)))] if total else []
    return "insert or replace into about values (?, ?)", values
