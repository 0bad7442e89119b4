"""`read_records`: rows of a file of any size, at flat memory."""

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

__all__ = ["Misfits", "Records", "read_records"]


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
    """Return an iterator of a file's rows, as `ingest` takes them; at flat memory, whatever the file's size.

    Each column of a CSV file or a sheet has one type, by its first 10,000 rows (of a file: of its first megabyte):
    `number`, `date`, `datetime`, or `text`, which everything is that is not plainly something else; so are numbers with
    leading zeros, a plus sign or more digits than a number holds exactly. A later value that does not fit is an error,
    and so is whatever the rows leave open: the message names the argument that settles it. The result's `columns` says
    what each became, and why.

    Args:
        source: a path, `-` for standard input, or a file open for reading (one of fsspec, too). It may be packed with
            gzip or zstd.
        format: `csv`, `tsv`, `json` (an array of objects), `jsonl` (one object a line), `parquet` or `excel`; found by
            the name or the content without. A `delimiter` or a `header` says `csv`, where the name does not tell.
        encoding: of the text; without, by its byte order mark, else UTF-8, else Windows-1252.
        delimiter: one character; found without.
        header: the columns' names, when the file has no line with them.
        skip_lines: how many lines are none of the table before the header, or before the first row where `header` names
            the columns; rows, of a sheet. 0 says that the first line is what it is read as.
        skip_footer: how many of the last rows are none: totals, notes. 0 says that the last one is a row.
        pad: whether rows may end early: the columns that they lack are null.
        max_field: the most characters that a field may have; above the csv module's limit, which this raises for the
            whole process.
        sheet: the name of a workbook's sheet, or its number from 0; needed when several have rows.
        rows_at: where in a JSON object its rows are, such as `data` or `result.items`; without, in `records`.
        columns: types that you decide: name to `text`, `number`, `date`, `datetime`, `boolean` or `date:FORMAT`, where
            FORMAT is a strptime pattern. A number may then have a currency or percent sign, which is left out.
        decimal: the decimal mark, "," or "."; found without.
        dayfirst: whether the day comes before the month where a column's dates do not tell.
        date_format: a strptime pattern such as `%d/%m/%Y` for all columns whose values have that form.
        nulls: values that mean nothing, such as `n/a`. Empty ones always do.
        misfits: "raise" for a value that does not fit its column, or "null" to read it as null and count it in the
            result's `misfits`.
        allow_empty: whether a file without rows is fine.

    Raises:
        InvalidRecordError: the file cannot be read as rows, or leaves something open that you have to say. While
            iterating, too: the message names file, line, column, value and remedy.
        OSError: the file cannot be opened.
        ImportError: an extra is missing: `databox-sdk[files]` for JSON arrays and zstd, `databox-sdk[parquet]`,
            `databox-sdk[excel]`.
        TypeError, ValueError, LookupError: an argument is wrong.
    """
    _check("format", format, FORMATS)
    _check("decimal", decimal, (".", ","))
    if misfits not in {"raise", "null"}:
        raise ArgumentValueError(f'misfits must be "raise" or "null", not {misfits!r}.')
    if delimiter is not None and (len(delimiter) != 1 or delimiter in '\r\n"'):
        raise ArgumentValueError(f"delimiter must be one character, not {delimiter!r}.")
    for name, number in (("skip_lines", skip_lines), ("skip_footer", skip_footer), ("max_field", max_field)):
        if number is not None and (type(number) is not int or number < 0):
            raise ArgumentValueError(f"{name} must be a whole number from 0, not {number!r}.")
    if header is not None and not _are_names(header):
        raise ArgumentValueError(f"header must be a list of names, each of them once, not {header!r}.")
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
        raise ArgumentValueError(f"{name} must be one of {', '.join(map(repr, allowed))}, not {value!r}.")
