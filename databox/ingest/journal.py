"""A record of what was sent, in a file, so that a second run resumes where the first stopped.

A line is written before a batch is sent and another after its answer. Whatever kills the process in between, the
next run knows which batches were accepted, and which may have been.

With primary keys it also records the keys of rows that were not accepted, and of later accepted rows with these keys,
so it knows which rows must not be sent again.
"""

import json
import secrets
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import attrs

from databox.errors import ConfigurationError
from databox.ingest.batch import Batch, End, difference, digest_of_key, digest_of_rows
from databox.ingest.journal_file import JournalFile, Statement, problem
from databox.ingest.parts import Part
from databox.ingest.resume import Entry, LeftOut, Newer
from databox.ingest.settle import Shares
from databox.ingest.totals import Total
from databox.report import Outcome
from databox.wording import message

__all__ = ["Journal"]

_NEWEST = (
    "create temp table newest (key blob primary key, accepted integer, possible integer) without rowid",
    """
insert into newest
select key, max(iif(state = 'accepted', row, null)), max(iif(state in ('ambiguous', 'sending'), row, null))
from keys join batches on batches.number = keys.batch
where state in ('accepted', 'ambiguous', 'sending') group by key
""",
)
_MISMATCHES = {
    "dataset": "belongs to another dataset: {}, not {}. Use that dataset, or another journal for this one.",
    "address": "belongs to another address: {}, not {}. Use that address, or another journal for this one.",
    "primary keys": "was begun with other primary keys: {}, not {}. Use those.",
    "query": "was begun with another query, or with other parameters. Use those, or another journal for this query.",
}


