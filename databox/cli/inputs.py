"""The files of one ingest, as one stream of rows in which a column has one type."""

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import pairwise
from operator import itemgetter
from os import stat
from stat import S_ISREG
from typing import Any

from databox.display import for_shell
from databox.errors import InvalidRecordError
from databox.files.column import DECLARABLE, Column
from databox.files.places import Place
from databox.files.query import QueryRecords
from databox.files.reader import Records, read_records

__all__ = ["Inputs"]


class Inputs(Iterator[dict[str, Any]]):
    """The rows of several files, one after the other.

    All are looked at before the first row is given, since a column that is a number in one file and text in another
    would be both in the dataset.

    Args:
        sources: paths, `-` for standard input, or open files; or a query's rows alone.
        options: how to read them, as `read_records` takes it.

    Raises:
        InvalidRecordError: a file cannot be read, or two of them differ in a column.
        OSError: a file cannot be opened.
    """

    def __init__(self, sources: Sequence[Any], options: dict[str, Any]) -> None:
        self._options = options
        self._sizes = [_size(source) for source in sources]
        self._opened: list[tuple[Any, Records | QueryRecords | None]] = []
        self._done = 0
        self._misfits: Counter[str] = Counter()
        self._blank = self._repeated = 0
        self.looked_at: list[Records | QueryRecords] = []
        """Each file as it will be read; for their descriptions."""
        self.rows = 0
        self._begun: list[tuple[int, Records | QueryRecords]] = []
        """Each file that was begun, and how many rows came before it."""
        for source in sources:
            records = source if isinstance(source, QueryRecords) else read_records(source, **options)
            self.looked_at.append(records)
            # No more files are open at a time than have to be.
            # What is no file on disk, a pipe say, can be read only once.
            keep = len(sources) == 1 or _size(source) is None
            if not keep:
                records.close()
            self._opened.append((source, records if keep else None))
        self.columns = self._agreed()
        totals = [records.total_rows for records in self.looked_at]
        self.total_rows = None if None in totals else sum(total or 0 for total in totals)
        self._current: Records | QueryRecords | None = None

    @property
    def fraction(self) -> float | None:
        """How much has been read, 0 to 1; None when that cannot be known."""
        if self.total_rows is not None:
            return self.rows / self.total_rows if self.total_rows else 1.0
        sizes = [size for size in self._sizes if size is not None]
        if len(sizes) < len(self._sizes) or not sum(sizes):
            return None
        current = (self._current.fraction or 0.0) * sizes[self._done] if self._current else 0.0
        return min(1.0, (sum(sizes[: self._done]) + current) / sum(sizes))

    @property
    def misfits(self) -> Counter[str]:
        """How many values of each column were read as null so far because they did not fit."""
        return self._misfits + (self._current.misfits if self._current else Counter())

    @property
    def blank(self) -> int:
        """How many lines without a value were skipped so far."""
        return self._blank + (self._current.blank if self._current else 0)

    @property
    def repeated(self) -> int:
        """How many lines that repeat the header were skipped so far."""
        return self._repeated + (self._current.repeated if self._current else 0)

    @property
    def identity(self) -> str:
        """What a journal keeps of a query; empty for files."""
        return "".join(each.identity for each in self.looked_at if isinstance(each, QueryRecords))

    @property
    def names(self) -> list[str]:
        """The names of the files."""
        return [records.name for records in self.looked_at]

    def place(self, row: int) -> Place | None:
        """Return where a row stands that was given, by its place among all, from 0."""
        at = bisect_right(self._begun, row, key=itemgetter(0)) - 1
        if at < 0 or row >= self.rows:
            return None
        before, records = self._begun[at]
        return records.place(row - before)

    def close(self) -> None:
        """Close what is open."""
        for _, records in self._opened:
            if records:
                records.close()
        if self._current:
            self._current.close()

    def __next__(self) -> dict[str, Any]:
        while True:
            if self._current is None:
                if not self._opened:
                    raise StopIteration
                self._current = self._open(*self._opened.pop(0))
                self._begun.append((self.rows, self._current))
            row = next(self._current, None)
            if row is not None:
                self.rows += 1
                return row
            self._misfits, self._blank, self._repeated = self.misfits, self.blank, self.repeated
            self._current = None
            self._done += 1

    def _open(self, source: Any, records: Records | QueryRecords | None) -> Records | QueryRecords:
        if records is not None:
            return records
        looked_at = self.looked_at[self._done]
        encoding = looked_at.encoding if looked_at.encoding not in {"utf-8", "utf-8-sig"} else None
        known = {column.name: column.type for column in self.columns}
        # What was empty here is what it is in the others. But a declared number may be written like a code, 007 or 12%,
        # so numbers that come after all are asked about.
        empty = [
            column.name
            for column in looked_at.columns
            if column.type == "empty" and known[column.name] in DECLARABLE and known[column.name] != "number"
        ]
        declared = self._options["columns"] | {name: known[name] for name in empty}
        found: dict[str, Any] = {"columns": declared, "encoding": self._options["encoding"] or encoding}
        opened = read_records(source, **(self._options | found))
        names = [column.name for column in opened.columns]
        if opened.format not in {"json", "jsonl"} and names != [column.name for column in looked_at.columns]:
            opened.close()
            raise InvalidRecordError(
                f"{opened.name} has other columns than when it was looked at, before the files before it were sent. "
                "Send it by itself."
            )
        return opened

    def _agreed(self) -> list[Column]:
        """The columns of all files.

        Raises:
            InvalidRecordError: they differ in what one is, or in which there are.
        """
        found: dict[str, tuple[Column, str]] = {}
        self._check_names()
        for records in self.looked_at:
            for column in records.columns:
                known, where = found.setdefault(column.name, (column, records.name))
                if known.type == "empty":
                    found[column.name] = column, records.name
                elif column.type not in {"empty", known.type}:
                    raise InvalidRecordError(
                        f"Column {column.name!r} is {known.type} in {where} and {column.type} in {records.name}. "
                        f"Say what it is for all: --column {for_shell(column.name)}=text.",
                        column=column.name,
                    )
        return [column for column, _ in found.values()]

    def _check_names(self) -> None:
        """Refuse files that lack a column that another has, where a file says which columns it has."""
        tables = [each for each in self.looked_at if each.format not in {"json", "jsonl"} and each.columns]
        if self._options["pad"]:
            return
        for one, other in pairwise(tables):
            for first, second in ((one, other), (other, one)):
                lacking = {column.name for column in first.columns} - {column.name for column in second.columns}
                if lacking:
                    name = next(column.name for column in first.columns if column.name in lacking)
                    raise InvalidRecordError(
                        f"{second.name} has no column {name!r}, which {first.name} has. Send them one by one; or, if "
                        "what a file lacks is null, say --pad.",
                        column=name,
                    )


def _size(source: Any) -> int | None:
    """The bytes of a regular file."""
    if not isinstance(source, str) or source == "-":
        return None
    try:
        status = stat(source)
    except OSError:
        return None  # opening it will tell
    return status.st_size if S_ISREG(status.st_mode) else None
