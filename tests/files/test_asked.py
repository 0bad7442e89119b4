"""A file that is not what it seems raises a question, and every remedy works, in Python and on the command line."""

import ast
import io
import re
import shlex
from datetime import date
from inspect import signature
from pathlib import Path
from typing import Any

import pytest

from databox import InvalidRecordError, read_records
from databox.wording import for_command, words_of
from tests.cli.conftest import Command
from tests.locals import rendered

_ARGUMENT = re.compile(r"\b(\w+)=(\[[^\]]*\]|\{[^}]*\}|'[^']*'|\d+|True|False)")
_ARGUMENTS = re.compile(rf"{_ARGUMENT.pattern}(?: and {_ARGUMENT.pattern})?")
_FLAG = r"--(?:pad|allow-empty|dayfirst|no-dayfirst)\b"
_WITH_VALUE = r"--[a-z-]+(?:=| (?!to\b))(?:\$?'[^']*'|[^\s';]+?(?=[.,;]?(?:\s|$)))"
_OPTIONS = re.compile(rf"{_FLAG}|{_WITH_VALUE}(?: (?:and )?{_WITH_VALUE})*")


def read(text: str | bytes, **options: Any) -> list[dict[str, Any]]:
    return list(read_records(io.BytesIO(text.encode() if isinstance(text, str) else text), **options))


def asked(text: str | bytes, **options: Any) -> str:
    with pytest.raises(InvalidRecordError) as caught:
        read(text, **options)
    return words_of(caught.value)


def remedies(message: str) -> list[tuple[dict[str, Any], list[str]]]:
    """The remedies of a message: as arguments, and as options."""
    found = [_ARGUMENT.findall(each[0]) for each in _ARGUMENTS.finditer(message)]
    known = [each for each in found if each[0][0] in signature(read_records).parameters]
    arguments = [{name: ast.literal_eval(value) for name, value in each} for each in known]
    options = (each.replace(" and ", " ") for each in _OPTIONS.findall(for_command(message)))
    return list(zip(arguments, map(shlex.split, options), strict=True))


TABLE = "order;day;amount\n1001;31.12.2025;1234,56\n1002;01.01.2026;7,00\n"
ROWS = [
    {"order": 1001, "day": date(2025, 12, 31), "amount": 1234.56},
    {"order": 1002, "day": date(2026, 1, 1), "amount": 7.0},
]
STRAY = "id,name\n1,Zürich\n2,Köln\n".encode() + b"3,Caf\xe9\n"


