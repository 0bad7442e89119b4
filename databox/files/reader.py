"""`read_records`: rows of a file of any size, with constant memory use."""

from collections.abc import Collection, Mapping, Sequence
from os import PathLike
from typing import IO, Any

from databox.files.column import Reading
from databox.files.columns import declared_reader
from databox.files.dates import with_format
from databox.files.formats import FORMATS, Format
from databox.files.frame import Shape
from databox.files.numerals import Mark
from databox.files.records import Misfits, Options, Records
from databox.files.source import Source
from databox.misuse import ArgumentValueError
from databox.wording import message, setting

__all__ = ["Misfits", "Records", "read_records"]

_MOST = 2**31 - 1
"""Of lines or characters; the csv module takes no more."""


def read_records(
    source: str | PathLike[str] | IO[bytes] | IO[str],
    *,
    format: Format | None = None,
    encoding: str | None = None,
    delimiter: str | None = None,
    header: Sequence[str] | None = None,
    skip_lines: int | None = None,
    skip_footer: int | None = None,
    pad: bool = False,
    max_field: int | None = None,
    sheet: str | int | None = None,
    rows_at: str | None = None,
    columns: Mapping[str, str] | None = None,
    decimal: Mark | None = None,
    dayfirst: bool | None = None,
    date_format: str | None = None,
    nulls: Collection[str] = (),
    misfits: Misfits = "raise",
    allow_empty: bool = False,
) -> Records:
    """Return an iterator over a file's rows, ready for `ingest`; memory use is constant, whatever the file's size.

    Each column of a CSV file or a sheet has one type, determined by its first 10,000 rows (of a file: of its first
    megabyte): `number`, `date`, `datetime`, or `text` for everything else, including numbers with leading zeros, a plus
    sign or more digits than a number holds exactly. A later value that does not fit is an error, and so is anything
    ambiguous: the message names the argument that resolves it. The result's `columns` says what type each column has,
    and why.

    Args:
        source: a path, `-` for standard input, or a file open for reading (of fsspec, too). It may be
            compressed with gzip or zstd.
        format: `csv`, `tsv`, `json` (an array of objects), `jsonl` (one object per line), `parquet` or `excel`;
            detected from the name or the content if omitted. A `delimiter` or a `header` implies `csv`, unless the
            name says otherwise.
        encoding: the text encoding; if omitted, detected by a byte order mark, then UTF-8, then Windows-1252.
        delimiter: one character; detected if omitted.
        header: the column names, if the file has no header line.
        skip_lines: the number of lines (in a sheet: rows) before the header, or before the first row if `header` names
            the columns. 0 means that the first line is used as it is.
        skip_footer: the number of last rows that are not data: totals, notes. 0 means that the last one is a row.
        pad: whether rows may end early: missing columns are null.
        max_field: the maximum length of a field in characters; if it is above the csv module's limit, that limit is
            raised for the whole process.
        sheet: the name of a workbook's sheet, or its number, starting at 0; required if several have rows.
        rows_at: where the rows are in a JSON object, such as `data` or `result.items`; defaults to `records`.
        columns: types to use instead of the detected ones: name to `text`, `number`, `date`, `datetime`, `boolean` or
            `date:FORMAT`, where FORMAT is a strptime pattern. A number may then have a currency or percent sign, which
            is removed.
        decimal: the decimal mark, "," or "."; detected if omitted.
        dayfirst: whether the day comes before the month if a column's dates are ambiguous.
        date_format: a strptime pattern such as `%d/%m/%Y` for all columns whose values have that form.
        nulls: values that mean null, such as `n/a`. Empty values always do.
        misfits: "raise" for a value that does not fit its column, or "null" to read it as null and count it in the
            result's `misfits`.
        allow_empty: whether to accept a file without rows.

    Raises:
        InvalidRecordError: the file cannot be read as rows, or something is ambiguous. Also raised during
            iteration: the message names file, line, column, value and remedy.
        OSError: the file cannot be opened.
        ImportError: an extra is missing: `databox-sdk[files]` for JSON arrays and zstd, `databox-sdk[parquet]`,
            `databox-sdk[excel]`.
        TypeError, ValueError, LookupError: an argument is invalid.
    """
    _check("format", format, FORMATS)
    _check("decimal", decimal, (".", ","))
    if misfits not in {"raise", "null"}:
        raise ArgumentValueError(f'misfits must be "raise" or "null", not {misfits!r}.')
    if delimiter is not None and (len(delimiter) != 1 or delimiter in '\r\n"'):
        raise ArgumentValueError(message(setting("delimiter"), f" must be one character, not {delimiter!r}."))
    for name, number in (("skip_lines", skip_lines), ("skip_footer", skip_footer), ("max_field", max_field)):
        if number is not None and (type(number) is not int or not 0 <= number <= _MOST):
            given = f", not {number!r}" if type(number) is not int or number < 0 else ""
            raise ArgumentValueError(message(setting(name), f" must be a whole number from 0 to {_MOST:,}{given}."))
    if header is not None and not _are_names(header):
        raise ArgumentValueError(message(setting("header"), f" must be a list of distinct names, not {header!r}."))
    if isinstance(nulls, str):  # whose letters would be null one by one
        raise ArgumentValueError(message(setting("nulls"), f" must be a list of texts, not {nulls!r}."))
    reading = Reading(
        declared=dict(columns or {}),
        decimal=decimal,
        order=None if dayfirst is None else "day" if dayfirst else "month",
        date_format=date_format,
        nulls=frozenset({"", *nulls}),
    )
    if date_format is not None:
        with_format(date_format)
    for kind in reading.declared.values():
        declared_reader(kind, reading)
    options = Options(
        format=format,
        encoding=encoding,
        delimiter=delimiter,
        max_field=max_field,
        sheet=sheet,
        rows_at=rows_at,
        allow_empty=allow_empty,
        shape=Shape(header=header, skip_lines=skip_lines, skip_footer=skip_footer, pad=pad, misfits=misfits),
    )
    opened = Source(source)
    try:
        return Records(opened, reading, options)
    except BaseException:
        opened.close()
        raise


def _are_names(header: Sequence[Any]) -> bool:
    names = [name.strip() for name in header if isinstance(name, str)]
    return not isinstance(header, str) and len(names) == len(header) > 0 and all(names) and len({*names}) == len(names)


def _check(name: str, value: object, allowed: Sequence[Any]) -> None:
    if value is not None and value not in allowed:
        raise ArgumentValueError(
            message(setting(name), f" must be one of {', '.join(map(repr, allowed))}, not {value!r}.")
        )
