"""Any table of values, in any format, reads back as the same values or raises a question; never silently different."""

import csv
import io
import json
import sqlite3
from collections import Counter
from collections.abc import Callable
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from databox import InvalidRecordError, read_query, read_records

Value = Any
Rows = list[tuple[Value, ...]]

WORDS = st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"]), min_size=1, max_size=12).filter(
    lambda text: not text.startswith("=") and "_x" not in text
)
CODES = st.from_regex(r"0?[0-9]{1,25}(\.[0-9]{1,12})?", fullmatch=True)
"""Digits as people have them: leading zeros, trailing zeros, more than a number holds."""
LONG = st.builds("{}{}".format, st.integers(10**14, 10**19), st.sampled_from(["", "", ".0", ".000000", ".89", ".5"]))
ODD = st.sampled_from(
    ["N/A", "-", "Total", "1E5", "1e+05", "TRUE", "12%", "2025-12-31", "31.12.2025", "03/04/2025", "#"]
)
DATES = st.dates(date(1900, 3, 1), date(9999, 12, 31))
MOMENTS = st.datetimes(datetime(1900, 3, 1), datetime(9999, 12, 30)).map(lambda moment: moment.replace(microsecond=0))
KINDS: dict[str, st.SearchStrategy[Value]] = {
    "words": WORDS,
    "codes": CODES,
    "long": LONG,
    "mixed": CODES | ODD | WORDS,
    "int": st.integers(-(2**63), 2**63 - 1) | st.integers(0, 2000),
    "float": st.floats(allow_nan=False, allow_infinity=False) | st.integers(0, 10_000).map(lambda n: n / 100),
    "short": st.integers(-(10**15), 10**15).map(lambda n: n / 1000) | st.integers(0, 10_000),
    "date": DATES,
    "datetime": MOMENTS,
    "bool": st.booleans(),
}
NAMES = st.lists(WORDS | CODES | ODD, min_size=1, max_size=4, unique=True)


@st.composite
def tables(draw: st.DrawFn, kinds: tuple[str, ...]) -> tuple[list[str], Rows]:
    names = draw(NAMES)
    cells = [draw(st.sampled_from(kinds)) for _ in names]
    row = st.tuples(*(st.none() | KINDS[kind] for kind in cells)).filter(lambda row: any(v is not None for v in row))
    return names, draw(st.lists(row, max_size=6))


def is_same(written: Value, read: Value) -> bool:
    """Whether a value is what was written, or the text, number or date that its text is."""
    if isinstance(read, int) and abs(read) > 2**53:
        return False  # most programs hold it in a float
    if type(written) is type(read):
        return bool(written == read)
    if written is None or read is None or isinstance(written, bool) or isinstance(read, bool):
        return str(written).upper() == read if isinstance(written, bool) else False
    if isinstance(written, date) and isinstance(read, date):
        return written.isoformat()[:10] == read.isoformat()[:10] and "00:00:00" in f"{written} {read} 00:00:00"
    if isinstance(read, date):
        return any(_parses(written, form) == read for form in ("%Y-%m-%d", "%d.%m.%Y"))
    if isinstance(written, str) and written[:1] == "0" and written[1:2].isdecimal():
        return False  # a code
    if isinstance(read, str):
        return str(written) == read or _number(written) == _number(read) is not None
    return _number(written) == _number(read) is not None


def _parses(text: str, form: str) -> date | None:
    try:
        return datetime.strptime(text, form).date()
    except ValueError:
        return None


def _number(value: Value) -> Decimal | None:
    try:
        return Decimal(repr(value) if isinstance(value, float) else str(value))
    except InvalidOperation:
        return None


READ: Counter[bool] = Counter()
"""How many tables were read, those with rows apart from those without."""


def often_read(test: Callable[[], None]) -> Callable[[], None]:
    """A test in which tables are not only asked about."""

    def run() -> None:
        READ.clear()
        test()
        assert READ[True] > 2  # how many is chance

    run.__name__ = test.__name__
    return run


def check(names: list[str], rows: Rows, read: Callable[[], Any]) -> None:
    try:
        records = read()
        found = list(records)
    except InvalidRecordError as error:
        assert len(str(error)) > 40
        return
    READ[bool(found)] += 1
    expected = [row for row in rows if not records.repeated or row != tuple(names)]
    assert len(found) == len(expected)
    for row, values in zip(found, expected, strict=True):
        assert [name.strip() for name in names] == list(row)
        for written, value in zip(values, row.values(), strict=True):
            assert is_same(written, value), (written, value)


TEXT = ("words", "codes", "long", "mixed", "int", "float", "date", "datetime")