@pytest.mark.parametrize(
    ("text", "words", "results"),
    [
        # Lines above the header
        (f"Sales report\nExported 2025-11-01\n\n{TABLE}", "line 1 has 1 field, 'Sales report'", [ROWS, None]),
        (f"\n\nSales, by day\n{TABLE}", "line 3 has", [ROWS, None]),
        (f"# made by shop 4.2\n{TABLE}", "line 1 has 1 field", [ROWS, None]),
        (f"Sales report;;\n;;\n{TABLE}", "column 2 has no name. If the header is line 3", [ROWS]),
        ("# made by, shop\nid,amount\n1,9.5\n2,3.0\n", "has words where the rows below have numbers", [2, None, 3]),
        (
            "Sales,2025\nid,n\n1,2\n3,4\n",
            "'id, n' has words where the rows below have numbers",
            [[{"id": 1, "n": 2}, {"id": 3, "n": 4}]],
        ),
        ("id,weight\nno,kg\n1,9.5\n2,3.0\n", "has words where the rows below have numbers", [2, None, 3]),
        (
            "name\nDoe, John\nRoe, Jane\n",
            "If the header is line 2",
            [1, [{"name": "Doe, John"}, {"name": "Roe, Jane"}]],
        ),
        # No header
        ("1001,2025-12-31,9.5\n1002,2026-01-01,3.25\n", "'1001' looks like a value", [1]),
        ("2024;Ann\n2025;Bob\n2026;Cid\n", "'2024' looks like a value", [2]),
        ("x@example.com,Ann\ny@example.com,Bob\n", "'x@example.com' looks like a value", [1]),
        ("31.12.2025;Ann\n01.01.2026;Bob\n", "looks like a value", [1]),
        ("01067;Ann\n80331;Bob\n", "looks like a value", [1]),
        ("sun\nrain\nsun\nsun\n", "'sun' looks like a value", [3]),
        # Another delimiter, or none
        ("id^name^n\n1^Ann, Bob^3\n2^Cid^4\n", "but '^' splits all lines alike", [2, 2]),
        (
            "'id'^'n'\n'1'^'a^b'\n'2'^'c'\n",
            "but '^' splits all lines alike",
            [[{"id": 1, "n": "a^b"}, {"id": 2, "n": "c"}], 2],
        ),
        ("id~n\n1~1,5\n2~2,5\n", "but '~' splits all lines alike", [[{"id": 1, "n": 1.5}, {"id": 2, "n": 2.5}], 2]),
        ("id:name\n1:Ann\n2:Bob\n", "but ':' splits all lines alike", [2, 2]),
        (
            "id name n\n1 Ann 3\n2 Bob 4\n",
            "but ' ' splits all lines alike",
            [2, [{"id name n": "1 Ann 3"}, {"id name n": "2 Bob 4"}]],
        ),
        ("id    name   n\n1     Ann    3\n2     Bob    4\n", "Columns aligned by spaces cannot be read", [2]),
        # Something else
        ("<!DOCTYPE html>\n<html><title>Log in</title>\n<body></body></html>\n", "looks like a web page", [2]),
        ("<?xml version='1.0'?>\n<rows><row/></rows>\n", "looks like XML", [1]),
        ("version https://git-lfs.github.com/spec/v1\noid sha256:ab\nsize 3\n", "looks like a pointer of Git LFS", [2]),
        # Lines at the end
        ("id,amount\n1,5\n2,7\nTotal,12\n", "line 4, the last: 'Total, 12'", [2, 3]),
        ("region,amount\nNorth,5\nSouth,7\nGrand total:,12\n", "'Grand total:, 12'", [2, 3]),
        ("id,amount\n1,5.5\n2,7\n,12.5\n", "looks like a line of totals", [2, 3]),
        ("region;n\nNord;5\nSüd;7\nGesamt;12\n", "'Gesamt; 12'".replace(";", ","), [2, 3]),
        ("id,name,n\n1,a,5\n2,b,7\n(2 rows affected)\n", "line 4 has 1 field", [2, None]),
        ("id,name,n\n1,a,5\n2,b,7\n3,c\n", "line 4 has 2 fields", [2, 3]),
        ("id,name,n\n1,a,5\n2,b,7\nSource: ERP,,\n", "'Source: ERP, ,' looks like", [2, 3]),
        # Words for nothing
        ("id,amount\n1,5\n2,N/A\n3,7\n", "line 3, column 'amount': without 'N/A', the column would be numbers", [3, 3]),
        ("id,amount\n1,-\n2,null\n3,7\n", "without '-', the column would be numbers", [3, 3]),
        ("id,d\n1,2025-01-01\n2,unknown\n", "the column would be dates", [2, 2]),
        # Nothing at all
        ("", "has no rows", [0]),
        ("id,name\n", "has no rows below its header", [0]),
        ("[]", "has no rows", [0]),
        # Somewhere else
        ('{"data": [{"id": 1}, {"id": 2}], "total": 20}', "an array at 'data'", [2]),
        ('{"result": {"items": [{"id": 1}]}, "tags": []}', "an array at 'result.items'", [1]),
        # Bytes
        (STRAY, "line 4: byte 0xE9 is not UTF-8, as the rest is", [3]),
        ("id,name\n1,Łódź\n".encode("cp1250"), "as Windows-1252 it would read '£ódŸ'", []),
        ("id,name\n1,Москва\n".encode("cp1251"), "as Windows-1252 it would read", []),
        ("id,name\n1,東京\n2,大阪\n".encode("shift_jis"), "neither UTF-8 nor Windows-1252", []),
        (b"id,name\n1,Ann\n\0\0\0", "ends in 3 zero bytes", []),
        (f'a,b\n1,"{"x" * 200_000}"\n', "a field of more than", [1]),
    ],
)
def test_it_is_asked_and_each_answer_is_taken(
    text: str | bytes, words: str, results: list[Any], tmp_path: Path, command: Command
) -> None:
    message = asked(text)
    assert words in message
    path = tmp_path / "file"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    ways = remedies(message)
    assert len(ways) >= len(results)
    done = command("dataset", "ingest", "x", path, "--dry-run", "--json")
    assert done.code == 2
    assert for_command(message).replace("the file", str(path), 1) in done.err
    for (argument, option), result in zip(ways, results, strict=False):
        if result is None:
            continue
        found = read(text, **argument)
        assert found == result if isinstance(result, list) else len(found) == result, argument
        done = command("dataset", "ingest", "x", path, *option, "--dry-run", "--json")
        assert (done.code, done.json["rows"]) == (0, len(found)), option


