"""`read_records`: rows of a file of any size, at flat memory."""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import chain, islice
from os import PathLike
from pathlib import PurePath
from types import TracebackType
from typing import IO, Any, Literal, Self, cast

from databox.errors import InvalidRecordError
from databox.files.columns import Column, ColumnType, Reading, declared_reader
from databox.files.delimited import Delimited
from databox.files.documents import holds_lines, json_lines, json_rows
from databox.files.numerals import Mark
from databox.files.parquet import Parquet
from databox.files.source import Source
from databox.files.text import find_encoding, head_text

__all__ = ["Format", "Misfits", "Records", "read_records"]

Format = Literal["csv", "tsv", "json", "jsonl", "parquet"]
Misfits = Literal["raise", "null"]

FORMATS = ("csv", "tsv", "json", "jsonl", "parquet")
_SUFFIXES: dict[str, Format] = {
    ".csv": "csv",
    ".txt": "csv",
    ".tsv": "tsv",
    ".tab": "tsv",
    ".json": "json",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".parquet": "parquet",
    ".pq": "parquet",
}
_PREVIEWED = 100
"""Rows of JSON that are looked at to say what the columns are."""


def read_records(
    source: str | PathLike[str] | IO[bytes] | IO[str],
    *,
    format: Format | None = None,
    encoding: str | None = None,
    delimiter: str | None = None,
    header: Sequence[str] | None = None,
    columns: Mapping[str, str] | None = None,
    decimal: Mark | None = None,
    dayfirst: bool | None = None,
    date_format: str | None = None,
    nulls: Collection[str] = (),
    misfits: Misfits = "raise",
) -> "Records":
    """Return an iterator of a file's rows, as `ingest` takes them; at flat memory, whatever the file's size.

    Each column of a CSV file has one type, by the first 10,000 rows of its first megabyte: `number`, `date`,
    `datetime`, or `text`, which everything is that is not plainly something else; so are numbers with leading zeros, a
    plus sign or more digits than a number holds exactly. A later value that does not fit is an error. The result's
    `columns` says what each became, and why.

    Args:
        source: a path, `-` for standard input, or a file open for reading. It may be packed with gzip or zstd.
        format: `csv`, `tsv`, `json` (an array of objects), `jsonl` (one object a line) or `parquet`; found by the name
            or the content without. A `delimiter` or a `header` says that it is `csv`, where the name does not tell.
        encoding: of the text; without, by its byte order mark, else UTF-8, else Windows-1252.
        delimiter: one character; found without.
        header: the columns' names, when the file has no line with them.
        columns: types that you decide: name to `text`, `number`, `date`, `datetime`, `boolean` or `date:FORMAT`, where
            FORMAT is a strptime pattern. A number may then have a currency or percent sign, which is left out.
        decimal: the decimal mark, "," or "."; found without.
        dayfirst: whether the day comes before the month where a column's dates do not tell.
        date_format: a strptime pattern such as `%d/%m/%Y` for all columns whose values have that form.
        nulls: values that mean nothing, such as `n/a`. Empty ones always do.
        misfits: "raise" for a value that does not fit its column, or "null" to read it as null and count it in the
            result's `misfits`.

    Raises:
        InvalidRecordError: the file cannot be read as rows, or leaves something open that you have to say. While
            iterating, too: the message names file, line, column, value and remedy.
        OSError: the file cannot be opened.
        ImportError: an extra is missing: `databox-sdk[files]` for JSON arrays and zstd, `databox-sdk[parquet]`.
        TypeError, ValueError, LookupError: an argument is wrong.
    """
    _check("format", format, FORMATS)
    _check("decimal", decimal, (".", ","))
    if misfits not in {"raise", "null"}:
        raise ValueError(f'misfits must be "raise" or "null", not {misfits!r}.')
    if delimiter is not None and (len(delimiter) != 1 or delimiter in '\r\n"'):
        raise ValueError(f"delimiter must be one character, not {delimiter!r}.")
    reading = Reading(
        declared=dict(columns or {}),
        decimal=decimal,
        order=None if dayfirst is None else "day" if dayfirst else "month",
        date_format=date_format,
        nulls=frozenset({"", *nulls}),
    )
    for kind in reading.declared.values():
        declared_reader(kind, reading)
    opened = Source(source)
    try:
        return Records(opened, format, encoding, delimiter, header, reading, misfits)
    except BaseException:
        opened.close()
        raise


