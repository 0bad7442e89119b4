"""The files of one ingest, as one stream of rows in which a column has one type."""

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from io import BytesIO
from os import stat
from stat import S_ISREG
from typing import Any, cast

from databox.errors import InvalidRecordError
from databox.files.columns import Column
from databox.files.reader import Records, read_records

__all__ = ["Inputs", "inline"]


def inline(text: str) -> BytesIO:
    """Return rows that were typed on the command line as a file.

    Raises:
        InvalidRecordError: it is no JSON array of objects, nor one object.
    """
    try:
        rows: Any = json.loads(text)
    except ValueError as error:
        raise InvalidRecordError(f"--records is not JSON: {error}.") from None
    if isinstance(rows, list):
        kinds: set[Any] = {type(row) for row in cast("Any", rows)}
    else:
        rows, kinds = [rows], {type(rows)}
    if kinds - {dict}:
        raise InvalidRecordError("--records is not a JSON array of objects, such as '[{\"id\": 1}]'.")
    return BytesIO(json.dumps(rows).encode())


class Inputs(Iterator[dict[str, Any]]):
    """The rows of several files, one after the other.

    All are looked at before the first row is given, since a column that is a number in one file and text in another
    would be both in the dataset.

    Args:
        sources: paths, `-` for standard input, or open files.
        options: how to read them, as `read_records` takes it.

    Raises:
        InvalidRecordError: a file cannot be read, or two of them differ in a column.
        OSError: a file cannot be opened.
    """

    def __init__(self, sources: Sequence[Any], options: dict[str, Any]) -> None:
        self._options = options
        self._sizes = [_size(source) for source in sources]
        self._opened: list[tuple[Any, Records | None]] = []
        self._done = 0
        self.misfits: Counter[str] = Counter()
        self.blank = 0
        self.looked_at: list[Records] = []
        """Each file as it will be read; for their descriptions."""
        self.rows = 0
        for source in sources:
            records = read_records(source, **options)
            self.looked_at.append(records)
            # No more files are open at a time than have to be.
            keep = len(sources) == 1 or not isinstance(source, str) or source == "-"
            if not keep:
                records.close()
            self._opened.append((source, records if keep else None))
        self.columns = self._agreed()
        totals = [records.total_rows for records in self.looked_at]
        self.total_rows = None if None in totals else sum(total or 0 for total in totals)
        self._current: Records | None = None

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
    def names(self) -> list[str]:
        """The names of the files."""
        return [records.name for records in self.looked_at]

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
            row = next(self._current, None)
            if row is not None:
                self.rows += 1
                return row
            self.misfits += self._current.misfits
            self.blank += self._current.blank
            self._current = None
            self._done += 1

    def _open(self, source: Any, records: Records | None) -> Records:
        if records is not None:
            return records
        looked_at = self.looked_at[self._done]
        known = {column.name: column.type for column in self.columns}
        # What was empty here is what it is in the others.
        empty = [
            column.name for column in looked_at.columns if column.type == "empty" and known[column.name] != "empty"
        ]
        declared = self._options["columns"] | {name: known[name] for name in empty}
        return read_records(source, **(self._options | {"columns": declared}))

    def _agreed(self) -> list[Column]:
        """The columns of all files.

        Raises:
            InvalidRecordError: they differ in what one is.
        """
        found: dict[str, tuple[Column, str]] = {}
        for records in self.looked_at:
            for column in records.columns:
                known, where = found.setdefault(column.name, (column, records.name))
                if known.type == "empty":
                    found[column.name] = column, records.name
                elif column.type not in {"empty", known.type}:
                    raise InvalidRecordError(
                        f"Column {column.name!r} is {known.type} in {where} and {column.type} in {records.name}. "
                        f"Say what it is for all: --column {column.name!r}=text.",
                        column=column.name,
                    )
        return [column for column, _ in found.values()]


def _size(source: Any) -> int | None:
    """The bytes of a regular file."""
    if not isinstance(source, str) or source == "-":
        return None
    try:
        status = stat(source)
    except OSError:
        return None  # opening it will tell
    return status.st_size if S_ISREG(status.st_mode) else None
