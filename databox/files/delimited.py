"""CSV and its kin to rows."""

import csv
import io
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any

from databox.errors import InvalidRecordError
from databox.files.columns import Column, Decision, Reading, decide
from databox.files.dialect import DELIMITERS, layout_of, names_of
from databox.files.source import Source
from databox.files.text import head_text, lines

__all__ = ["Delimited"]

SAMPLE = 10_000
"""Rows, out of the first megabyte, that decide what the columns are."""


class Delimited:
    """The rows of a delimited file.

    Args:
        source: where its bytes come from.
        encoding: the codec's name.
        delimiter: one character; found when None.
        header: the columns' names, when the file has no line of them.
        reading: how its cells are to be read.
        misfits: whether a cell that is not what its column is raises, or is read as null.

    Raises:
        InvalidRecordError: it cannot be cut into columns, or they cannot be told.
    """

    def __init__(
        self,
        source: Source,
        encoding: str,
        delimiter: str | None,
        header: Sequence[str] | None,
        reading: Reading,
        misfits: str,
    ) -> None:
        self._source, self._encoding, self._reading = source, encoding, reading
        self._misfits_raise = misfits == "raise"
        self.misfits: Counter[str] = Counter()
        self.blank = 0
        head = head_text(source, encoding)
        if "\0" in head:  # told with its line when that is read
            head = head[: head.index("\0")]
        self._layout = layout_of(head, delimiter)
        self._has_header = header is None
        sample = self._sample(head)
        fields = sample.pop(0) if self._has_header and sample else (1, list(header or ()))
        self._names = self._header(fields, sample)
        for line, row in sample:
            self._check_width(row, line)
        nulls = reading.nulls
        filled = [(line, self._cut(row)) for line, row in sample if not all(cell.strip() in nulls for cell in row)]
        self._decisions: list[Decision] = decide(source.name, self._names, filled, reading, self._layout.delimiter)
        self._sampled = len(filled)
        self.total_rows = len(filled) if source.is_whole and len(sample) < SAMPLE else None
        """How many rows there are, when all of them were in the sample."""
        for place, decision in enumerate(self._decisions):
            self._check_sample(decision, [(line, row[place]) for line, row in filled])

    @property
    def columns(self) -> tuple[Column, ...]:
        """What became of each column."""
        return tuple(decision.column for decision in self._decisions)

    @property
    def description(self) -> str:
        """Its delimiter, in words."""
        delimiter = self._layout.delimiter
        return DELIMITERS.get(delimiter, repr(delimiter)) if len(self._names) > 1 else "one column"

    def rows(self) -> Iterator[dict[str, Any]]:
        """Yield row by row.

        Raises:
            InvalidRecordError: a row has too many or too few cells, or one that does not fit its column.
        """
        nulls = frozenset(self._reading.nulls)
        columns = [(each.column.name, each.read) for each in self._decisions]
        width = len(columns)
        records = self._records(lines(self._source, self._source.stream(), self._encoding))
        if self._has_header:
            next(records, None)
        for line, cells in records:
            if len(cells) != width:
                self._check_width(cells, line)
            row: dict[str, Any] = {}
            empty = True
            for (name, read), cell in zip(columns, cells, strict=False):
                bare = cell.strip()
                if bare in nulls:
                    row[name] = None
                    continue
                empty = False
                if read is None:
                    row[name] = cell
                    continue
                try:
                    row[name] = read(bare)
                except ValueError as problem:
                    self._misfit(name, bare, line, problem)
                    row[name] = None
            if empty:
                self.blank += 1
            else:
                yield row

    def _records(self, text: Iterator[str]) -> Iterator[tuple[int, list[str]]]:
        """Lines to cells; empty lines are passed over, and line numbers are those of a row's first line."""
        skipped = self._layout.skip_lines
        reader = csv.reader(islice(text, skipped, None), delimiter=self._layout.delimiter, strict=True)
        while True:
            line = reader.line_num + skipped + 1
            try:
                cells = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                raise self._malformed(line, error) from None
            if cells:
                yield line, cells
            else:
                self.blank += 1

    def _sample(self, head: str) -> list[tuple[int, list[str]]]:
        """The first rows, without one that is cut off."""
        found: list[tuple[int, list[str]]] = []
        records = self._records(iter(io.StringIO(head, newline="")))
        try:
            found.extend(islice(records, SAMPLE + 2))
        except InvalidRecordError:
            if self._source.is_whole:
                raise
            # The cut may be within quotes. What is really malformed is met again when it is read.
            found.append((0, []))
        self.blank = 0
        found = found[:-1] if not self._source.is_whole and len(found) > 1 else found
        return found[: SAMPLE + self._has_header]

    def _header(self, fields: tuple[int, list[str]], sample: Sequence[tuple[int, list[str]]]) -> list[str]:
        """The columns' names, without the nameless one behind a delimiter at the end of each line."""
        line, names = fields
        last = len(names) - 1
        if last > 0 and not names[last].strip() and not any(row[last].strip() for _, row in sample if len(row) > last):
            names = names[:last]
        return names_of(self._source.name, names, line)

    def _cut(self, row: list[str]) -> list[str]:
        return row[: len(self._names)]

    def _check_width(self, cells: list[str], line: int) -> None:
        """Raise when a row has not as many cells as there are columns; empty ones behind the last do no harm."""
        known = len(self._names)
        if len(cells) >= known and not any(cell.strip() for cell in cells[known:]):
            return
        if not any(cell.strip() for cell in cells):
            cells.extend([""] * (known - len(cells)))
            return
        raise InvalidRecordError(
            f"{self._source.name}, line {line:,} has {len(cells)} fields, and there are {known} columns. A delimiter, "
            "quote or line break within a value must be in quotes; or the delimiter, here "
            f"{DELIMITERS.get(self._layout.delimiter, repr(self._layout.delimiter))}, is another: delimiter= "
            "(--delimiter)."
        )

    def _check_sample(self, decision: Decision, cells: Sequence[tuple[int, str]]) -> None:
        """Meet in the sample what does not fit a declared column, before anything is done with its rows."""
        if decision.read is None or decision.column.note != "declared" or not self._misfits_raise:
            return
        for line, cell in cells:
            bare = cell.strip()
            if bare in self._reading.nulls:
                continue
            try:
                decision.read(bare)
            except ValueError as problem:
                self._misfit(decision.column.name, bare, line, problem)

    def _misfit(self, name: str, cell: str, line: int, problem: ValueError) -> None:
        """Raise for a cell that is not what its column is, or count it."""
        if not self._misfits_raise:
            self.misfits[name] += 1
            return
        column = next(each for each in self.columns if each.name == name)
        shown = cell if len(cell) <= 80 else cell[:79] + "…"
        known = (
            f"was declared to be {column.type}"
            if column.note == "declared"
            else f"is {column.type} by the first {self._sampled:,} rows"
            if column.type != "empty"
            else f"was empty in the first {self._sampled:,} rows"
        )
        kind = "number" if column.type == "empty" else "text"
        raise InvalidRecordError(
            f"{self._source.name}, line {line:,}, column {name!r}: {shown!r} {problem}. The column {known}. Mend the "
            f"value; or declare the column, columns={{{name!r}: {kind!r}}} (--column {name!r}={kind}); or read such "
            'values as null, misfits="null" (--misfits null).',
            column=name,
        )

    def _malformed(self, line: int, error: csv.Error) -> InvalidRecordError:
        name = self._source.name
        if "field limit" in str(error):
            return InvalidRecordError(
                f"{name}: the row from line {line:,} has a field of more than {csv.field_size_limit():,} characters. A "
                "quote that is opened there and never closed? If not, raise csv.field_size_limit."
            )
        if "unexpected end" in str(error):
            return InvalidRecordError(f"{name}: the row from line {line:,} opens a quote that is never closed.")
        return InvalidRecordError(
            f"{name}, line {line:,}: a quote within a quoted value must be doubled, and a delimiter must follow a "
            f"closing one ({error})."
        )
