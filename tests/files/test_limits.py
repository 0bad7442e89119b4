"""Files whose rows do not fit in memory: a clear error, early, and in time that is linear in the size of the file."""

import io
import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pyarrow
import pyarrow.parquet
import pytest

from databox import InvalidRecordError, read_records
from databox.files.column import MOST_COLUMNS
from databox.guard import DEEPEST, LONGEST_TEXT
from tests.outside import TEXT


def rows(data: bytes, **options: object) -> list[dict[str, object]]:
    return list(read_records(io.BytesIO(data), **options))  # type: ignore[arg-type]


def refused(data: bytes, **options: object) -> str:
    with pytest.raises(InvalidRecordError) as caught:
        rows(data, **options)
    assert str(caught.value).isprintable()
    return str(caught.value)


# Depth


@pytest.mark.parametrize("levels", [DEEPEST + 1, 900, 1_010, 5_000, 50_000])
@pytest.mark.parametrize(
    "nested",
    [
        lambda n: b"[" * n + b"]" * n,
        lambda n: b"[" * n,
        lambda n: b'{"a":' * n + b"1" + b"}" * n,
        lambda n: b'[{"a":' * (n // 2 + 1) + b"1" + b"}]" * (n // 2 + 1),
        lambda n: b'[{"a": 1},\n{"a": ' + b"[" * n + b"1.00000000000000000001" + b"]" * n + b"}]",
        lambda n: b'{"a": 1}\n{"a": ' + b"[" * n + b"1.00000000000000000001" + b"]" * n + b"}\n",
        lambda n: b'{"records": [{"a": ' + b'{"b":' * n + b"1" + b"}" * n + b"}]}",
        lambda n: b'{"data": ' + b"[" * n + b"]" * n + b', "records": [{"a": 1}]}',
    ],
    ids=range(8),
)
@pytest.mark.parametrize(
    "options", [{"format": "json"}, {"format": "jsonl"}, {}, {"format": "json", "rows_at": "data"}], ids=range(4)
)
def test_what_is_nested_deeply(nested: Callable[[int], bytes], levels: int, options: dict[str, object]) -> None:
    said = refused(nested(levels), **options)
    assert "nested more than 100 levels deep" in said or "is not JSON" in said or "no rows" in said


@pytest.mark.parametrize("text", ['"\\ude00"', '"\\ud83d"', '"\\ud83d\\ud83d"'])
def test_half_a_pair_before_the_rows(text: str) -> None:
    data = f'{{"meta": {text}, "data": [{{"a": 1}}]}}'.encode()
    assert "the file is" in refused(data)
    assert "half of a surrogate pair" in refused(data, rows_at="data")


@pytest.mark.parametrize(("encoding", "bad"), [("utf-7", b"\xff"), ("utf-16-le", b"\0\xd8a\0"), ("ascii", b"\xe9")])
@pytest.mark.parametrize("rows_before", [0, 5_000])
def test_json_that_is_not_in_the_encoding_that_was_said(encoding: str, bad: bytes, rows_before: int) -> None:
    before = "".join('{"a": 1}, ' for _ in range(rows_before))
    data = f'[{before}{{"a": "'.encode(encoding) + bad + '"}]'.encode(encoding)
    assert "the file" in refused(data, format="json", encoding=encoding)
    assert "the file" in refused(data, format="jsonl", encoding=encoding)


def test_brackets_within_texts_are_no_depth() -> None:
    text = '"[\\' * 70_000
    data = json.dumps([{"a": text, "[" * 200: "{" * 200}, {"a": "\\", "b": '\\"['}]).encode()
    assert rows(data, format="json")[0]["a"] == text
    lines = b"".join(json.dumps(row).encode() + b"\n" for row in json.loads(data))
    assert rows(lines, format="jsonl") == rows(data, format="json") == json.loads(data)


def test_many_rows_are_no_depth() -> None:
    made = [{"a": n, "b": f'"{n}\\'} for n in range(20_000)]
    assert rows(json.dumps(made).encode(), format="json") == made


def test_the_rows_before_it_are_counted() -> None:
    good = ", ".join(json.dumps({"a": "x" * 1000}) for _ in range(2000))
    with pytest.raises(InvalidRecordError, match=r"after its first 1,9\d\d rows, has values nested"):
        rows(f"[{good}, {'[' * 500}".encode(), format="json")


# Numbers, texts and lines


@pytest.mark.parametrize("digits", [4_301, 5_000, 200_000])
@pytest.mark.parametrize("number", ["{}", "-{}", "1.{}", "0.{}e5", "{}e-5", "1e{}", "1e-{}", "{}."])
@pytest.mark.parametrize("format", ["json", "jsonl"])
def test_numbers_of_thousands_of_digits(format: str, number: str, digits: int) -> None:
    text = number.format("1" * digits)
    assert "many digits" in (said := refused(f'[{{"a": {text}}}]'.encode(), format="json")) or "not JSON" in said
    assert "many digits" in (said := refused(f'{{"a": {text}}}\n'.encode(), format="jsonl")) or "not JSON" in said
    block = ",".join('{"a": 1}' for _ in range(8_189))
    assert (
        "many digits" in (said := refused(f'[{block}, {{"a": {text}}}]'.encode(), format="json")) or "not JSON" in said
    )


@pytest.mark.parametrize(
    "exponent", ["999999999", "99999999999999999999", "-999999999", "-99999999999999999999", "12345"]
)
def test_numbers_that_would_fill_the_memory_when_written_out(exponent: str) -> None:
    for data, format in ((f'[{{"a": 1e{exponent}}}]', "json"), (f'{{"a": 1.0000000000000000e{exponent}}}\n', "jsonl")):
        said = refused(data.encode(), format=format)
        assert "many digits" in said or "not JSON" in said


def test_long_numbers_that_can_be_kept_are_text_with_all_their_digits() -> None:
    digits = "1" * 900
    assert rows(f'[{{"a": {digits}}}]'.encode(), format="json") == [{"a": digits}]
    assert rows(f'{{"a": 0.{digits}}}\n'.encode(), format="jsonl") == [{"a": f"0.{digits}"}]


@pytest.mark.slow
@pytest.mark.parametrize("digits", [400, 4_301, 100_000])
@pytest.mark.parametrize("number", ["{}", "-{}", "{},5", "{}.5", "1e{}", "1e-{}", "1E+{}", "+{}", "({})", "0{}"])
def test_cells_of_thousands_of_digits(number: str, digits: int) -> None:
    cell = number.format("1" * digits)
    assert rows(f"a;b\n{cell};2\n3;4\n".encode())[0]["a"] == cell
    for kind in ("date", "datetime", "boolean", "date:%Y"):
        refused(f"a;b\n{cell};2\n".encode(), columns={"a": kind})
    try:
        (row,) = rows(f"a;b\n{cell};2\n".encode(), columns={"a": "number"}, decimal=".")
    except InvalidRecordError as error:
        assert "limit" not in str(error)
    else:
        assert number == "1e-{}" or float(str(row["a"])) == float(cell)


@pytest.mark.slow
def test_a_text_without_an_end() -> None:
    assert "text of more than 16,000,000 bytes" in refused(b'[{"a": "' + b"x" * (LONGEST_TEXT + 200_000), format="json")
    assert "longer than 16,000,000" in refused(b'{"a": "' + b"x" * (LONGEST_TEXT + 200_000), format="jsonl")
    assert "longer than 16,000,000" in refused(b'a,b\n"' + b"x" * (LONGEST_TEXT + 200_000))
    assert "field of more than 131,072" in refused(b'a,b\n1,2\n"' + b"x\n" * 100_000)
    assert "longer than 16,000,000" in refused(b"a\n" + b"x" * (LONGEST_TEXT + 200_000), max_field=16_000_000)


@pytest.mark.slow
def test_a_row_without_an_end() -> None:
    assert "longer than 16,000,000" in refused(b"a,b\n" + b'1,"x\n","y",' * 2_000_000)


@pytest.mark.slow
def test_a_row_that_is_long_is_read() -> None:
    text = "x" * 3_000_000
    assert rows(json.dumps([{"a": text}]).encode(), format="json") == [{"a": text}]
    assert rows(json.dumps({"a": text}).encode(), format="jsonl") == [{"a": text}]
    assert rows(f"a\r\nb\r\n{text}\r\n".encode(), max_field=16_000_000) == [{"a": "b"}, {"a": text}]


# Columns


@pytest.mark.slow
@pytest.mark.parametrize("columns", [MOST_COLUMNS + 1, 20_000])
def test_too_many_columns(columns: int, tmp_path: Path) -> None:
    names = [f"c{n}" for n in range(columns)]
    row = dict.fromkeys(names, 1)
    numbers = ",".join("1" for _ in names)
    line = json.dumps(row)
    for data, format in (
        (f"{','.join(names)}\n{numbers}\n", "csv"),
        (f"a,b\n1,2\n{numbers}\n", "csv"),
        (f"[{line}]", "json"),
        (f'[{{"a": 1}}, {line}]', "json"),
        (f"{line}\n", "jsonl"),
    ):
        said = refused(data.encode(), format=format)
        assert f"has {columns:,} columns, and there can be 16,384" in said
        assert len(said) < 500
    pyarrow.parquet.write_table(pyarrow.table({name: [1] for name in names}), tmp_path / "a.parquet")
    with pytest.raises(InvalidRecordError, match="there can be 16,384"):
        read_records(tmp_path / "a.parquet")


@pytest.mark.slow
def test_as_many_columns_as_there_can_be() -> None:
    names = [f"c{n}" for n in range(MOST_COLUMNS)]
    assert rows(f"{','.join(names)}\n{','.join('1' for _ in names)}\n".encode()) == [dict.fromkeys(names, 1)]


# Halves of characters


@pytest.mark.parametrize(
    "text", ["a,b\n1,\ud800\n", '[{"a": "\udfff"}]', '{"a": "\udc80"}\n', "\ud83d", "a\n1\n" + "x" * 70_000 + "\udead"]
)
@pytest.mark.parametrize("format", [None, "csv", "json", "jsonl", "parquet", "excel"])
def test_text_with_half_a_character(text: str, format: object) -> None:
    with pytest.raises(InvalidRecordError, match="half of a character"):
        list(read_records(io.StringIO(text), format=format))  # type: ignore[arg-type]


def test_a_file_opened_so_that_bytes_pass_for_halves(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(b"a\nx\xff\n")
    with (
        (tmp_path / "a.csv").open(encoding="utf-8", errors="surrogateescape") as file,
        pytest.raises(InvalidRecordError, match=r"a\.csv holds .* half of a character"),
    ):
        list(read_records(file))


# Growth. What is measured is the processor's time of this thread alone; a square would show as a factor of 256.


def many(columns: int, cell: str, below: str, **options: object) -> Callable[[int], object]:
    def read(factor: int) -> object:
        n = columns * factor
        data = (
            f"{','.join(f'c{k}' for k in range(n))}\n{','.join([cell, *[below] * (n - 1)])}\n{','.join([below] * n)}\n"
        )
        declared = {"columns": {f"c{k}": options["all"] for k in range(n)}} if "all" in options else {}
        return rows(data.encode(), **declared)

    return read


GROWING: dict[str, Callable[[int], object]] = {
    "columns of numbers": many(1000, "1", "2"),
    "columns of marks": many(1000, "1.5", "2.250"),
    "columns of dates": many(1000, "25/04/2025", "03/04/2025"),
    "columns of text": many(1000, "a", "b"),
    "declared columns": many(1000, "1", "2", all="number"),
    "columns of JSON": lambda k: rows(json.dumps([{f"c{n}": n for n in range(1000 * k)}] * 2).encode(), format="json"),
    "a text in JSON": lambda k: rows(json.dumps([{"a": "x" * 500_000 * k}]).encode(), format="json"),
    "escapes in JSON": lambda k: rows(json.dumps([{"a": '\n"\\' * 100_000 * k}]).encode(), format="json"),
    "a line of JSON": lambda k: rows(json.dumps({"a": "x" * 500_000 * k}).encode(), format="jsonl"),
    "a field": lambda k: rows(f"a,b\ny,2\n{'x' * 500_000 * k},1\n".encode(), max_field=16_000_000),
    "a quoted field": lambda k: rows(('a,b\ny,2\n"' + 'x""\n' * 100_000 * k + '",1\n').encode(), max_field=16_000_000),
    "blanks in a cell": lambda k: rows(f"a;b\n2;2\n1{' ' * 1500 * k}x;1\n".encode(), misfits="null"),
    "blanks in a number": lambda k: rows(
        f"a;b\n2;2\n1{' ' * 1500 * k}x;1\n".encode(), columns={"a": "number"}, misfits="null"
    ),
    "nesting": lambda k: refused(b"[" * 20_000 * k, format="json"),
    "nested objects": lambda k: refused(b'{"a":' * 20_000 * k, format="json"),
    "quotes": lambda k: refused(b'["' + b'\\"' * 50_000 * k, format="json"),
}


def seconds(read: Callable[[int], object], factor: int) -> float:
    took = []
    for _ in range(3):
        started = time.thread_time()
        read(factor)
        took.append(time.thread_time() - started)
    return min(took)


@pytest.mark.slow
@pytest.mark.parametrize("read", GROWING.values(), ids=GROWING)
def test_time_grows_as_the_file_does(read: Callable[[int], object]) -> None:
    read(1)
    assert seconds(read, 16) < 96 * max(seconds(read, 1), 0.005)


def test_a_small_file_takes_little_memory() -> None:
    """50 kB of brackets once took 6 GB."""
    program = (
        "import io, resource; from databox import read_records, InvalidRecordError\n"
        "resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30))\n"
        "for data in (b'[' * 50_000, b'{\"a\":' * 10_000, b'[{\"a\":' * 10_000):\n"
        "    for format in ('json', 'jsonl', None):\n"
        "        try: list(read_records(io.BytesIO(data), format=format))\n"
        "        except InvalidRecordError: print('refused')\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.count("refused"), done.stderr) == (0, 9, "")


def test_odd_text_in_each_format() -> None:
    """None of it is a limit."""
    named = {"id": 1, TEXT: TEXT}
    assert rows(json.dumps([named]).encode(), format="json") == [named]
    assert rows(json.dumps(named).encode(), format="jsonl") == [named]
