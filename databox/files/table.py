"""Turns rows of cells into rows with names and types: common to delimited files and sheets."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import attrs

from databox.errors import InvalidRecordError
from databox.files.column import Column, Decision, Reading
from databox.files.columns import decide
from databox.files.complaints import misfit, total_line
from databox.files.doubts import Line, check_header, check_names, check_second_header, totals_line
from databox.files.frame import Cells, Frame, Shape, is_bare
from databox.files.places import Lines, Place
from databox.files.typed import typed_reader

__all__ = ["Table"]


class Table:
    """Rows with names and types, from rows of cells.

    Args:
        cells: the rows of cells.
        reading: how to read them.
        shape: the caller's options for them.

    Raises:
        InvalidRecordError: the columns cannot be determined, or the rows are not what they seem to be.
    """

    def __init__(self, cells: Cells, reading: Reading, shape: Shape) -> None:
        self._frame = frame = Frame(cells, shape)
        self._reading, self._shape = reading, shape
        self._where = cells.where
        self.misfits: Counter[str] = Counter()
        self._lines = Lines()
        self._blank = 0
        names, rows = frame.names, frame.take_sample()
        if shape.skip_lines is None and rows:
            if frame.has_header:
                declared = {place for place, name in enumerate(names) if name in reading.declared}
                check_second_header(self._where, frame.header_line, rows, declared)
            else:
                check_names(self._where, rows[0][0], names, rows[0][1], rows[1:])
        self._decisions: list[Decision] = decide(self._where, names, rows, reading, cells.delimiter)
        if cells.typed:
            self._decisions = [attrs.evolve(each, read=_typed_reader(each), read_many=None) for each in self._decisions]
        self._sampled = len(rows)
        if shape.skip_lines is None and frame.has_header:
            check_header(self._where, frame.header_line, names, self._decisions, rows)
        self.total_rows: int | None = None
        """How many rows there are, if all of them are in the sample."""
        if frame.is_whole:
            self.total_rows = sum(not self._is_empty(row) for _, row in rows)
            if shape.skip_footer is None and totals_line(rows, self._decisions, reading.nulls):
                raise total_line(self._where, *rows[-1])
        for place, decision in enumerate(self._decisions):
            self._check_sample(decision, [(line, row[place]) for line, row in rows])

    @property
    def blank(self) -> int:
        """How many rows without a value were skipped."""
        return self._blank + self._frame.blank

    @property
    def repeated(self) -> int:
        """How many repeated headers among the rows were skipped."""
        return self._frame.repeated

    @property
    def given(self) -> int:
        """How many rows have been given."""
        return self._lines.rows

    def place(self, row: int) -> Place:
        """Return where a row stands that was given."""
        where, _, unit = self._where.rpartition(", ")
        line = self._lines.of(row)
        return Place(where, "row", row + 1) if line is None else Place(where, unit, line)

    @property
    def header_line(self) -> int:
        """The number of the header's line or row; 0 if the caller passed names."""
        return self._frame.header_line

    @property
    def columns(self) -> tuple[Column, ...]:
        """How each column was read."""
        return tuple(decision.column for decision in self._decisions)

    def rows(self) -> Iterator[dict[str, Any]]:
        """Yield row by row.

        Raises:
            InvalidRecordError: a row has too many or too few cells, or one that does not fit its column.
        """
        names = self._frame.names
        readers = [_column_reader(decision, self._reading.nulls) for decision in self._decisions]
        for chunk in self._frame.chunks():
            if isinstance(chunk, InvalidRecordError):
                raise chunk from None
            try:
                columns = [
                    read(column)
                    for read, column in zip(readers, zip(*(row for _, row in chunk), strict=True), strict=True)
                ]
            except ValueError:
                yield from self._one_by_one(chunk)
                continue
            # There are as many values as names; checking that with `strict` would take half as long again.
            rows = [dict(zip(names, values)) for values in zip(*columns, strict=True)]  # noqa: B905
            lines = [line for line, _ in chunk]
            if all(None in column for column in columns):  # then a row may be empty
                whole = [n for n, row in enumerate(rows) if any(value is not None for value in row.values())]
                self._blank += len(rows) - len(whole)
                rows, lines = [rows[n] for n in whole], [lines[n] for n in whole]
            if rows and lines[-1] - lines[0] + 1 == len(lines):
                self._lines.follow(lines[0], len(lines))
            else:
                for line in lines:
                    self._lines.follow(line)
            yield from rows

    def _one_by_one(self, chunk: list[Line]) -> Iterator[dict[str, Any]]:
        """Rows at least one of which has a cell that does not fit."""
        nulls = self._reading.nulls
        for line, cells in chunk:
            row: dict[str, Any] = {}
            for decision, cell in zip(self._decisions, cells, strict=True):
                name = decision.column.name
                bare = cell.strip() if isinstance(cell, str) else cell
                if bare is None or (isinstance(bare, str) and bare in nulls):
                    row[name] = None
                elif decision.read is None:
                    row[name] = cell
                else:
                    try:
                        row[name] = decision.read(cell if decision.column.type == "text" else bare)
                    except ValueError as problem:
                        self._misfit(decision.column, bare, line, problem)
                        row[name] = None
            if self._is_empty(cells):
                self._blank += 1
            else:
                self._lines.follow(line)
                yield row

    def _is_empty(self, cells: Sequence[Any]) -> bool:
        nulls = self._reading.nulls
        return all(cell is None or (isinstance(cell, str) and cell.strip() in nulls) for cell in cells)

    def _check_sample(self, decision: Decision, cells: Sequence[tuple[int, Any]]) -> None:
        """Check the sample for values that do not fit a declared column, before its rows are used."""
        if decision.read is None or decision.column.note != "declared" or self._shape.misfits != "raise":
            return
        for line, cell in cells:
            bare = cell.strip() if isinstance(cell, str) else cell
            if bare is None or bare in self._reading.nulls:
                continue
            try:
                decision.read(bare)
            except ValueError as problem:
                self._misfit(decision.column, bare, line, problem)

    def _misfit(self, column: Column, cell: Any, line: int, problem: ValueError) -> None:
        """Raise for a cell that does not fit its column, or count it."""
        name = column.name
        if self._shape.misfits != "raise":
            self.misfits[name] += 1
            return
        raise misfit(self._where, line, column, cell, problem, self._sampled)


def _typed_reader(decision: Decision) -> Callable[[Any], Any]:
    column = decision.column
    return typed_reader(column.type, decision.read, is_declared=column.note == "declared")


def _column_reader(decision: Decision, nulls: Any) -> Callable[[Sequence[Any]], Sequence[Any]]:
    """The function that reads many cells of a column at once; it raises ValueError if they must be read one by one."""
    read, read_many = decision.read, decision.read_many
    if read is None:
        if len(nulls) == 1:
            return _texts
        return lambda cells: [None if cell.strip() in nulls else cell for cell in cells]
    if read_many is None or len(nulls) > 1:
        # `read` refuses values with surrounding spaces, which are stripped and read again.
        return lambda cells: [None if is_bare(cell) or cell in nulls else read(cell) for cell in cells]
    return lambda cells: read_many(cells) or [None if cell in nulls else read(cell) for cell in cells]


def _texts(cells: Sequence[str]) -> Sequence[str | None]:
    if all(cells) and not any(map(str.isspace, cells)):
        return cells
    return [cell if cell and not cell.isspace() else None for cell in cells]