def test_names_for_a_file_without_them() -> None:
    assert "looks like a value" in asked("1001;Ann\n1002;Bob\n")
    assert read("1001;Ann\n1002;Bob\n", header=["id", "name"])[0] == {"id": 1001, "name": "Ann"}


def test_names_for_a_file_that_has_them() -> None:
    text = "id;name\n1001;Ann\n1002;Bob\n"
    assert len(read(text, header=["id", "name"])) == 2
    given = ["number", "who"]
    said = asked(text, header=given)
    assert "looks like a header, but names were given" in said
    (passed, _), (kept, _) = remedies(said)
    assert len(read(text, header=given, **passed)) == 2
    assert len(read(text, header=given, **kept)) == 3


def test_a_faulty_header_can_be_passed_over() -> None:
    said = asked("a,,b\n1,2,3\n")
    assert "skip_lines=1 and header=['A', 'B', 'C']" in said
    assert read("a,,b\n1,2,3\n", skip_lines=1, header=["a", "x", "b"]) == [{"a": 1, "x": 2, "b": 3}]


@pytest.mark.parametrize(
    "names", ["region,2023,2024", "region,2023/2024,2024/2025", "shop,2025-01-01,2025-02-01", "a1,b2,c3"]
)
def test_names_that_are_periods_are_names(names: str) -> None:
    assert len(read(f"{names}\nNorth,5,6\nSouth,7,8\n")) == 2


@pytest.mark.parametrize(
    "text",
    [
        "id,name\n1,Ann\n2,Bob\nid,name\n3,Cid\n",
        "\ufeffid,name\n1,Ann\n2,Bob\n\ufeffid,name\n3,Cid\n",
        '"id","name"\n1,Ann\n2,Bob\n"id","name"\n3,Cid\n',
    ],
)
def test_files_put_together_are_read_as_one_and_it_is_told(text: str) -> None:
    records = read_records(io.BytesIO(text.encode()))
    assert list(records) == [{"id": 1, "name": "Ann"}, {"id": 2, "name": "Bob"}, {"id": 3, "name": "Cid"}]
    assert records.repeated == 1


def test_a_header_again_in_other_letters() -> None:
    records = read_records(io.BytesIO(b"id,Full name\n1,Ann\nID,FULL NAME\n2,Bob\nId, full name\n3,Cid\n"))
    assert [row["id"] for row in records] == [1, 2, 3]
    assert records.repeated == 2


