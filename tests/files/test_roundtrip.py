"""What csv.writer writes is read back as declared, or as it evidently is."""

import csv
import io
from datetime import date, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from databox import read_records
from databox.wording import for_command, words_of

TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=20).filter(lambda text: text.strip())
# A byte order mark that is left in a name is no part of it.
NAMES = st.lists(
    TEXTS.map(lambda text: text.replace("\ufeff", "").strip()).filter(bool), min_size=1, max_size=5, unique=True
)
INTEGERS = st.integers(-(2**53), 2**53)
FLOATS = st.floats(allow_nan=False, allow_infinity=False)
DATES = st.dates(date(1000, 1, 1))
MOMENTS = st.datetimes(datetime(1000, 1, 1))
# With "\n" as its end of line, the writer leaves "\r" without the quotes that it needs.
ENDINGS = st.sampled_from([("\n", csv.QUOTE_ALL), ("\r\n", csv.QUOTE_ALL), ("\r\n", csv.QUOTE_MINIMAL)])
DIALECTS = st.builds(
    lambda delimiter, ending: {"delimiter": delimiter, "lineterminator": ending[0], "quoting": ending[1]},
    st.sampled_from([",", ";", "\t", "|", "~"]),
    ENDINGS,
)
ENCODINGS = st.sampled_from(["utf-8", "utf-8-sig", "utf-16"])


def written(names: list[str], rows: list[tuple[Any, ...]], dialect: dict[str, Any]) -> str:
    file = io.StringIO(newline="")
    writer = csv.writer(file, **dialect)
    writer.writerow(names)
    writer.writerows(rows)
    return file.getvalue()


@st.composite
def tables(draw: st.DrawFn) -> tuple[list[str], list[str], list[tuple[Any, ...]]]:
    names = draw(NAMES)
    kinds = {"text": TEXTS, "number": INTEGERS | FLOATS, "date": DATES, "datetime": MOMENTS}
    types = draw(st.lists(st.sampled_from(sorted(kinds)), min_size=len(names), max_size=len(names)))
    rows = st.tuples(*(st.none() | kinds[kind] for kind in types)).filter(lambda row: any(v is not None for v in row))
    return names, types, draw(st.lists(rows, max_size=8))


@settings(max_examples=60)
@given(tables(), DIALECTS, ENCODINGS)
def test_declared_columns_come_back(
    table: tuple[list[str], list[str], list[tuple[Any, ...]]], dialect: dict[str, Any], encoding: str
) -> None:
    names, types, rows = table
    data = written(names, rows, dialect).encode(encoding)
    columns = dict(zip(names, types, strict=True))
    options: dict[str, Any] = {"columns": columns, "decimal": ".", "delimiter": dialect["delimiter"]}
    options |= {"skip_lines": 0, "skip_footer": 0, "allow_empty": True}
    read = list(read_records(io.BytesIO(data), encoding=encoding, **options))
    assert [tuple(row.values()) for row in read] == rows
    assert all(list(row) == names for row in read)


@given(st.lists(st.tuples(INTEGERS, DATES, TEXTS, st.none() | MOMENTS), min_size=1, max_size=8), DIALECTS)
def test_what_is_plain_is_found(rows: list[tuple[Any, ...]], dialect: dict[str, Any]) -> None:
    rows = [(number, day, f"#{text}", moment) for number, day, text, moment in rows]
    data = written(["number", "day", "text", "moment"], rows, dialect).encode()
    read = list(read_records(io.BytesIO(data), encoding="utf-8", delimiter=dialect["delimiter"]))
    assert [tuple(row.values()) for row in read] == rows


@pytest.mark.slow
@given(st.lists(st.lists(TEXTS, min_size=3, max_size=3), min_size=1, max_size=8), DIALECTS)
def test_a_column_has_one_type(rows: list[list[str]], dialect: dict[str, Any]) -> None:
    """Whatever a column is found to be, all of its values are that, and text is as it was."""
    data = written(["a", "b", "c"], rows, dialect).encode()  # type: ignore[arg-type]
    try:
        records = read_records(io.BytesIO(data), encoding="utf-8", delimiter=dialect["delimiter"])
    except ValueError as error:
        assert "--" in for_command(words_of(error))  # asks, and names the option that answers
        return
    read = list(records)
    for place, column in enumerate(records.columns):
        values = [row[column.name] for row in read]
        kinds = {"number": (int, float), "date": (date,), "datetime": (datetime,), "text": (str,)}[column.type]
        assert all(isinstance(value, kinds) for value in values)
        if column.type == "text":
            assert values == [row[place] for row in rows]


@given(st.binary(max_size=300))
def test_no_bytes_make_it_fail_otherwise_than_promised(data: bytes) -> None:
    try:
        list(read_records(io.BytesIO(data)))
    except (ValueError, ImportError) as error:
        assert str(error)