@pytest.mark.slow
@often_read
@settings(max_examples=150, deadline=None)
@given(
    tables(TEXT),
    st.sampled_from([",", ";", "\t", "|"]),
    st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "cp1252", "latin-1", "cp1250", "shift_jis"]),
    st.sampled_from([csv.QUOTE_ALL, csv.QUOTE_MINIMAL]),
    st.sampled_from([{}, {"skip_lines": 0, "skip_footer": 0, "allow_empty": True}]),
)
def test_csv(
    table: tuple[list[str], Rows], delimiter: str, encoding: str, quoting: Any, options: dict[str, Any]
) -> None:
    names, rows = table
    file = io.StringIO(newline="")
    writer = csv.writer(file, delimiter=delimiter, quoting=quoting)
    writer.writerow(names)
    writer.writerows([[repr(v) if isinstance(v, float) else v for v in row] for row in rows])
    try:
        data = file.getvalue().encode(encoding)
    except UnicodeEncodeError:
        return
    # Which of the encodings of one byte it is cannot be known, so it is said, as the log asks for.
    said = encoding if encoding in {"cp1252", "latin-1", "cp1250", "shift_jis"} else None
    check(
        names, rows, lambda: read_records(io.BytesIO(data), format="csv", encoding=said, delimiter=delimiter, **options)
    )


@pytest.mark.slow
@often_read
@settings(max_examples=150, deadline=None)
@given(
    tables(TEXT),
    st.sampled_from([",", ";", "\t", "|", "^", ":"]),
    st.sampled_from(["\n", "\r\n", "\r"]),
    st.sampled_from([('"', csv.QUOTE_ALL), ('"', csv.QUOTE_MINIMAL), ("'", csv.QUOTE_ALL)]),
    st.sampled_from(["", "\ufeff"]),
)
@example((["0", "1", "00"], [(None, None, "^")]), "^", "\n", ("'", csv.QUOTE_ALL), "")
@example((["0", "'", "00"], [(None, None, "0")]), ",", "\n", ("'", csv.QUOTE_ALL), "")
def test_csv_of_which_nothing_is_said(
    table: tuple[list[str], Rows], delimiter: str, end: str, quoting: tuple[str, Any], mark: str
) -> None:
    names, rows = table
    file = io.StringIO(newline="")
    writer = csv.writer(
        file, delimiter=delimiter, lineterminator=end, quotechar=quoting[0], quoting=quoting[1], doublequote=True
    )
    writer.writerow(names)
    writer.writerows([[repr(v) if isinstance(v, float) else v for v in row] for row in rows])
    data = (mark + file.getvalue()).encode()
    check(names, rows, lambda: read_records(io.BytesIO(data), format="csv"))


@pytest.mark.slow
@often_read
@settings(max_examples=100, deadline=None)
@given(tables(("words", "codes", "int", "float", "bool")), st.booleans(), st.sampled_from([None, 1]))
def test_json(table: tuple[list[str], Rows], lines: bool, indent: int | None) -> None:
    names, rows = table
    objects = [dict(zip(names, row, strict=True)) for row in rows]
    text = "\n".join(map(json.dumps, objects)) if lines else json.dumps(objects, indent=indent)
    check(names, rows, lambda: read_records(io.BytesIO(text.encode()), format="jsonl" if lines else "json"))


@pytest.mark.slow
@often_read
@settings(max_examples=60, deadline=None)
@given(tables(("words", "codes", "int", "float", "date", "datetime", "bool")))
def test_parquet(table: tuple[list[str], Rows]) -> None:
    names, rows = table
    columns = {name: [row[place] for row in rows] for place, name in enumerate(names)}
    file = io.BytesIO()
    pq.write_table(pa.table(columns), file)
    check(names, rows, lambda: read_records(io.BytesIO(file.getvalue())))


@pytest.mark.slow
@often_read
@settings(max_examples=150, deadline=None)
@given(tables(("words", "codes", "mixed", "short", "date", "datetime", "bool")))  # Excel has 15 digits
def test_excel(table: tuple[list[str], Rows]) -> None:
    names, rows = table
    book = openpyxl.Workbook()
    sheet = book.active
    assert sheet
    for row in (names, *rows):
        sheet.append(tuple(row))
    for cell in (cell for line in sheet.iter_rows() for cell in line if isinstance(cell.value, str)):
        cell.data_type = "s"  # not the error or the formula that it looks like
    file = io.BytesIO()
    book.save(file)
    check(names, rows, lambda: read_records(io.BytesIO(file.getvalue())))


@pytest.mark.slow
@often_read
@settings(max_examples=60, deadline=None)
@given(tables(("words", "codes", "int", "float")))
def test_sqlite(table: tuple[list[str], Rows]) -> None:
    names, rows = table
    with TemporaryDirectory() as directory:
        path = Path(directory) / "any.db"
        connection = sqlite3.connect(path)
        columns = [f'"{name.replace(chr(34), chr(34) * 2)}"' for name in names]
        try:
            connection.execute(f"create table any ({', '.join(columns)})")
        except sqlite3.OperationalError:  # two names that differ in case alone
            connection.close()
            return
        connection.executemany(f"insert into any values ({', '.join('?' * len(names))})", rows)
        connection.commit()
        connection.close()
        check(names, rows, lambda: read_query(f"sqlite:///{path}", "select * from any"))


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("007", 7),
        ("61440393786409381", 61440393786409380),
        (1.5, 1.4),
        (None, ""),
        ("a", "A"),
        (1, True),
        (2**60, 2**60),
    ],
)
def test_the_judge_knows_what_differs(written: Value, read: Value) -> None:
    assert not is_same(written, read)