class Records(Iterator[dict[str, Any]]):
    """The rows of a file, and how it is read. Made by `read_records`; closed at the end of the rows, or by `with`."""

    def __init__(
        self,
        source: Source,
        format: Format | None,
        encoding: str | None,
        delimiter: str | None,
        header: Sequence[str] | None,
        reading: Reading,
        misfits: Misfits,
    ) -> None:
        self._source = source
        self.name = source.name
        self.format: Format = format or _format_by_name(source) or "csv"
        self.misfits: Counter[str] = Counter()
        """How many values of each column were read as null because they did not fit."""
        self.total_rows: int | None = None
        """How many rows there are, where the file says so."""
        self.columns: tuple[Column, ...]
        """What each column is. For JSON: by its first rows, which later ones need not be like."""
        self.encoding: str | None = None
        """The codec of the text; None for Parquet."""
        self.notes: list[str] = []
        """What to look at twice."""
        self.description: str = self.format
        """How the file is read, in words."""
        self._delimited: Delimited | None = None
        self._parquet: Parquet | None = None
        if self.format == "parquet":
            self._parquet = Parquet(source)
            self.columns = self._parquet.columns
            self.total_rows = self._parquet.total_rows
            self._rows = self._converted(self._parquet.rows(), reading, misfits)
        else:
            self.encoding, note = find_encoding(source, encoding)
            if note:
                self.notes.append(f"The encoding, {_spoken(self.encoding)}, is {note} (encoding=, --encoding).")
            self.format = format or _format_by_content(source, self.encoding, delimiter, header)
            if self.format in {"csv", "tsv"}:
                self._read_delimited("\t" if self.format == "tsv" else delimiter, header, reading, misfits)
            else:
                read = json_lines if self.format == "jsonl" else json_rows
                self._read_documents(read(source, self.encoding), reading, misfits)
            self.description += f", {_spoken(self.encoding)}"
        if source.packed:
            self.description += f", {source.packed}"

    @property
    def fraction(self) -> float | None:
        """How much of the file has been read, 0 to 1; None when its size is not known."""
        return self._source.fraction

    @property
    def blank(self) -> int:
        """Lines that held no value and were passed over."""
        return self._delimited.blank if self._delimited else 0

    def close(self) -> None:
        """Close the file, if it was opened here."""
        if self._parquet:
            self._parquet.close()
        self._source.close()

    def __next__(self) -> dict[str, Any]:
        try:
            return next(self._rows)
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
        if not hasattr(self, "description"):  # while the file is opened, and when that has failed
            return "<Records, not open>"
        return f"<Records of {self.name}: {self.description}, {len(self.columns)} columns>"

    def _read_delimited(
        self, delimiter: str | None, header: Sequence[str] | None, reading: Reading, misfits: Misfits
    ) -> None:
        assert self.encoding
        self._delimited = Delimited(self._source, self.encoding, delimiter, header, reading, misfits)
        self.misfits = self._delimited.misfits
        self.columns = self._delimited.columns
        self.total_rows = self._delimited.total_rows
        self.description = f"{self.format.upper()}, {self._delimited.description}"
        self._rows = self._delimited.rows()

    def _read_documents(self, rows: Iterator[Any], reading: Reading, misfits: Misfits) -> None:
        first = list(islice(rows, _PREVIEWED))
        self.total_rows = len(first) if len(first) < _PREVIEWED else None
        self.columns = tuple(_columns_of(first, reading))
        self.description = "JSON Lines" if self.format == "jsonl" else "JSON"
        self._rows = self._converted(chain(first, rows), reading, misfits)

    def _converted(self, rows: Iterator[Any], reading: Reading, misfits: Misfits) -> Iterator[dict[str, Any]]:
        """Rows that have types already, with those columns converted that were declared."""
        readers = {name: declared_reader(kind, reading) or str for name, kind in reading.declared.items()}
        if not readers and reading.nulls == {""}:
            return rows
        return self._each_converted(rows, readers, reading, misfits)

    def _each_converted(
        self, rows: Iterator[Any], readers: Mapping[str, Any], reading: Reading, misfits: Misfits
    ) -> Iterator[dict[str, Any]]:
        named = reading.nulls - {""} if isinstance(reading.nulls, frozenset) else frozenset[str]()
        for index, row in enumerate(rows):
            for name, value in row.items():
                if isinstance(value, str) and value in named:
                    row[name] = None
                elif name in readers and (isinstance(value, str) or readers[name] is str) and value is not None:
                    try:
                        row[name] = readers[name](value)
                    except ValueError as problem:
                        if misfits == "raise":
                            raise InvalidRecordError(
                                f"{self.name}, row {index:,}, column {name!r}: {value!r} {problem}. The column was "
                                f"declared to be {reading.declared[name]}. Mend the value, or read such values "
                                'as null, misfits="null" (--misfits null).',
                                index=index,
                                column=name,
                            ) from None
                        row[name] = None
                        self.misfits[name] += 1
            yield row