class Journal:
    """The journal of one input into one dataset. Safe to use from any thread.

    Args:
        path: the file; created if it does not exist.
        about: values that must be the same in each run, such as the dataset.

    Raises:
        ConfigurationError: the file is not a journal, is in use, or belongs to another dataset or input.
    """

    def __init__(self, path: str | Path, about: Mapping[str, str]) -> None:
        self.path = Path(path)
        self._under_way: dict[int, Batch] = {}
        self._file = JournalFile(self.path)
        try:
            self._file.renumber()
            self._known: int = self._file.row("select count(*) from batches")[0]
            self._check(about)
            self._run = int(self._file.value("runs") or 0) + 1
            self._file.note("runs", str(self._run))
            self.id = self._file.value("id") or self._file.note("id", secrets.token_hex(8))
            """Distinguishes the dead letters of its runs from those of others."""
            for statement in _NEWEST:
                self._file.rows(statement)
            self.in_order: bool = not self._file.rows("select 1 from batches where not ordered limit 1")
            """Whether every batch whose answer was lost can be sent again. A withdrawn one never is."""
        except BaseException:
            self._file.close()
            raise

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    @property
    def is_new(self) -> bool:
        """Whether this is the first run with it."""
        return self._run == 1

    # What earlier runs did

    def ends(self) -> list[End]:
        """Return the ends of the batches of earlier runs."""
        return [End(*row) for row in self._file.rows("select end_row, max_batch_bytes from batches order by number")]

    def entry(self, number: int, batch: Batch, *, complete: bool) -> tuple[Entry | None, bool]:
        """Return the outcome of a batch in earlier runs, or None, and whether these are all its rows.

        Args:
            number: the batch's number.
            batch: its rows.
            complete: whether the source certainly has no more rows for it.

        Raises:
            ConfigurationError: it had other rows in the earlier run, so the input has changed.
        """
        if number >= self._known:
            if self._file.value("batches") is not None:
                raise self._other_input(
                    "it was finished, but there are more rows now", "Send the new rows alone, with another journal."
                )
            return None, True
        columns = "rows, digest, state, ingestion_id, error, shares, rejected, ordered, lost"
        rows, noted, state, ingestion_id, error, shares, rejected, ordered, lost = self._file.row(
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
        """Return, by position of a batch's rows, the last later rows with the same keys that earlier runs sent."""
        found: dict[int, Newer] = {}
        last = batch.indexes[-1]
        query = "select accepted, possible from newest where key = ?"
        for index, key in zip(batch.indexes, batch.row_keys, strict=True):
            for row in self._file.rows(query, digest_of_key(key)) if key else ():
                found[index] = Newer(*(place if place is not None and place > last else None for place in row))
        return found

    @property
    def resumed(self) -> bool:
        """Whether rows were accepted so far."""
        return bool(self._file.row("select exists (select 1 from batches where state = 'accepted')")[0])

    @property
    def total(self) -> Total | None:
        """The minimum number of rows in the dataset, as far as known."""
        noted = json.loads(self._file.value("total") or "null")
        return Total(*noted) if noted else None

    def ended(self, batches: int) -> None:
        """Record the number of batches at the end of the source.

        Raises:
            ConfigurationError: an earlier run sent more.
        """
        if batches < self._known:
            raise self._other_input("it had more rows")
        if batches:
            self._file.note("batches", str(batches))

    # What this one does

    def sending(self, number: int, batch: Batch, *, whole: Batch, max_batch_bytes: int) -> None:
        """Record that a batch is sent; `whole` includes its left-out rows."""
        row = (number, whole.indexes[-1] + 1, len(whole.rows), max_batch_bytes, digest_of_rows(whole), self._run)
        columns = "number, end_row, rows, max_batch_bytes, digest, run, state"
        query = f"insert into batches ({columns}) values (?, ?, ?, ?, ?, ?, 'sending') on conflict"
        # Once sent, it may supersede earlier rows with its keys that were not accepted, answered or not. While it is in
        # flight, no other batch with these keys is, so these are all, whatever its outcome.
        overtaking = "insert or ignore into keys select ?1, ?2, ?3 where exists (select 1 from keys where key = ?1)"
        self._under_way[number] = (
            batch  # first, so that after an interrupt it counts as recorded, even if it may not be
        )
        try:
            self._file.write(
                (f"{query} do update set state = 'sending', run = excluded.run", [row]),
                (overtaking, self._keys_of(number, batch)),
            )
        except ConfigurationError:
            del self._under_way[number]
            raise

    def waiting(self, number: int, batch: Batch, *, whole: Batch, max_batch_bytes: int) -> None:
        """Record a batch that is not sent yet, so that later ones come after it."""
        row = (number, whole.indexes[-1] + 1, len(whole.rows), max_batch_bytes, digest_of_rows(whole), self._run)
        columns = "number, end_row, rows, max_batch_bytes, digest, run, state"
        query = f"insert or ignore into batches ({columns}) values (?, ?, ?, ?, ?, ?, 'unsent')"
        self._file.write((query, [row]), self._waiting(number, batch))

    def leave_out(self, number: int, rows: Iterable[LeftOut]) -> None:
        """Record which rows of a batch are left out from now on."""
        values = [(row.index, number, row.outcome, row.error, row.by) for row in rows]
        forget: Statement = ("delete from left_out where batch = ?", [(number,)])
        self._file.write(forget, ("insert into left_out values (?, ?, ?, ?, ?)", values))

    def not_sent_again(self, number: int, batch: Batch, outcome: Outcome) -> None:
        """Record the state of a batch without a recorded answer, or that is held back."""
        query = "update batches set state = ? where number = ? and state = 'sending'"
        self._file.write((query, [(outcome, number)]), self._waiting(number, batch))

    def answered(self, number: int, outcome: Outcome, ingestion_id: str | None, error: str | None) -> None:
        """Record the outcome of a batch in flight; repeating the call changes nothing."""
        batch = self._under_way.get(number)
        if batch is None:
            return
        query = "update batches set state = ?, ingestion_id = ?, error = ?, shares = null where number = ?"
        ended: Statement = (query, [(outcome, ingestion_id, error, number)])
        if outcome == "accepted":
            self._file.write(ended)
        else:
            self._file.write(ended, self._waiting(number, batch))
        self._under_way.pop(number, None)

    def replaced(self, old: Sequence[Part], new: Sequence[Part], outcome: Outcome, error: str | None) -> None:
        """Record that a batch was split, or merged again; the new ones have the same rows.

        Args:
            old: the batches that were sent and refused.
            new: their replacements, each a batch of its own for the next run.
            outcome: the outcome of the new ones until they are sent.
            error: why.
        """
        columns = "number, end_row, rows, max_batch_bytes, digest, run, state, error, ordered"
        values = "select ?, ?, ?, max_batch_bytes, ?, run, ?, ?, ordered from batches where number = ?"
        statements: list[Statement] = [
            (
                f"insert into batches ({columns}) {values}",
                [
                    (
                        # For a moment, in addition to the one whose number it may have.
                        -1 - part.number,
                        part.whole.indexes[-1] + 1,
                        len(part.whole.rows),
                        digest_of_rows(part.whole),
                        outcome,
                        error,
                        old[0].number,
                    )
                    for part in new
                ],
            ),
            ("delete from batches where number = ?", [(part.number,) for part in old]),
            ("update batches set number = ? where number = ?", [(part.number, -1 - part.number) for part in new]),
        ]
        for part in new:
            first, last = part.whole.first_row, part.whole.indexes[-1]
            for table in ("keys", "left_out"):
                query = f"update {table} set batch = ? where batch = ? and row between ? and ?"
                statements.append((query, [(part.number, each.number, first, last) for each in old]))
            statements.append(self._waiting(part.number, part.batch))
        self._file.write(*statements)
        for part in old:
            self._under_way.pop(part.number, None)

    def withdrawn(self, number: int, error: str) -> None:
        """Record that a batch may not have been accepted after all. Which later rows have its keys is unknown."""
        query = "update batches set state = 'ambiguous', ingestion_id = null, error = ?, ordered = 0 where number = ?"
        self._file.write((query, [(error, number)]))

    def verified(
        self, number: int, shares: Shares, rejected: frozenset[int], error: str | None, total: Total | None
    ) -> None:
        """Record how the server processed a batch; `rejected` are the positions of rejected rows, if known."""
        values = (json.dumps(attrs.asdict(shares)), json.dumps(sorted(rejected)), error, number)
        query = "update batches set shares = ?, rejected = ?, error = ? where number = ?"
        # A rejected row supersedes nothing.
        forget: Statement = ("delete from keys where batch = ? and row = ?", [(number, row) for row in rejected])
        if shares.rejected == sum(attrs.astuple(shares)):
            forget = ("delete from keys where batch = ?", [(number,)])
        self._file.write((query, [values]), forget, _total(total))

    def lost(self, error: str, left: Total) -> None:
        """Record that rows which earlier runs stored may no longer exist, and how many exist now."""
        query = "update batches set lost = ? where state = 'accepted' and run < ?"
        self._file.write((query, [(error, self._run)]), _total(left))

    # Dead letters

    def letter_files(self) -> list[Path]:
        """Return the files of dead letters to which runs of this journal wrote."""
        return [Path(file) for (file,) in self._file.rows("select file from letter_files")]

    def letters(self, file: Path) -> Iterator[tuple[int, bytes]]:
        """Iterate over the rows that earlier runs wrote to a file of dead letters: position and digest."""
        query = "select row, digest from letters where file = ? and run < ? and row > ? order by row limit 1000"
        last = -1
        while found := self._file.rows(query, str(file), self._run, last):
            yield from found
            last = found[-1][0]

    def writes_letters(self, file: Path, rows: Iterable[tuple[int, bytes]]) -> None:
        """Record which rows this run is about to write to a file of dead letters, in addition to earlier ones."""
        self._file.write(
            ("insert or ignore into letter_files values (?)", [(str(file),)]), self._letters_of_this_run(file, rows)
        )

    def wrote_letters(self, file: Path, kept: Iterable[tuple[int, bytes]]) -> None:
        """Note that they are there now in the place of those of earlier runs, but for some that were kept."""
        forget: Statement = ("delete from letters where file = ? and run < ?", [(str(file), self._run)])
        self._file.write(forget, self._letters_of_this_run(file, kept))

    def _letters_of_this_run(self, file: Path, rows: Iterable[tuple[int, bytes]]) -> Statement:
        values = ((str(file), row, self._run, digest) for row, digest in rows)
        return "insert or ignore into letters values (?, ?, ?, ?)", values

    # Within

    def _waiting(self, number: int, batch: Batch) -> Statement:
        return "insert or ignore into keys values (?, ?, ?)", self._keys_of(number, batch)

    def _keys_of(self, number: int, batch: Batch) -> list[tuple[object, ...]]:
        pairs = zip(batch.row_keys, batch.indexes, strict=True)
        return [(digest_of_key(key), index, number) for key, index in pairs if key is not None]

    def _left_out(self, number: int) -> Iterator[LeftOut]:
        query = "select row, outcome, error, by_row from left_out where batch = ? order by row"
        return (LeftOut(*row) for row in self._file.rows(query, number))

    # What may be wrong with it

    def _check(self, about: Mapping[str, str]) -> None:
        if not self._known and any(self._file.value(name) not in (None, value) for name, value in about.items()):
            self._file.write(("delete from about", [()]))  # nothing was sent with it, so it begins anew
        for name, value in about.items():
            noted = self._file.value(name)
            if noted is None:
                self._file.note(name, value)
            elif noted != value:
                doubled = self._file.doubled() if name in {"primary keys", "query"} else ""
                raise problem(self.path, _MISMATCHES[name].format(repr(noted), repr(value)) + doubled)

    def _other_input(self, what: str, remedy: str = "Run again with the rows it was begun with.") -> ConfigurationError:
        return problem(self.path, message("belongs to another input: ", what, f". {remedy}{self._file.doubled()}"))


def _total(total: Total | None) -> Statement:
    values = [("total", json.dumps(attrs.astuple(total)))] if total else []
    return "insert or replace into about values (?, ?)", values
