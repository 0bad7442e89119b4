"""CSV as it occurs in practice."""

import ast
import io
from datetime import UTC, date, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from databox import InvalidRecordError, read_records

BULK = f"1,{'x' * 2000}\n" * 600
"""600 lines that are more than what is looked at before reading."""


def read(text: str | bytes, **options: Any) -> list[dict[str, Any]]:
    data = text.encode() if isinstance(text, str) else text
    return list(read_records(io.BytesIO(data), **options))


def types(text: str, **options: Any) -> dict[str, str]:
    return {column.name: column.type for column in read_records(io.BytesIO(text.encode()), **options).columns}


def problem(text: str | bytes, **options: Any) -> str:
    with pytest.raises(InvalidRecordError) as caught:
        read(text, **options)
    return str(caught.value)


GERMAN = "Rechnung;Datum;Betrag;PLZ;Größe\n1001;31.12.2025;1.234,56;01067;1,5\n1002;01.02.2026;-3,00;80331;2\n"
GERMAN_ROWS = [
    {"Rechnung": 1001, "Datum": date(2025, 12, 31), "Betrag": 1234.56, "PLZ": "01067", "Größe": 1.5},
    {"Rechnung": 1002, "Datum": date(2026, 2, 1), "Betrag": -3.0, "PLZ": "80331", "Größe": 2},
]