def test_the_first_row_that_is_too_short_is_named() -> None:
    assert "line 2 has 2 fields, but there are 3 columns" in asked("a,b,c\n1,2\n3,4\n")
    assert "skip_footer" not in asked("a,b,c\n1,2\n3,4\n")


def test_a_header_again_after_the_sample() -> None:
    text = "id,name\n" + f"1,{'x' * 2000}\n" * 600 + "id,name\n2,y\n"
    records = read_records(io.BytesIO(text.encode()))
    assert len(list(records)) == 601
    assert records.repeated == 1


@pytest.mark.parametrize("second", ["name,id\n", "id,name,mail\n", "mail,id,name\n"])
def test_other_files_put_together_are_refused(second: str) -> None:
    assert "the header of another file" in asked(f"id,name\n1,Ann\n{second}2,Bob\n")


@pytest.mark.parametrize(
    "text",
    [
        "name,n\nAcme,5\nTotal Wine,7\n",
        "name,n\nAcme,5\nWine,7\n,13\n",
        "name,n\nAcme,5\nTotalEnergies,7\n",
        "name,n\nAcme,5\nSumo Ltd,7\n",
        "code,name\nAB,Ann\n12,Bob\n34,Cid\n",
        "code,n\n12,1\n7A,2\n34,3\n",
        "code,name\n1,NA\n2,DE\n",
        "v\n1,5\n2,5\n",
        'day\n"Jan 5, 2025"\n"Jan 6, 2025"\n',
        "name\nAnn Lee\nBob Roe\n",
        "full name\nAnn Lee\nBob Roe\n",
        "start (hh:mm)\n10:30\nlate\n",
        "note\n<b>a</b>\n{x}\n",
        "<b>,n\na,1\nb,2\n",
        'id,note\n1,a\n2,"x, y"\n',
        "name\nDoe, John\nRoe, Jane\nCher\nPoe, Ann\n",
        "id,name; mail\n1,Ann; a@b.org\n2,Bob; b@b.org\n",
    ],
)
def test_what_only_looks_odd_is_read(text: str) -> None:
    assert len(read(text)) == text.count("\n") - 1


def test_a_last_row_that_is_no_number_is_no_total() -> None:
    records = read_records(io.BytesIO(b"id,n\n1,5\n2,7\n,many\n"), columns={"n": "number"}, misfits="null")
    assert list(records)[-1] == {"id": None, "n": None}
    assert records.misfits == {"n": 1}


def test_totals_after_the_sample_are_found_at_the_end() -> None:
    text = "region,n\n" + f"{'x' * 2000},1\n" * 600 + "Total,600\n"
    records = read_records(io.BytesIO(text.encode()))
    rows: list[Any] = []
    with pytest.raises(InvalidRecordError, match="line of totals"):
        rows.extend(records)
    assert len(rows) == 600
    assert len(read(text, skip_footer=1)) == 600
    assert len(read(text, skip_footer=0)) == 601


def test_a_guessed_encoding_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    read("id,name\n1,Größe\n".encode("cp1252"))
    assert "Windows-1252, is a guess" in caplog.text


def test_files_with_other_columns_are_asked_about(tmp_path: Path, command: Command) -> None:
    one, other = tmp_path / "one.csv", tmp_path / "other.csv"
    one.write_text("id,amount\n1,2\n")
    other.write_text("id,price\n2,3\n")
    done = command("dataset", "ingest", "x", one, other, "--dry-run")
    assert (done.code, "has no column 'amount', which" in done.err) == (2, True)
    assert command("dataset", "ingest", "x", one, other, "--dry-run", "--pad").code == 0


@pytest.mark.parametrize(
    "encoding",
    ["base64", "rot13", "hex", "zlib", "punycode", "idna", "unicode_escape", "undefined", "cp1\udcb2", "a\0b"],
)
def test_what_is_no_encoding_of_text_is_refused(encoding: str) -> None:
    with pytest.raises(LookupError, match=r"no text encoding|not an encoding"):
        read("a,b\n1,2\n", encoding=encoding)


