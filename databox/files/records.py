"""The rows of an open file, and how they are read."""

import os
from collections import Counter
from collections.abc import Iterator
from itertools import chain, islice
from types import TracebackType
from typing import Any, Literal, NoReturn, Self

import attrs

from databox.display import logger, visible
from databox.errors import InvalidRecordError
from databox.files.column import Column, Reading
from databox.files.conversion import columns_of, converted
from databox.files.delimited import Delimited
from databox.files.documents import json_lines, json_rows
from databox.files.formats import Format, format_by_content, format_by_name
from databox.files.frame import Shape
from databox.files.parquet import Parquet
from databox.files.places import Lines, Place
from databox.files.sheet import Sheet
from databox.files.source import Source
from databox.files.table import Table
from databox.files.text import find_encoding, head_text
from databox.files.typed import long_columns, without_long
from databox.wording import message, setting

__all__ = ["Misfits", "Options", "Records"]

Misfits = Literal["raise", "null"]

_PREVIEWED = 100
"""The number of rows of JSON or Parquet that determine the columns."""
log = logger("databox")


@attrs.frozen(kw_only=True)
class Options:
    """The caller's options for a file."""

    format: Format | None
    encoding: str | None
    delimiter: str | None
    max_field: int | None
    sheet: str | int | None
    rows_at: str | None
    allow_empty: bool
    shape: Shape


