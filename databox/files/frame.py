"""Selects the rows of the table: those below the header and above the footer, as wide as the header."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, Protocol

import attrs

from databox.errors import InvalidRecordError
from databox.files.complaints import other_header, total_line, wrong_width
from databox.files.doubts import Line, is_header_again, is_total, names_of

__all__ = ["Cells", "Frame", "Shape", "is_bare"]

SAMPLE = 10_000
"""The number of rows that determine the columns."""
_AT_ONCE = 100
"""The number of rows that are returned together; that of a batch, so that none waits for long."""


class Cells(Protocol):
    """Rows of cells, as read from a file."""

    where: str
    """The file, and the unit in which its rows are counted: "orders.csv, line"."""
    delimiter: str
    typed: bool
    """Whether cells may be typed."""
    blank: int
    """How many empty ones were skipped."""

    def sample(self, most: int) -> tuple[list[Line], bool]:
        """Return the first rows, and whether they are all."""
        ...

    def rows(self) -> Iterator[Line]:
        """Yield all rows, from the first."""
        ...


@attrs.frozen(kw_only=True)
class Shape:
    """The caller's options for the rows."""

    header: Sequence[str] | None = None
    skip_lines: int | None = None
    skip_footer: int | None = None
    pad: bool = False
    misfits: str = "raise"


class Frame:
    """The rows of a table, each with as many cells as there are columns.

    Args:
        cells: the rows of cells.
        shape: the caller's options for them.

    Raises:
        InvalidRecordError: the columns have no valid names, or one of the first rows does not fit.
    """

    def __init__(self, cells: Cells, shape: Shape) -> None:
        self._cells, self._shape = cells, shape
        self._where = cells.where
        self._blank = 0
        self.repeated = 0
        """Repeated headers among the rows that were skipped."""
        found, is_whole = cells.sample(SAMPLE + 2)
        self.is_whole = is_whole and len(found) <= SAMPLE
        """Whether the sample contains all rows."""
        self.has_header = shape.header is None
        self.header_line = 0
        """The header's number; 0 if the caller passed names."""
        self.names = self._header(found)
        forms = (str, str.lower, str.upper, str.title, str.capitalize) if len(self.names) > 1 else ()
        self._telling = frozenset(form(name) for form in forms for name in self.names)
        """Names of which one in a row suggests a repeated header; in a single column it may be a value."""
        rows = self._telling_rows(found[self.has_header :][:SAMPLE])
        problem: InvalidRecordError | None = None
        if self.is_whole:
            rows, problem = self._without_footer(rows)
        self._sample: list[Line] = [(line, self._fitted(row, line)) for line, row in rows]
        if problem:
            raise problem
        self._blank = self.repeated = cells.blank = 0

    @property
    def blank(self) -> int:
        """How many empty rows were skipped."""
        return self._blank + self._cells.blank

    def take_sample(self) -> list[Line]:
        """Return the first rows; once, so that they are not kept."""
        sample, self._sample = self._sample, []
        return sample

    def chunks(self) -> Iterator[list[Line] | InvalidRecordError]:
        """Yield the rows, several at a time; an error is raised after the rows before it."""
        width = len(self.names)
        names = self._telling
        source = self._cells.rows()
        if self.has_header:
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
                end = max(0, len(chunk) - keep)
                chunk, held = chunk[:end], chunk[end:]
            fitting: list[Line] = []
            if all(len(row) == width for _, row in chunk):
                fitting = chunk
            else:
                try:
                    fitting.extend((line, self._fitted(row, line)) for line, row in chunk)
                except InvalidRecordError as error:
                    problem, is_last = error, True
            if fitting:
                yield fitting
            if problem:
                yield problem
            if is_last:
                return

    def _telling_rows(self, rows: Iterable[Line]) -> list[Line]:
        """The rows that are not empty and do not repeat the header."""
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
        """The last rows, without the declared footer; and the error about the very last, if any."""
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
        """Whether a row repeats the header, as in concatenated files.

        Raises:
            InvalidRecordError: it has these names in another order, so the following values would be in wrong columns.
        """
        if is_header_again(row, self.names):
            return True
        found = {
            bare for cell in row if isinstance(cell, str) and (bare := cell.strip().strip("\ufeff")) in self._telling
        }
        if len(found) < max(2, len(self.names) / 2):
            return False
        raise other_header(self._where, line, row)

    def _header(self, found: Sequence[Line]) -> list[str]:
        """The column names, without the nameless one after a trailing delimiter."""
        if not self.has_header:
            return list(self._shape.header or ())
        if not found:
            return []
        line, cells = found[0]
        names = list(cells)
        below = found[1:]
        while (
            len(names) > 1
            and is_bare(names[-1])
            and all(is_bare(row[len(names) - 1]) for _, row in below if len(row) >= len(names))
        ):
            names.pop()
        self.header_line = line
        return names_of(self._where, names, line, below)

    def _fitted(self, cells: list[Any], line: int, *, is_last: bool = False) -> list[Any]:
        """The cells, as many as there are columns; extra empty ones do no harm.

        Raises:
            InvalidRecordError: there are more, or fewer.
        """
        known = len(self.names)
        if len(cells) >= known and all(map(is_bare, cells[known:])):
            return cells[:known]
        if len(cells) < known and (self._shape.pad or all(map(is_bare, cells))):
            return [*cells, *[""] * (known - len(cells))]
        raise wrong_width(self._where, line, cells, known, self._cells.delimiter, is_last=is_last)


def is_bare(cell: Any) -> bool:
    """Whether a cell is empty."""
    return cell is None or (isinstance(cell, str) and not cell.strip())