@pytest.mark.parametrize("line", ["sep=;", '"sep=;"', "sep=; ", "sep=;;", "SEP=;", "\nsep=;", " sep=;"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_the_delimiter_that_excel_says(line: str, end: str, encoding: str) -> None:
    text = f"{line}\nid;name\n1;Ann\n2;Bob\n".replace("\n", end)
    assert read(text.encode(encoding)) == [{"id": 1, "name": "Ann"}, {"id": 2, "name": "Bob"}]


def test_a_second_byte_order_mark_is_in_no_name() -> None:
    assert read("\ufeff\ufeffid,name\n1,Ann\n".encode()) == [{"id": 1, "name": "Ann"}]
    assert read('\ufeff\ufeff"id","name"\n1,Ann\n'.encode()) == [{"id": 1, "name": "Ann"}]
    assert read("\ufeff\ufeff" + '{"id": 1}\n') == [{"id": 1}]
    assert read("\ufeff\ufeff" + '[{"id": 1}]') == [{"id": 1}]


def test_records_say_why_they_do_not_pickle() -> None:
    import pickle

    with pytest.raises(TypeError, match="Pass the path on"), read_records(io.BytesIO(b"a,b\n1,2\n")) as records:
        pickle.dumps(records)


def test_an_error_with_locals_shows_that_the_file_is_not_open() -> None:
    with pytest.raises(InvalidRecordError) as caught:
        read_records(io.BytesIO(b"<html><body>"))
    assert all("<Records, not open>" in text for text in rendered(caught.value))


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        ('{"id": 1, "n": 2}\n{"id": 2, "n": 3}\n', [{"id": 1, "n": 2}, {"id": 2, "n": 3}]),
        ('[\n {"id": 1},\n {"id": 2}\n]\n', [{"id": 1}, {"id": 2}]),
    ],
)
def test_json_under_the_name_of_a_table(text: str, rows: list[Any], tmp_path: Path) -> None:
    path = tmp_path / "export.csv"
    path.write_text(text)
    with pytest.raises(InvalidRecordError, match="looks like JSON") as caught:
        read_records(path)
    [(argument, _), (again, _)] = remedies(words_of(caught.value))
    assert list(read_records(path, **argument)) == rows
    assert list(read_records(path, **again))


def test_a_tsv_without_tabs_is_read_by_what_it_has(tmp_path: Path) -> None:
    path = tmp_path / "export.tsv"
    path.write_text("id,name\n1,Ann\n")
    assert list(read_records(path)) == [{"id": 1, "name": "Ann"}]
    path.write_text("id^name\n1^Ann\n")
    with pytest.raises(InvalidRecordError, match=r"delimiter='\^'"):
        read_records(path)
    assert list(read_records(path, delimiter="^")) == [{"id": 1, "name": "Ann"}]


@pytest.mark.parametrize(
    ("text", "row"),
    [
        ('id, "name"\n1, "a, b"\n2, "c"\n', {"id": 1, "name": "a, b"}),
        ('"id"; "name"\n"1"; "a; ""b"""\n2; c\n', {"id": 1, "name": 'a; "b"'}),
        ("'id','name'\n'1','a, b'\n2,c\n", {"id": 1, "name": "a, b"}),
        ("'id';'name'\n'1';'O''Brien'\n2;c\n", {"id": 1, "name": "O'Brien"}),
        ("'id','last, first'\n'1','a, b'\n2,c\n", {"id": 1, "last, first": "a, b"}),
        ("id,name\n1,'a\n2,b'\n", {"id": 1, "name": "'a"}),
        ('id,name\n1, "a" b\n2,c\n', {"id": 1, "name": ' "a" b'}),
    ],
)
def test_quotes_of_other_programs(text: str, row: dict[str, Any]) -> None:
    assert read(text)[0] == row