class Records(Iterator[dict[str, Any]]):
    """The rows of a file, and how it is read. Returned by `read_records`; closed after the last row, or by `with`."""

    def __init__(self, source: Source, reading: Reading, options: Options) -> None:
        self._source = source
        self.name = source.name
        self.format: Format = options.format or format_by_name(source) or "csv"
        self.misfits: Counter[str] = Counter()
        """How many values of each column were read as null because they did not fit."""
        self.total_rows: int | None = None
        """How many rows there are, if the file says so."""
        self.columns: tuple[Column, ...]
        """The type of each column. For JSON: from the first rows, from which later ones may differ."""
        self.encoding: str | None = None
        """The codec of the text; None if it is not text."""
        self.notes: list[str] = []
        """Points that deserve a second look."""
        self.is_guess = False
        """Whether the encoding is a guess, which is logged as a warning, and is the first of the notes."""
        self.description: str = self.format
        """A description of how the file is read."""
        self._table: Table | None = None
        self._parquet: Parquet | None = None
        self._lines: Lines | None = None
        self._rows: Iterator[dict[str, Any]]
        if self.format == "parquet":
            self.description = "Parquet"
            self._parquet = Parquet(source)
            self.total_rows = self._parquet.total_rows
            self._read_typed(self._parquet.rows(), reading, options, columns=self._parquet.columns)
        elif self.format == "excel":
            sheet = Sheet(source, options.sheet, options.shape.skip_lines, reading.nulls)
            self.notes += sheet.notes
            self._read_table(sheet, reading, options, f"sheet {sheet.title!r}")
        else:
            self._read_text(reading, options)
        self._refuse_ignored(options)
        if source.packed:
            self.description += f", {source.packed}"
        self._allows_empty = options.allow_empty
        if self.total_rows == 0 and not options.allow_empty:
            self.close()
            raise self._empty()

    @property
    def fraction(self) -> float | None:
        """How much of the file has been read, 0 to 1; None if its size is unknown."""
        return self._source.fraction

    @property
    def blank(self) -> int:
        """Lines without a value that were skipped."""
        return self._table.blank if self._table else 0

    @property
    def repeated(self) -> int:
        """Lines that repeat the header, as in concatenated files, and were skipped."""
        return self._table.repeated if self._table else 0

    def place(self, row: int) -> Place:
        """Return where a row that was given stands in the file.

        Args:
            row: its place among the rows, from 0.
        """
        if self._table:
            return self._table.place(row)
        line = self._lines.of(row) if self._lines else None
        return Place(self.name, "row", row + 1) if line is None else Place(self.name, "line", line)

    def close(self) -> None:
        """Close the file, if it was opened here."""
        if self._parquet:
            self._parquet.close()
        self._source.close()

    def __next__(self) -> dict[str, Any]:
        try:
            return next(self._rows)
        except StopIteration:
            self.close()
            if self._table and not self._table.given and not self._allows_empty:
                raise self._empty() from None
            raise
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        if not hasattr(self, "columns"):  # while the file is being opened, and if that failed
            return "<Records, not open>"
        return f"<Records of {visible(self.name)}: {visible(self.description)}, {len(self.columns)} columns>"

    def __reduce__(self) -> NoReturn:
        raise TypeError(
            f"The records of an open file ({self.name!r}) cannot be pickled. Pass the path on, and call read_records "
            "there; or pickle list(records)."
        )

    def _empty(self) -> InvalidRecordError:
        below = " below its header" if self._table and self.columns else ""
        return InvalidRecordError(
            message(f"{self.name} has no rows{below}. If that is expected, use ", setting("allow_empty", True), ".")
        )

    def _refuse_ignored(self, options: Options) -> None:
        """Refuse options that would select other rows or names, but mean nothing in this format."""
        shape = options.shape
        for_tables = {"header": shape.header, "skip_lines": shape.skip_lines, "skip_footer": shape.skip_footer}
        given = {} if self._table else for_tables
        if self.format != "json":
            given = given | {"rows_at": options.rows_at}
        name = next((name for name, value in given.items() if value), None)
        if name:
            self.close()
            raise InvalidRecordError(
                message(
                    f"{self.name} is read as {self.description}, in which ",
                    setting(name),
                    " has no meaning. Leave it out; or, if that is not what the file is, set ",
                    setting("format"),
                    ".",
                )
            )

    def _read_text(self, reading: Reading, options: Options) -> None:
        source = self._source
        source.refuse_foreign()
        self.encoding, note = find_encoding(source, options.encoding)
        spoken = _spoken(self.encoding)
        if note:
            self.notes.append(message(f"The encoding, {spoken}, is ", note, "."))
            self.is_guess = True
            log.warning("%s: %s", self.name, self.notes[-1])
        is_csv = options.delimiter is not None or options.shape.header is not None
        self.format = options.format or format_by_content(
            source, self.encoding, is_csv=is_csv, is_json=options.rows_at is not None
        )
        if self.format in {"csv", "tsv"}:
            delimiter = options.delimiter
            if self.format == "tsv" and "\t" in head_text(source, self.encoding):
                delimiter = delimiter or "\t"
            lines, most = options.shape.skip_lines, options.max_field
            cells = Delimited(source, self.encoding, delimiter, lines, most, is_sure=is_csv)
            self._read_table(cells, reading, options, "")
            self.description = f"{self.format.upper()}, {cells.description(len(self.columns))}, {spoken}"
        else:
            is_lines = self.format == "jsonl"
            if is_lines:
                self._lines = Lines()
                rows = json_lines(source, self.encoding, self._lines)
            else:
                rows = json_rows(source, self.encoding, options.rows_at)
            self._read_typed(rows, reading, options, as_sent=is_lines and _are_letters(source))
            self.description = f"{'JSON Lines' if is_lines else 'JSON'}, {spoken}"

    def _read_table(self, cells: Delimited | Sheet, reading: Reading, options: Options, description: str) -> None:
        self._table = Table(cells, reading, options.shape)
        if isinstance(cells, Sheet):
            cells.check_merged(self._table.header_line)
        self.misfits = self._table.misfits
        self.columns = self._table.columns
        self.total_rows = self._table.total_rows
        self.description = description
        self._rows = self._table.rows()

    def _read_typed(
        self,
        rows: Iterator[Any],
        reading: Reading,
        options: Options,
        columns: tuple[Column, ...] | None = None,
        *,
        as_sent: bool = False,
    ) -> None:
        """Read typed rows, with the declared columns converted."""
        first = list(islice(rows, _PREVIEWED))
        if columns is None:
            self.total_rows = len(first) if len(first) < _PREVIEWED else None
        long = set[str]() if as_sent else long_columns(first) - set(reading.declared)
        self.columns = tuple(columns_of(first, reading, long, columns))
        self._find_declared(reading, known=columns is not None)
        found = converted(self.name, chain(first, rows), reading, options.shape.misfits, self.misfits)
        self._rows = found if as_sent else without_long(self.name, found, long)

    def _find_declared(self, reading: Reading, *, known: bool) -> None:
        """Tell of a declared column that is not there, which may be misspelled; a JSON object may lack one."""
        names = [column.name for column in self.columns]
        for name in reading.declared:
            if name in names:
                continue
            if known:
                raise InvalidRecordError(
                    f"{self.name} has no column {name!r}. It has: {', '.join(map(repr, names))}.", column=name
                )
            self.notes.append(f"No value of the sample is in the declared column {name!r}.")


def _are_letters(source: Source) -> bool:
    """Whether these are dead letters, whose numbers are sent again unchanged, with all their digits."""
    return os.path.exists(f"{source.name}.reasons.jsonl")


def _spoken(encoding: str) -> str:
    return {"utf-8": "UTF-8", "utf-8-sig": "UTF-8", "cp1252": "Windows-1252", "utf-16": "UTF-16"}.get(
        encoding, encoding
    )
