"""Declared columns and options, in formats whose values have types: what is declared is what is sent, or an error."""

import io
import json
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from databox import InvalidRecordError, read_records
from tests.files.test_sheets import xlsx


def as_json(values: list[Any]) -> bytes:
    return json.dumps([{"a": value} for value in values]).encode()


def as_lines(values: list[Any]) -> bytes:
    return b"".join(json.dumps({"a": value}).encode() + b"\n" for value in values)


def as_parquet(values: list[Any]) -> bytes:
    file = io.BytesIO()
    pq.write_table(pa.table({"a": values}), file)
    return file.getvalue()


def as_sheet(values: list[Any]) -> bytes:
    return xlsx([["a"], *([value] for value in values)])


ALL = [as_json, as_lines, as_parquet, as_sheet]


def read(data: bytes, **options: Any) -> tuple[list[Any], Any]:
    records = read_records(io.BytesIO(data), **options)
    return [row["a"] for row in records], records.columns[0]


@pytest.mark.parametrize("write", ALL)
@pytest.mark.parametrize(
    ("kind", "values", "expected"),
    [
        ("date:%Y%m%d", [20251231, 20260101], [date(2025, 12, 31), date(2026, 1, 1)]),
        ("boolean", [1, 0], [True, False]),
        ("text", [1, 2.5], ["1", "2.5"]),
        ("number", ["1,5", "7"], [1.5, 7]),
    ],
)
def test_what_is_declared_is_what_comes(write: Any, kind: str, values: list[Any], expected: list[Any]) -> None:
    found, column = read(write(values), columns={"a": kind})
    assert found == expected
    assert list(map(type, found)) == list(map(type, expected))
    assert (column.type, column.note) == (kind.partition(":")[0], "declared")
    assert column.example in {str(expected[0]), str(expected[0]).lower()}


@pytest.mark.parametrize("write", ALL)
@pytest.mark.parametrize(
    ("kind", "values"), [("number", [True]), ("date", [3]), ("boolean", [2]), ("datetime", [True])]
)
def test_what_is_not_as_declared_is_refused_or_counted(write: Any, kind: str, values: list[Any]) -> None:
    with pytest.raises(InvalidRecordError, match=f"column 'a'.*declared as {kind}"):
        read(write(values), columns={"a": kind})
    if write is not as_sheet:
        records = read_records(io.BytesIO(write(values)), columns={"a": kind}, misfits="null")
        assert list(records) == [{"a": None}]
        assert records.misfits == {"a": 1}


@pytest.mark.parametrize("write", [as_parquet, as_sheet])
def test_days_and_moments(write: Any) -> None:
    assert read(write([datetime(2025, 12, 31)]), columns={"a": "date"})[0] == [date(2025, 12, 31)]
    assert read(write([date(2025, 12, 31)]), columns={"a": "datetime"})[0] == [datetime(2025, 12, 31)]
    with pytest.raises(InvalidRecordError, match="has a time"):
        read(write([datetime(2025, 12, 31, 10)]), columns={"a": "date"})


@pytest.mark.parametrize("write", [as_json, as_lines])
def test_nested_values_as_text_are_json(write: Any) -> None:
    (found,), _ = read(write([{"x": [1, None, True, "ü"], "y": {}}]), columns={"a": "text"})
    assert json.loads(found) == {"x": [1, None, True, "ü"], "y": {}}


@pytest.mark.parametrize("form", ["json", "jsonl"])
def test_no_digit_and_no_member_of_a_nested_value_is_lost(form: Any) -> None:
    text = '{"a": {"n": [12345678901234567890.25]}}'
    opening, closing = ("", "") if form == "jsonl" else ("[", "]")
    (found,), _ = read(f"{opening}{text}{closing}".encode(), format=form, columns={"a": "text"})
    assert json.loads(found, parse_float=Decimal) == {"n": [Decimal("12345678901234567890.25")]}
    twice = f'{opening}{{"a": {{"n": [{{"b": 1, "b": 2}}]}}}}{closing}'
    with pytest.raises(InvalidRecordError, match="'b' twice"):
        read(twice.encode(), format=form, columns={"a": "text"})


def test_a_declared_column_that_is_not_there_is_told() -> None:
    with pytest.raises(InvalidRecordError, match=r"has no column 'b'. It has: 'a'"):
        read(as_parquet([1]), columns={"b": "number"})
    records = read_records(io.BytesIO(as_json([1])), columns={"b": "number"})
    assert records.notes == ["No value of the sample is in the declared column 'b'."]


@pytest.mark.parametrize("write", [as_json, as_lines, as_parquet])
@pytest.mark.parametrize("option", [{"header": ["x"]}, {"skip_lines": 1}, {"skip_footer": 1}])
def test_options_that_would_choose_other_rows_are_not_ignored(write: Any, option: Any) -> None:
    with pytest.raises(InvalidRecordError, match=f"in which {next(iter(option))} has no meaning"):
        read(write([1, 2]), format={as_json: "json", as_lines: "jsonl", as_parquet: "parquet"}[write], **option)


def test_a_place_of_rows_means_json() -> None:
    pages = b'{"data": [{"a": 1}]}\n{"data": [{"a": 2}]}\n'
    with pytest.raises(InvalidRecordError, match="not JSON after its first 1 rows"):
        read(pages, rows_at="data")
    with pytest.raises(InvalidRecordError, match="in which rows_at has no meaning"):
        read(pages, rows_at="data", format="jsonl")


@pytest.mark.parametrize("code", ["12DECK34", "10MAYBE20", "1 Marzipan 2025", "7 Augur 1999"])
def test_codes_that_begin_like_months_are_no_dates(code: str) -> None:
    assert read(f"a,b\n{code},1\n{code},2\n".encode())[0] == [code, code]


MONTHS = {"Dec": 12, "dec.": 12, "December": 12, "DECEMBER": 12, "janv.": 1, "Januar": 1, "febr.": 2, "febrero": 2}
MONTHS |= {"marts": 3, "mars": 3, "aprile": 4, "juni": 6, "julio": 7, "novembro": 11}


@pytest.mark.parametrize("month", MONTHS)
def test_months_are_read_by_name(month: str) -> None:
    assert read(f"a,b\n3 {month} 2025,1\n".encode())[0] == [date(2025, MONTHS[month], 3)]


@pytest.mark.parametrize("write", [as_json, as_lines])
def test_a_declared_number_is_exact_or_an_error(write: Any) -> None:
    number = 12345678901234567890123
    with pytest.raises(InvalidRecordError, match=f"'{number}' has more digits than a number holds exactly"):
        read(write([1, number]), columns={"a": "number"})
    assert read(write([1, number]), columns={"a": "text"})[0] == ["1", str(number)]