@pytest.mark.slow
@pytest.mark.parametrize("name", ["plain", "two words", "Bob's $HOME", "a=b", "`date`"])
def test_columns_in_remedies_are_quoted_for_the_shell(name: str, tmp_path: Path, command: Command) -> None:
    path, other = tmp_path / "a.csv", tmp_path / "b.csv"
    path.write_text(f"{name},n\n" + "1,1\n" * 10_001 + "x,1\n")
    other.write_text(f"{name},n\nx,1\n")
    for files in ([path], [path, other]):
        done = command("dataset", "ingest", "x", *files, "--dry-run", "--quiet")
        assert done.code == 2
        option = re.search(r"(--column .*?=text'?)", done.err)
        assert option
        done = command("dataset", "ingest", "x", *files, *shlex.split(option[1]), "--dry-run", "--quiet")
        assert done.code == 0


@pytest.mark.parametrize("footer", [1, 100, 101, 201, 1000, 9000, 11_999, 12_000, 12_001])
def test_a_footer_of_any_length_is_left_out(footer: int) -> None:
    data = b"n,x\n" + b"".join(b"%d,y\n" % n for n in range(12_000))
    records = read_records(io.BytesIO(data), skip_footer=footer, allow_empty=True)
    assert records.total_rows is None
    assert [row["n"] for row in records] == list(range(max(0, 12_000 - footer)))


@pytest.mark.parametrize("rows", [b",\n", b"a,b\n", b"NA,NA\n"])
def test_a_long_file_without_rows_is_asked_about_at_its_end(rows: bytes) -> None:
    data = b"a,b\n" + rows * 12_000
    with pytest.raises(InvalidRecordError, match="no rows below its header"):
        list(read_records(io.BytesIO(data), nulls=["NA"]))
    assert list(read_records(io.BytesIO(data), nulls=["NA"], allow_empty=True)) == []


def test_nulls_are_texts_not_letters() -> None:
    with pytest.raises(ValueError, match="nulls must be a list of texts, not 'NA'"):
        read_records(io.BytesIO(b"a,b\nN,A\n"), nulls="NA")


@pytest.mark.parametrize(
    "above", ["# a\n# b\n# c\n# d\n\n", "Sales report\nAccount 12\nJanuary\nby Ann\n", "-----\nT\n-----\nx\ny\nz\n"]
)
@pytest.mark.parametrize("rows", [1, 2, 3])
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_more_lines_above_a_table_than_it_has_rows(above: str, rows: int, delimiter: str) -> None:
    table = f"day{delimiter}n\n" + f"2025-01-02{delimiter}7\n" * rows
    with pytest.raises(InvalidRecordError, match="but from line") as caught:
        read_records(io.BytesIO((above + table).encode()))
    lines = above.count("\n")
    assert f"use skip_lines={lines}" in str(caught.value)
    found = list(read_records(io.BytesIO((above + table).encode()), skip_lines=lines))
    assert found == [{"day": date(2025, 1, 2), "n": 7}] * rows


def test_a_column_of_prose_is_no_table_because_its_last_lines_have_commas() -> None:
    text = "note\nfine\nbad\nwell, ok\nyes, sure\n"
    assert [row["note"] for row in read_records(io.BytesIO(text.encode()))][-1] == "yes, sure"


def test_lines_that_are_quoted_as_a_whole_are_asked_about() -> None:
    data = b'"id,""v"""\n"1,""2"""\n"3,""4"""\n'
    with pytest.raises(InvalidRecordError, match="is quoted as a whole") as caught:
        read_records(io.BytesIO(data))
    assert "use delimiter=';'" in str(caught.value)
    assert next(read_records(io.BytesIO(data), delimiter=";")) == {'id,"v"': '1,"2"'}
    names = b'name\n"Doe, Ann"\n"Roe, Bob"\n'
    assert next(read_records(io.BytesIO(names))) == {"name": "Doe, Ann"}