def _check(name: str, value: object, allowed: Sequence[str]) -> None:
    if value is not None and value not in allowed:
        raise ValueError(f"{name} must be one of {', '.join(map(repr, allowed))}, not {value!r}.")


def _format_by_name(source: Source) -> Format | None:
    path = PurePath(source.name)
    if path.suffix.lower() in {".gz", ".gzip", ".zst", ".zstd"}:
        path = path.with_suffix("")
    found = _SUFFIXES.get(path.suffix.lower())
    return "parquet" if found is None and source.head.startswith(b"PAR1") else found


def _format_by_content(source: Source, encoding: str, delimiter: str | None, header: Sequence[str] | None) -> Format:
    """The format by how the text begins, as far as the file's name leaves it open, and what only CSV has."""
    found = _format_by_name(source)
    if found is None and (delimiter is not None or header is not None):
        return "csv"
    if found not in {"json", None}:
        return found or "csv"
    start = head_text(source, encoding).lstrip("\ufeff \t\r\n")
    if start[:1] == "{" and holds_lines(start):
        return "jsonl"
    return found or ("json" if start[:1] in {"[", "{"} and start else "csv")


_JSON_TYPES: dict[Any, ColumnType] = {str: "text", bool: "boolean", int: "number", float: "number"}


def _columns_of(rows: Sequence[Any], reading: Reading) -> Iterator[Column]:
    """What the columns of some JSON rows are."""
    seen: dict[str, dict[str, Any]] = {}
    for row in cast("Sequence[dict[str, Any]]", rows):
        for name, value in row.items():
            kinds = seen.setdefault(name, {})
            kind = cast("Any", type(value))
            if value is not None:
                kinds.setdefault(_JSON_TYPES.get(kind, "nested"), value)
    for name, kinds in seen.items():
        example = str(next(iter(kinds.values()), ""))[:40]
        if name in reading.declared:
            kind = reading.declared[name].partition(":")[0]
            yield Column(name=name, type=kind, note="declared", example=example)
        else:
            note = "mixed types: declare one" if len(kinds) > 1 else ""
            yield Column(name=name, type=" or ".join(kinds) or "empty", note=note, example=example)


def _spoken(encoding: str) -> str:
    return {"utf-8": "UTF-8", "utf-8-sig": "UTF-8", "cp1252": "Windows-1252", "utf-16": "UTF-16"}.get(
        encoding, encoding
    )