@pytest.mark.parametrize("encoding", ["latin-1", "cp1252", "utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
def test_a_german_export_goes_in_right_at_the_first_try(encoding: str) -> None:
    assert read(GERMAN.encode(encoding)) == GERMAN_ROWS


def test_a_guess_of_the_encoding_is_told() -> None:
    records = read_records(io.BytesIO(GERMAN.encode("latin-1")))
    assert records.description == "CSV, semicolon, Windows-1252"
    assert "If letters look wrong, set encoding." in records.notes[0]


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_the_delimiter_is_found(delimiter: str) -> None:
    text = "a,b,c\n1,x y,2025-01-31\n2,z,2025-02-01\n".replace(",", delimiter)
    assert read(text)[1] == {"a": 2, "b": "z", "c": date(2025, 2, 1)}


def test_decimal_commas_do_not_pass_for_delimiters() -> None:
    assert read("a;b\n1,5;2,5\n3,5;4,5\n") == [{"a": 1.5, "b": 2.5}, {"a": 3.5, "b": 4.5}]


def test_excel_may_say_its_delimiter() -> None:
    assert read("sep=;\r\na;b\r\n1,5;x\r\n") == [{"a": 1.5, "b": "x"}]


def test_a_file_of_one_column() -> None:
    assert read("comment\n1, 2; 3\t4 | 5\n") == [{"comment": "1, 2; 3\t4 | 5"}]
    assert read("comment\nplain, text\nmore\n") == [{"comment": "plain, text"}, {"comment": "more"}]


@pytest.mark.parametrize(
    ("cells", "kind"),
    [
        (["1", "-2", "0"], "number"),
        (["1.5", "2", ".5", "-0.25", "1e-05", "1.5E+20"], "number"),
        (["007", "12"], "text"),
        (["+4915112345678", "+43"], "text"),
        (["1E5", "2E5"], "text"),
        (["9007199254740993", "1"], "text"),
        (["12345678901234567890123", "1"], "text"),
        (["TRUE", "false"], "text"),
        (["12%", "5%"], "text"),
        (["€ 5", "$3.00"], "text"),
        (["nan", "nan"], "text"),
        (["1_000", "2"], "text"),
        (["٣", "٤"], "text"),
        (["2025-12-31", "2026-01-01"], "date"),
        (["2025-02-30", "2026-01-01"], "text"),
        (["2025-12-31", "2026-01-01 10:00"], "datetime"),
        (["12:30", "13:00"], "text"),
        (["12/31/2025 13:30 PM", "12/30/2025 1:30 PM"], "text"),
        (["", ""], "empty"),
    ],
)
def test_the_type_of_a_column(cells: list[str], kind: str) -> None:
    text = "a;x\n" + "".join(f"{cell};x\n" for cell in cells)
    assert types(text)["a"] == kind
    if kind == "text":
        assert [row["a"] for row in read(text)] == cells


@pytest.mark.parametrize(
    ("cell", "number"),
    [
        ("1.234.567,89", 1234567.89),
        ("1 234,5", 1234.5),
        ("1\u00a0234,5", 1234.5),
        ("1'234.50", 1234.5),
        ("1,234,567", 1234567),
        ("1,234.5", 1234.5),
        ("-0,5", -0.5),
        ("−3,25", -3.25),
        ("1,5E-05", 1.5e-05),
        ("1234,567", 1234.567),
        ("0.123", 0.123),
    ],
)
def test_thousands_and_fractions(cell: str, number: float) -> None:
    assert read(f"a;b\n{cell};x\n") == [{"a": number, "b": "x"}]


def test_thousands_or_a_fraction_is_asked_for() -> None:
    said = problem("a;b\n1.234;x\n")
    assert "line 2, column 'a'" in said
    assert "decimal=',' or decimal='.'" in said
    assert read("a;b\n1.234;x\n", decimal=",") == [{"a": 1234, "b": "x"}]
    assert read("a;b\n1.234;x\n", decimal=".") == [{"a": 1.234, "b": "x"}]
    assert "decimal=" in problem('a,b\n"1,234",x\n')


def test_another_column_tells_the_decimal_mark() -> None:
    assert read("a;b\n1.234;0,5\n")[0]["a"] == 1234
    assert read("a;b\n1.234;0.5\n")[0]["a"] == 1.234
    assert read("a,b\n1.234,x\n")[0]["a"] == 1.234  # where commas delimit, programs have written the numbers


def test_mixed_marks_stay_text() -> None:
    records = read_records(io.BytesIO(b"a;b\n1,5;x\n2.5;y\n"))
    assert records.columns[0].type == "text"
    assert "mixed" in records.columns[0].note


@pytest.mark.parametrize(
    ("cell", "value"),
    [
        ("31.12.2025", date(2025, 12, 31)),
        ("31. 12. 2025", date(2025, 12, 31)),
        ("1.2.25", date(2025, 2, 1)),
        ("31/12/2025", date(2025, 12, 31)),
        ("12/31/2025", date(2025, 12, 31)),
        ("12/31/25", date(2025, 12, 31)),
        ("31-12-2025", date(2025, 12, 31)),
        ("2025/12/31", date(2025, 12, 31)),
        ("2025. 12. 31.", date(2025, 12, 31)),
        ("31 Dec 2025", date(2025, 12, 31)),
        ("31-DEC-25", date(2025, 12, 31)),
        ("December 31, 2025", date(2025, 12, 31)),
        ("31.12.2025 23:59", datetime(2025, 12, 31, 23, 59)),
        ("12/31/2025 11:59:30 PM", datetime(2025, 12, 31, 23, 59, 30)),
        ("12/31/2025 12:00 a.m.", datetime(2025, 12, 31)),
        ("2025-12-31T23:59:59.123456789Z", datetime(2025, 12, 31, 23, 59, 59, 123456, UTC)),
        ("2025-12-31 23:59:59+01:00", datetime(2025, 12, 31, 23, 59, 59, 0, timezone(timedelta(hours=1)))),
        ("2025-12-31 23:59:59 -0530", datetime(2025, 12, 31, 23, 59, 59, 0, timezone(-timedelta(hours=5, minutes=30)))),
    ],
)
def test_national_dates(cell: str, value: date) -> None:
    assert read(f'd;x\n"{cell}";x\n') == [{"d": value, "x": "x"}]


@pytest.mark.parametrize("cell", ["03/04/2025", "03-04-2025", "3/4/2025 10:00", "25/12/31"])
def test_day_or_month_is_asked_for(cell: str) -> None:
    said = problem(f"d;x\n{cell};x\n")
    assert "line 2, column 'd'" in said
    assert cell in said
    assert "dayfirst=True or dayfirst=False" in said
    assert "date_format='%d/%m/%Y'" in said


def test_dayfirst_and_date_format_settle_it() -> None:
    text = "d;x\n03/04/2025;x\n"
    assert read(text, dayfirst=True)[0]["d"] == date(2025, 4, 3)
    assert read(text, dayfirst=False)[0]["d"] == date(2025, 3, 4)
    assert read(text, date_format="%d/%m/%Y")[0]["d"] == date(2025, 4, 3)
    assert read(text, columns={"d": "date:%m/%d/%Y"})[0]["d"] == date(2025, 3, 4)


def test_numbers_that_look_like_dates_are_numbers_with_a_word_of_advice() -> None:
    text = "day;code\n20251231;20251301\n20260201;10000101\n"
    day, code = read_records(io.BytesIO(text.encode())).columns
    assert (day.type, day.note, code.note) == (
        "number",
        "looks like dates; to read dates, use columns={'day': 'date:%Y%m%d'}",
        "",
    )
    found = read(text, columns=ast.literal_eval(day.note.partition("columns=")[2]))
    assert [row["day"] for row in found] == [date(2025, 12, 31), date(2026, 2, 1)]
    assert [row["code"] for row in found] == [20251301, 10000101]
    assert read("d;x\n25/12/31;x\n", date_format="%y/%m/%d")[0]["d"] == date(2025, 12, 31)


def test_another_date_in_the_file_tells_the_order() -> None:
    assert read("d;e\n03/04/2025;31/12/2025\n")[0]["d"] == date(2025, 4, 3)
    assert read("d;e\n03/04/2025;x\n13/04/2025;y\n")[0]["d"] == date(2025, 4, 3)


def test_dates_in_two_orders_stay_text() -> None:
    assert types("d;e\n13/04/2025;x\n04/13/2025;y\n")["d"] == "text"


def test_an_order_that_the_dates_contradict_is_told() -> None:
    (column, _) = read_records(io.BytesIO(b"d;e\n04/13/2025;x\n"), dayfirst=True).columns
    assert (column.type, column.note) == ("text", "kept as text: dates, but not with the day first")


# What does not fit


def late(value: str, rows: int = 10_003) -> str:
    return "id;zip;name\n" + "".join(f"{n};{10_000 + n};x\n" for n in range(1, rows)) + value


def test_a_later_value_that_does_not_fit_is_an_error_that_says_all() -> None:
    records = read_records(io.BytesIO(late("1;01067;x\n").encode()))
    rows: list[dict[str, Any]] = []
    with pytest.raises(InvalidRecordError) as caught:
        rows.extend(records)
    assert caught.value.column == "zip"
    said = str(caught.value)
    for part in (
        "line 10,004",
        "column 'zip'",
        "'01067'",
        "columns={'zip': 'text'}",
        "misfits='null'",
        "first 10,000 rows",
    ):
        assert part in said
    assert read(late("1;01067;x\n"), columns={"zip": "text"})[0]["zip"] == "10001"


@pytest.mark.parametrize(
    ("usual", "odd", "words"),
    [
        ("31.01.2025", "2025-01-31", "is not a date in the format of the others"),
        ("31.01.2025", "31.01.2025 10:00", "has a time, but the dates before it had none"),
        ("31.01.2025", "31.02.2025", "is not a date that exists"),
        ("2025-01-31", "2025-02-30", "is not a date that exists"),
        ("7", "1.234", "has a mark that may separate thousands or decimals, and no number before it shows which"),
        ("7", "9007199254740993", "has more digits than a number holds exactly"),
        ("7,5", "1e400", "is not a number in the format of the others"),
        ("7,5", "1,0e+400", "has more digits than a number holds exactly"),
    ],
)
def test_a_later_value_that_only_looks_like_the_others(usual: str, odd: str, words: str) -> None:
    text = "id;a\n" + f"1;{usual}\n" * 10_000 + f"2;{odd}\n"
    said = problem(text)
    assert f"line 10,002, column 'a': '{odd}' {words}" in said
    assert read(text, columns={"a": "text"})[-1] == {"id": 2, "a": odd}


def test_misfits_may_be_null_and_are_counted() -> None:
    records = read_records(io.BytesIO(late("1;01067;x\n").encode()), misfits="null")
    assert list(records)[-1] == {"id": 1, "zip": None, "name": "x"}
    assert records.misfits == {"zip": 1}


def test_the_first_value_of_a_column_that_was_empty() -> None:
    text = "id;zip;name\n" + "1;;x\n" * 10_005 + "1;5;x\n"
    assert "was empty in the first" in problem(text)
    assert read(text, columns={"zip": "number"})[-1]["zip"] == 5


def test_a_declared_type_is_met_before_any_row_is_given() -> None:
    with pytest.raises(InvalidRecordError, match="line 4, column 'a': 'n/a' is not a number"):
        read_records(io.BytesIO(b"a;b\n1;x\n2;x\nn/a;x\n"), columns={"a": "number"})
    assert read("a;b\n1;x\nn/a;x\n", columns={"a": "number"}, nulls=["n/a"])[1]["a"] is None


def test_what_keeps_a_column_from_being_numbers_is_told() -> None:
    text = b"a;b\n" + b"1;x\n" * 9 + b"78A;x\n"
    (column, _) = read_records(io.BytesIO(text)).columns
    assert (column.type, column.note) == ("text", "most are numbers, but not '78A' in line 11")


def test_declared_numbers_may_carry_signs() -> None:
    cells = ["12%", "€ 1.234,50", "1,5 EUR", "-$3,25", "(7)", "007", "+5", "12-", "1e5"]
    values = read("a;b\n" + "".join(f"{cell};x\n" for cell in cells), columns={"a": "number"}, decimal=",")
    assert [row["a"] for row in values] == [12, 1234.5, 1.5, -3.25, -7, 7, 5, -12, 100000.0]
    assert "decimal" in problem("a;b\n1.234;x\n", columns={"a": "number"})
    assert "day or the month first; use dayfirst=True" in problem("a;b\n3/4/2025;x\n", columns={"a": "date"})


def test_declared_booleans_dates_and_texts() -> None:
    text = "t;b;d;w\n1;TRUE;31.12.2025;2025-01-01\n2;no;01.01.2026;2025-01-01 10:00\n"
    declared = {"t": "text", "b": "boolean", "d": "datetime", "w": "datetime"}
    assert read(text, columns=declared) == [
        {"t": "1", "b": True, "d": datetime(2025, 12, 31), "w": datetime(2025, 1, 1)},
        {"t": "2", "b": False, "d": datetime(2026, 1, 1), "w": datetime(2025, 1, 1, 10)},
    ]


def test_a_declared_date_has_no_time() -> None:
    text = "d;x\n31.12.2025 10:00;x\n"
    assert "has a time: declare the column as datetime" in problem(text, columns={"d": "date"})
    assert read(text, columns={"d": "datetime"})[0]["d"] == datetime(2025, 12, 31, 10)


@pytest.mark.parametrize(
    ("declared", "error", "words"),
    [
        ({"a": "integer"}, ValueError, "is not a column type"),
        ({"a": "number:%d"}, ValueError, "is not a column type"),
        ({"zip": "text"}, InvalidRecordError, "no column 'zip'. It has: 'a', 'b'"),
    ],
)
def test_wrong_declarations(declared: dict[str, str], error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        read("a;b\n1;2\n", columns=declared)


# Shape


def test_ragged_rows_are_named() -> None:
    said = problem("a,b,c\n1,2,3\n1,2\n")
    assert "line 3 has 2 fields, but there are 3 columns" in said
    assert "If the delimiter is not comma, set delimiter." in said
    assert "line 2 has 4 fields" in problem("a,b,c\n1,2,3,4\n")
    assert "line 602 has 1" in problem(f"a,b\n{BULK}1\n")
    assert "line 2 has 3 fields, but there are 2 columns" in problem("a,b\n1,2,3\n4,5,6\n")
    assert "line 4 has 2 fields, but there are 3" in problem("id,name,n\n1,Ann,x; y\n2,Bob,x; y\n3,C; D\n")


def test_quoted_newlines_count_as_lines() -> None:
    assert read('a,b\n"x\ny",1\nz,2\n') == [{"a": "x\ny", "b": 1}, {"a": "z", "b": 2}]
    assert "line 4 has 3" in problem('a,b\n"x\ny",1\nz,2,3\n')


def test_a_delimiter_at_the_end_of_each_line() -> None:
    assert read("a;b;\n1;2;\n3;4;\n") == [{"a": 1, "b": 2}, {"a": 3, "b": 4}]
    assert read("a;b\n1;2;\n3;4;;\n", delimiter=";") == [{"a": 1, "b": 2}, {"a": 3, "b": 4}]
    assert "column 3 has no name" in problem("a;b;\n1;2;3\n")
    assert "line 602 has 3" in problem(f"a,b,\n{BULK}1,2,3\n")


@pytest.mark.parametrize(("header", "words"), [("a,b,a", "columns 1 and 3 are both named 'a'"), ("a,,b", "column 2")])
def test_headers_must_name_every_column_once(header: str, words: str) -> None:
    said = problem(f"{header}\n1,2,3\n")
    assert words in said
    assert "header=['A', 'B', 'C']" in said


def test_names_may_be_given() -> None:
    assert read("1;x\n2;y\n", header=["a", "b"]) == [{"a": 1, "b": "x"}, {"a": 2, "b": "y"}]


def test_lines_without_values_are_passed_over_and_counted() -> None:
    records = read_records(io.BytesIO(b"a;b\n\n1;2\n;\n\n  ;\n3;4\n"))
    assert list(records) == [{"a": 1, "b": 2}, {"a": 3, "b": 4}]
    assert records.blank == 4


@pytest.mark.parametrize("text", ["", "\n", "a;b\n", "a;b"])
def test_a_file_without_rows(text: str) -> None:
    assert "has no rows" in problem(text)
    assert "use allow_empty=True." in problem(text)
    assert read(text, allow_empty=True) == []


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('a,b\n1,"x\n2,y\n', "line 2: the row that starts here opens a quote that is never closed"),
        ('a,b\n1,"x" y\n', "line 2: a quote within a quoted value must be doubled"),
        (f'a,b\n1,"{"x" * 200_000}"\n', "a field of more than 131,072 characters"),
        ("a,b\n1,x\0y\n", "zero byte"),
    ],
)
def test_malformed_text_is_named(text: str, words: str) -> None:
    assert words in problem(text)


@pytest.mark.parametrize(
    ("text", "line"), [("a,b\n1,x\0y\n", 2), ("a,b\n1,2\n".replace("", "\0")[1:], 1), (f"a,b\n{BULK}1,\0\n", 602)]
)
def test_a_zero_byte_in_text_of_a_given_encoding(text: str, line: int) -> None:
    for source in (io.BytesIO(text.encode()), io.StringIO(text)):
        with pytest.raises(
            InvalidRecordError, match=rf"line {line} holds a zero byte, so it is not text, or not in utf-8\."
        ):
            list(read_records(source, encoding="utf-8"))


def test_malformed_text_after_the_sample_is_named() -> None:
    assert "line 602: the row that starts here opens" in problem(f'a,b\n{BULK}1,"x\n2,y\n')


def test_quotes_over_the_edge_of_the_sample() -> None:
    text = "a,b\n" + f'1,"{"x" * 1000}\n{"y" * 1000}"\n' * 600
    assert len(read(text)) == 600


def test_bytes_that_are_no_text_in_the_encoding() -> None:
    late_byte = f"a,b\n{BULK}1,é\n".encode("latin-1")
    assert read(late_byte.replace(b"\xe9", b"\xc3\xa9"))[-1]["b"] == "é"
    assert "encoding='windows-1252'" in problem(late_byte, encoding="utf-8")
    assert "its beginning is not utf-8" in problem(b"a,b\n1,\xe9\n", encoding="utf-8")


def test_on_disk_the_encoding_is_looked_for_beyond_the_sample(tmp_path: Path) -> None:
    path = tmp_path / "late.csv"
    path.write_bytes(f"a,b\n{BULK}1,é\n".encode("latin-1"))
    assert list(read_records(path))[-1]["b"] == "é"


@pytest.mark.parametrize(
    "options",
    [
        {"format": "xml"},
        {"decimal": "x"},
        {"misfits": "skip"},
        {"delimiter": ";;"},
        {"delimiter": '"'},
        {"columns": {"a": "int"}},
        {"header": ["a", " "]},
        {"header": ["a", 2]},
        {"header": ["a", "b", " a"]},
        {"columns": {"a": "date:%d.%m."}},
        {"columns": {"a": "datetime:%H:%M"}},
        {"date_format": "%m-%d"},
    ],
)
def test_wrong_options(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"must be|must have a year|not a column type"):
        read("a,b\n1,2\n", **options)


def test_an_unknown_encoding() -> None:
    with pytest.raises(LookupError, match="no text encoding 'klingon'"):
        read("a,b\n1,2\n", encoding="klingon")


def test_an_encoding_of_seven_bits_is_asked_for() -> None:
    text = "id,name\n1,東京\n"
    said = problem(text.encode("iso2022_jp"))
    assert "line 2 has escape sequences, as in ISO-2022. Set the encoding" in said
    assert "encoding='iso2022_jp'" in said
    assert read(text.encode("iso2022_jp"), encoding="iso2022_jp") == [{"id": 1, "name": "東京"}]
    assert read(text.encode("iso2022_jp"), encoding="utf-8")[0]["name"].startswith("\x1b$B")
