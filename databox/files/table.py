"""Rows of cells to rows with names: what delimited files and sheets have in common."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, Protocol

import attrs

from databox.errors import InvalidRecordError
from databox.files.column import Column, Decision, Reading
from databox.files.columns import decide
from databox.files.complaints import misfit, other_header, total_line, wrong_width
from databox.files.doubts import (
    Line,
    check_header,
    check_names,
    check_second_header,
    is_header_again,
    is_total,
    names_of,
    totals_line,
)
from databox.files.typed import typed_reader

__all__ = ["SAMPLE", "Cells", "Shape", "Table"]

SAMPLE = 10_000
"""Rows that decide what the columns are."""
_AT_ONCE = 100
"""Rows that are converted together; as many as a batch has, so that none waits for long."""


class Cells(Protocol):
    """Rows of cells, as a file of some format has them."""

    where: str
    """The file, and the unit in which its rows are counted: "orders.csv, line"."""
    delimiter: str
    typed: bool
    """Whether cells may have types of their own."""
    blank: int
    """How many empty ones were passed over."""

    def sample(self, most: int) -> tuple[list[Line], bool]:
        """Return the first rows, and whether they are all."""
        ...

    def rows(self) -> Iterator[Line]:
        """Yield all rows, from the first."""
        ...


@attrs.frozen(kw_only=True)
class Shape:
    """What the caller said of the rows."""

    header: Sequence[str] | None = None
    skip_lines: int | None = None
    skip_footer: int | None = None
    pad: bool = False
    misfits: str = "raise"


class Table:
    """Rows with names and types, out of rows of cells.

    Args:
        cells: the rows of cells.
        reading: how they are to be read.
        shape: what the caller said of them.

    Raises:
        InvalidRecordError: the columns cannot be told, or the rows are not what they seem to be.
    """

    def __init__(self, cells: Cells, reading: Reading, shape: Shape) -> None:
        self._cells, self._reading, self._shape = cells, reading, shape
        self._where = cells.where
        self.misfits: Counter[str] = Counter()
        self._blank = 0
        self.repeated = 0
        """Headers that came again among the rows and were passed over."""
        found, is_whole = cells.sample(SAMPLE + 2)
        is_whole = is_whole and len(found) <= SAMPLE
        self._has_header = shape.header is None
        self.header_line = 0
        """Its number; 0 when names were given."""
        self._names = self._header(found)
        self._telling = frozenset(self._names) if len(self._names) > 1 else frozenset[str]()
        """Names of which one in a row suggests the header once more; in a single column it may be a value."""
        sample = self._telling_rows(found[self._has_header :][:SAMPLE])
        if is_whole:
            sample, problem = self._without_footer(sample)
            if problem:
                raise problem
        self.total_rows: int | None = None
        """How many rows there are, when all of them were in the sample."""
        rows = [(line, self._fitted(row, line)) for line, row in sample]
        if shape.skip_lines is None and rows:
            if self._has_header:
                declared = {place for place, name in enumerate(self._names) if name in reading.declared}
                check_second_header(self._where, self.header_line, rows, declared)
            else:
                check_names(self._where, rows[0][0], self._names, rows[0][1], rows[1:])
        self._decisions: list[Decision] = decide(self._where, self._names, rows, reading, cells.delimiter)
        if cells.typed:
            self._decisions = [
                attrs.evolve(each, read=typed_reader(each.column.type, each.read), read_many=None)
                for each in self._decisions
            ]
        self._sampled = len(rows)
        if shape.skip_lines is None and self._has_header:
            check_header(self._where, self.header_line, self._names, self._decisions, rows)
        if is_whole:
            self.total_rows = sum(not self._is_empty(row) for _, row in rows)
            if shape.skip_footer is None and totals_line(rows, self._decisions, reading.nulls):
                raise total_line(self._where, *rows[-1])
        for place, decision in enumerate(self._decisions):
            self._check_sample(decision, [(line, row[place]) for line, row in rows])
        self._blank = self.repeated = cells.blank = 0

    @property
    def blank(self) -> int:
        """How many rows held no value and were passed over."""
        return self._blank + self._cells.blank

    @property
    def columns(self) -> tuple[Column, ...]:
        """What became of each column."""
        return tuple(decision.column for decision in self._decisions)

    def rows(self) -> Iterator[dict[str, Any]]:
        """Yield row by row.

        Raises:
            InvalidRecordError: a row has too many or too few cells, or one that does not fit its column.
        """
        names = self._names
        readers = [_column_reader(decision, self._reading.nulls) for decision in self._decisions]
        for chunk in self._chunks():
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
            # There are as many values as names; to say so with `strict` takes half as long again.
            rows = [dict(zip(names, values)) for values in zip(*columns, strict=True)]  # noqa: B905
            if all(None in column for column in columns):  # then a row may be empty
                whole = [row for row in rows if any(value is not None for value in row.values())]
                self._blank += len(rows) - len(whole)
                rows = whole
            yield from rows

    def _chunks(self) -> Iterator[list[Line] | InvalidRecordError]:
        """The rows, some at a time; an error comes after the rows before it."""
        width = len(self._names)
        names = self._telling
        source = self._cells.rows()
        if self._has_header:
            next(source, None)
        keep = 1 if self._shape.skip_footer is None else self._shape.skip_footer
        held: list[Line] = []
        while True:
            chunk: list[Line] = []
            problem: InvalidRecordError | None = None
            try:
                chunk.extend(islice(source, _AT_ONCE))
                is_last = len(chunk) < _AT_ONCE
                rows = [row for _, row in chunk]
                if not (all(map(any, rows)) and {*map(len, rows)} <= {width} and all(map(names.isdisjoint, rows))):
                    chunk = self._telling_rows(chunk)
            except InvalidRecordError as error:
                problem, is_last = error, True
            chunk = held + chunk
            if is_last and not problem:
                chunk, problem = self._without_footer(chunk)
            elif not is_last:
                chunk, held = chunk[: len(chunk) - keep], chunk[len(chunk) - keep :]
            fitting: list[Line] = []
            try:
                fitting.extend((line, row if len(row) == width else self._fitted(row, line)) for line, row in chunk)
            except InvalidRecordError as error:
                problem, is_last = error, True
            if fitting:
                yield fitting
            if problem:
                yield problem
            if is_last:
                return

    def _telling_rows(self, rows: Iterable[Line]) -> list[Line]:
        """Those rows that hold something, and are not the header once more."""
        found: list[Line] = []
        for line, row in rows:
            if not any(row) and all(cell is None or cell == "" for cell in row):
                self._blank += 1
            elif not self._telling.isdisjoint(row) and self._is_header_again(line, row):
                self.repeated += 1
            else:
                found.append((line, row))
        return found

    def _without_footer(self, rows: list[Line]) -> tuple[list[Line], InvalidRecordError | None]:
        """The last rows, without those that are said to be none; and what is to be asked about the very last."""
        footer = self._shape.skip_footer
        if footer is not None:
            return rows[: len(rows) - footer] if footer <= len(rows) else [], None
        if not rows:
            return rows, None
        line, last = rows[-1]
        if is_total(last):
            return rows[:-1], total_line(self._where, line, last)
        try:
            return [*rows[:-1], (line, self._fitted(last, line, is_last=True))], None
        except InvalidRecordError as error:
            return rows[:-1], error

    def _is_header_again(self, line: int, row: list[Any]) -> bool:
        """Whether a row is the header once more, as where files were put together.

        Raises:
            InvalidRecordError: it has these names in other places, so what follows would be in wrong columns.
        """
        if is_header_again(row, self._names):
            return True
        found = {
            bare for cell in row if isinstance(cell, str) and (bare := cell.strip().strip("\ufeff")) in self._telling
        }
        if len(found) < max(2, len(self._names) / 2):
            return False
        raise other_header(self._where, line, row)

    def _one_by_one(self, chunk: list[Line]) -> Iterator[dict[str, Any]]:
        """Rows of which at least one has a cell that does not fit."""
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
                yield row

    def _is_empty(self, cells: Sequence[Any]) -> bool:
        nulls = self._reading.nulls
        return all(cell is None or (isinstance(cell, str) and cell.strip() in nulls) for cell in cells)

    def _header(self, found: Sequence[Line]) -> list[str]:
        """The columns' names, without the nameless one behind a delimiter at the end of each line."""
        if not self._has_header:
            return list(self._shape.header or ())
        if not found:
            return []
        line, cells = found[0]
        names = list(cells)
        below = found[1:]
        while (
            len(names) > 1
            and _is_bare(names[-1])
            and all(_is_bare(row[len(names) - 1]) for _, row in below if len(row) >= len(names))
        ):
            names.pop()
        self.header_line = line
        return names_of(self._where, names, line, below)

    def _fitted(self, cells: list[Any], line: int, *, is_last: bool = False) -> list[Any]:
        """The cells, as many as there are columns; empty ones behind the last do no harm.

        Raises:
            InvalidRecordError: there are more, or less.
        """
        known = len(self._names)
        if len(cells) >= known and all(map(_is_bare, cells[known:])):
            return cells[:known]
        if len(cells) < known and (self._shape.pad or all(map(_is_bare, cells))):
            return [*cells, *[""] * (known - len(cells))]
        raise wrong_width(self._where, line, cells, known, self._cells.delimiter, is_last=is_last)

    def _check_sample(self, decision: Decision, cells: Sequence[tuple[int, Any]]) -> None:
        """Meet in the sample what does not fit a declared column, before anything is done with its rows."""
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
        """Raise for a cell that is not what its column is, or count it."""
        name = column.name
        if self._shape.misfits != "raise":
            self.misfits[name] += 1
            return
        raise misfit(self._where, line, column, cell, problem, self._sampled)


def _column_reader(decision: Decision, nulls: Any) -> Callable[[Sequence[Any]], Sequence[Any]]:
    """What reads many cells of a column at once; it raises ValueError where one by one has to be told which."""
    read, read_many = decision.read, decision.read_many
    if read is None:
        if len(nulls) == 1:
            return _texts
        return lambda cells: [None if cell.strip() in nulls else cell for cell in cells]
    if read_many is None or len(nulls) > 1:
        # What is not bare is no value to `read`, and looked at once more, stripped.
        return lambda cells: [None if _is_bare(cell) or cell in nulls else read(cell) for cell in cells]
    return lambda cells: read_many(cells) or [None if cell in nulls else read(cell) for cell in cells]


def _texts(cells: Sequence[str]) -> Sequence[str | None]:
    if all(cells) and not any(map(str.isspace, cells)):
        return cells
    return [cell if cell and not cell.isspace() else None for cell in cells]


def _is_bare(cell: Any) -> bool:
    return cell is None or (isinstance(cell, str) and not cell.strip())
