"""JSON, JSON Lines and Parquet."""

import io
import json
from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from databox import InvalidRecordError, read_records

ROWS = [{"id": n, "name": f"n°{n}", "x": n / 4, "ok": n % 2 == 0, "none": None} for n in range(300)]


def read(data: str | bytes, **options: Any) -> list[dict[str, Any]]:
    return list(read_records(io.BytesIO(data.encode() if isinstance(data, str) else data), **options))


@pytest.mark.parametrize(
    "text",
    [
        json.dumps(ROWS),
        json.dumps(ROWS, indent=2),
        "\n  " + json.dumps(ROWS),
        json.dumps({"records": ROWS}),
        json.dumps({"meta": {"a": [1]}, "records": ROWS}, indent=1),
        "\n".join(map(json.dumps, ROWS)),
        "\n\n".join(map(json.dumps, ROWS)) + "\n\n",
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_all_forms_of_json(text: str, encoding: str) -> None:
    assert read(text.encode(encoding)) == ROWS


def test_the_name_decides_unless_the_content_cannot_be_that(tmp_path: Path) -> None:
    for name, text in (("a.json", json.dumps(ROWS)), ("b.json", "\n".join(map(json.dumps, ROWS)))):
        path = tmp_path / name
        path.write_text(text)
        assert list(read_records(path)) == ROWS


def test_a_delimiter_or_a_header_says_that_it_is_csv(tmp_path: Path) -> None:
    text = "[a];{b}\n1;2\n"
    assert read(text, delimiter=";") == [{"[a]": 1, "{b}": 2}]
    assert read(text, header=["x", "y"]) == [{"x": "[a]", "y": "{b}"}, {"x": "1", "y": "2"}]
    with pytest.raises(InvalidRecordError, match="not JSON"):
        read(text)
    path = tmp_path / "a.json"
    path.write_text(json.dumps(ROWS))
    assert list(read_records(path, delimiter=";")) == ROWS  # one of several files, say, with the same options


def test_columns_are_told_by_the_first_rows() -> None:
    records = read_records(io.BytesIO(json.dumps([*ROWS, {"id": "x"}][::-1]).encode()))
    assert {column.name: column.type for column in records.columns} == {
        "id": "text or number",
        "name": "text",
        "x": "number",
        "ok": "boolean",
        "none": "empty",
    }
    records.close()


def test_declared_columns_are_converted() -> None:
    rows = [{"n": "1,5", "d": "31.12.2025", "t": 7.0, "x": "-"}, {"n": 2, "d": None, "t": "8", "x": "y"}]
    declared = {"n": "number", "d": "date", "t": "text"}
    assert read(json.dumps(rows), columns=declared, nulls=["-"]) == [
        {"n": 1.5, "d": date(2025, 12, 31), "t": "7", "x": None},
        {"n": 2, "d": None, "t": "8", "x": "y"},
    ]
    bad = json.dumps([*rows, {"n": "many"}])
    with pytest.raises(InvalidRecordError, match="row 3, column 'n': 'many' is not a number") as caught:
        read(bad, columns=declared)
    assert caught.value.index == 2
    records = read_records(io.BytesIO(bad.encode()), columns=declared, misfits="null")
    assert [row["n"] for row in records] == [1.5, 2, None]
    assert records.misfits == {"n": 1}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[1, 2]", "row 1 is 1, not an object"),
        ('[{"a": 1}, [2]]', "row 2"),
        ('[{"a": 1}, {"a"', "not JSON after its first 1 rows"),
        ('[{"a": 1} {"a": 2}]', "not JSON after its first 1 rows"),
        ('{"a": 1}\n7\n', "line 2 is 7, not an object"),
        ('{"a": 1}\n{"a": \n', "line 2 is not JSON"),
        ('{\n"a": 1}', "without rows in `records`"),
    ],
)
def test_what_is_no_table_of_rows_is_named(text: str, words: str) -> None:
    with pytest.raises(InvalidRecordError, match=words):
        read(text)


def test_an_array_that_is_not_there() -> None:
    with pytest.raises(InvalidRecordError, match="has no array at 'items'"):
        read('{"data": [{"id": 1}]}', rows_at="items")


@pytest.mark.parametrize("text", ["", "  ", '"text"', "7"])
def test_what_was_said_to_be_json(text: str) -> None:
    with pytest.raises(InvalidRecordError, match="array of objects"):
        read(text, format="json")


# Parquet


def parquet(table: pa.Table) -> bytes:
    file = io.BytesIO()
    pq.write_table(table, file, row_group_size=100)
    return file.getvalue()


def test_parquet_comes_with_its_types() -> None:
    moment = datetime(2025, 12, 31, 10, 30, tzinfo=UTC)
    table = pa.table(
        {
            "i": pa.array([1, None], pa.int64()),
            "f": pa.array([1.5, None], pa.float32()),
            "s": pa.array(["ü", None]),
            "c": pa.array(["x", "y"]).dictionary_encode(),
            "d": pa.array([date(2025, 12, 31), None]),
            "t": pa.array([moment, None], pa.timestamp("ns", tz="UTC")),
            "n": pa.array([Decimal("1.50"), None]),
            "b": pa.array([True, None]),
        }
    )
    records = read_records(io.BytesIO(parquet(table)))
    assert records.total_rows == 2
    assert [column.type for column in records.columns] == [
        *("number", "number", "text", "text", "date", "datetime", "number", "boolean")
    ]
    first, second = records
    assert first == {
        "i": 1,
        "f": 1.5,
        "s": "ü",
        "c": "x",
        "d": date(2025, 12, 31),
        "t": moment,
        "n": Decimal("1.50"),
    } | {"b": True}
    assert second == dict.fromkeys(first) | {"c": "y"}


def test_nanoseconds_that_python_does_not_know_are_cut() -> None:
    table = pa.table({"t": pa.array([1_700_000_000_123_456_789], pa.timestamp("ns"))})
    assert read(parquet(table))[0]["t"].microsecond == 123_456


@pytest.mark.parametrize(
    "values",
    [
        pa.array([{"a": 1}]),
        pa.array([[1]]),
        pa.array([b"x"]),
        pa.array([1], pa.duration("s")),
        pa.array([1], pa.time32("s")),
    ],
)
def test_columns_that_cannot_be_sent_are_refused_at_once(values: pa.Array) -> None:
    with pytest.raises(InvalidRecordError, match=r"column 'bad'.* or leave it out"):
        read_records(io.BytesIO(parquet(pa.table({"good": [1], "bad": values}))))


def test_parquet_through_a_pipe_and_packed() -> None:
    import gzip

    data = parquet(pa.table({"a": list(range(5000))}))

    class Pipe(io.RawIOBase):
        def __init__(self) -> None:
            self._inner = io.BytesIO(data)

        def readable(self) -> bool:
            return True

        def readinto(self, buffer: Any) -> int:
            return self._inner.readinto(buffer)

    assert len(list(read_records(io.BufferedReader(Pipe())))) == 5000
    assert len(read(gzip.compress(data))) == 5000


@pytest.mark.parametrize("damage", [lambda data: data[:-10], lambda data: data[:100] + b"\xff" * 800 + data[900:]])
def test_damaged_parquet_is_named(damage: Any) -> None:
    data = parquet(pa.table({"a": [f"{n * 7919}" for n in range(5000)]}))
    with pytest.raises(InvalidRecordError, match=r"not a Parquet file|damaged"):
        read(damage(data))


def test_a_missing_library_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    def sources() -> Iterator[tuple[str, bytes, str]]:
        yield "pyarrow", parquet(pa.table({"a": [1]})), "parquet"
        yield "ijson", b"[]", "files"
        yield "zstandard", b"\x28\xb5\x2f\xfd" + bytes(20), "files"

    for module, data, extra in sources():
        with monkeypatch.context() as patch:
            patch.setitem(sys.modules, module, None)
            with pytest.raises(ImportError, match=rf'pip install "databox-sdk\[{extra}\]"'):
                read(data)


# A value is never changed


def test_long_numbers_stay_exact_in_both_forms_of_json() -> None:
    ids = ["80241446968629135069", "80241446968629135070", "9007199254740993", "12345678901234567.89", "1", "0.5"]
    lines = "\n".join(f'{{"id": {number}}}' for number in ids)
    for text in (lines, f"[{lines.replace(chr(10), ',')}]"):
        records = read_records(io.BytesIO(text.encode()))
        assert records.columns[0].type == "text"
        assert [row["id"] for row in records] == ids
    assert read('[{"x": 0.1, "y": 1.10, "z": 1e5, "n": -0.0}]') == [{"x": 0.1, "y": 1.1, "z": 100000.0, "n": -0.0}]
    assert read('{"x": 1e-400}\n')[0]["x"] == "0." + "0" * 399 + "1"


def test_a_later_long_number_is_an_error_whose_remedy_works() -> None:
    text = "\n".join([*(f'{{"id": {n}}}' for n in range(200)), '{"id": 9007199254740993}'])
    for data in (text, f"[{text.replace(chr(10), ',')}]"):
        with pytest.raises(InvalidRecordError, match=r"row 201, column 'id': 9007199254740993 has more digits"):
            read(data)
        assert read(data, columns={"id": "text"})[-1] == {"id": "9007199254740993"}


@pytest.mark.parametrize("text", ['{"a": 1, "b": 2, "a": 3}', '{"a": 1, "a" : ":"}', '{"a": ":", "a"\t: 1}'])
def test_a_name_that_comes_twice_is_an_error(text: str) -> None:
    for data in (text, f"[{text}]"):
        with pytest.raises(InvalidRecordError, match="has 'a' twice"):
            read(data, format="jsonl" if data == text else "json")
    assert read('{"a": ":", "b": "\\":"}\n')[0] == {"a": ":", "b": '":'}


@pytest.mark.parametrize("half", [r"\ud800", r"x\udc00", r"\ud800A", r"\ud83d\n\ude00", r"\udbff\ud800"])
def test_half_of_a_character_is_an_error(half: str) -> None:
    for data in (f'{{"a": "{half}"}}\n', f'[{{"a": "{half}"}}]'):
        with pytest.raises(InvalidRecordError, match="not JSON"):
            read(data, format="jsonl" if data[0] == "{" else "json")


@pytest.mark.parametrize(
    ("escape", "is_whole"), [(r"\ud83d\ude00", True), (r"\ud83d", False), (r"\ud83dx", False), (r"\ud83d\n", False)]
)
@pytest.mark.parametrize("cut", [0, 1, 2, 4, 6, 7, 9])
def test_a_character_in_two_halves_over_the_edge_of_a_block(escape: str, is_whole: bool, cut: int) -> None:
    start = '[{"a": "'
    text = "x" * (65_536 - len(start) - cut) + escape
    if is_whole:
        assert read(f'{start}{text}"}}]')[0]["a"] == text.replace(escape, "😀")
        return
    with pytest.raises(InvalidRecordError, match=r"\\ud83d is half of a surrogate pair"):
        read(f'{start}{text}"}}]')
    with pytest.raises(InvalidRecordError, match="is not JSON after its first 0 rows"):
        read(start + text)


def test_rows_behind_something_long() -> None:
    """Longer than what is looked at before reading."""
    assert read(json.dumps({"comment": "x" * 1_100_000, "records": ROWS})) == ROWS


def test_escapes_that_are_whole() -> None:
    text = r'[{"a": "\ud83d\ude00 \\ud800 \u00e9 \"\\"}]'
    assert read(text) == [{"a": '😀 \\ud800 é "\\'}]


def test_parquet_with_two_columns_of_one_name() -> None:
    table = pa.Table.from_arrays([pa.array([1]), pa.array([2]), pa.array([3])], names=["id", "value", "value"])
    with pytest.raises(InvalidRecordError, match="columns 2 and 3 are both named 'value'"):
        read(parquet(table))


def test_timestamps_of_old_writers() -> None:
    moments = [datetime(9999, 12, 31), datetime(1, 1, 1), datetime(2025, 6, 1, 10, 30)]
    file = io.BytesIO()
    table = pa.table({"t": pa.array(moments, pa.timestamp("us"))})
    pq.write_table(table, file, use_deprecated_int96_timestamps=True)
    assert [row["t"] for row in read(file.getvalue())] == moments


@pytest.mark.parametrize(
    "values",
    [
        pa.array([0, 300_000_000_000], pa.timestamp("s")),
        pa.array([0, 300_000_000_000], pa.timestamp("s", "Europe/Paris")),
        pa.array([0, 3_000_000], pa.date32()),
    ],
)
def test_years_that_python_does_not_have_are_named(values: pa.Array) -> None:
    with pytest.raises(InvalidRecordError, match=r"row group 0, column 't' .* beyond the years 1 to 9999"):
        read(parquet(pa.table({"id": [1, 2], "t": values})))


def test_a_time_zone_that_this_machine_lacks_is_named() -> None:
    table = pa.table({"t": pa.array([0], pa.timestamp("us", "Mars/Olympus"))})
    with pytest.raises(InvalidRecordError, match=r"row group 0, column 't' .* there is no time zone 'Mars/Olympus'"):
        read(parquet(table))


def test_long_numbers_of_parquet() -> None:
    table = pa.table({"id": pa.array([9007199254740993, 1]), "n": pa.array([Decimal("1.10"), Decimal("2.20")])})
    assert read(parquet(table)) == [{"id": "9007199254740993", "n": Decimal("1.10")}, {"id": "1", "n": Decimal("2.20")}]
    table = pa.table({"id": pa.array([Decimal(9007199254740993), Decimal(1)], pa.decimal128(20))})
    assert [row["id"] for row in read(parquet(table))] == ["9007199254740993", "1"]


@pytest.mark.parametrize("block", [0, 65_530, 65_536 - 4000])
def test_more_digits_than_python_reads_are_an_error(block: int) -> None:
    """The library behind would end the process."""
    before = f'[{{"x": "{"a" * block}"}}, ' if block else "["
    for number in ("9" * 4301, "-" + "9" * 70_000):
        with pytest.raises(InvalidRecordError, match="a number with too many digits"):
            read(before + f'{{"a": {number}}}]')
        with pytest.raises(InvalidRecordError, match="a number with too many digits"):
            read(f'{{"meta": {number}, "records": [{{"a": 1}}]}}', format="json")
    text = "9" * 900
    assert read(before + f'{{"a": "{text}", "b": 0.{text}}}]')[-1] == {"a": text, "b": f"0.{text}"}
    assert read(f'[{{"a": {text}}}]') == [{"a": text}]


@pytest.mark.parametrize("number", ["1E9999999999", "1e-9999999999"])
def test_a_number_as_large_as_can_be_written_takes_no_memory(number: str) -> None:
    with pytest.raises(InvalidRecordError, match="a number with too many digits"):
        read(f'[{{"a": {number}}}]')


@pytest.mark.parametrize("separator", ["", "\n", "\n\n "])
@pytest.mark.parametrize("indent", [None, 2])
def test_objects_one_after_the_other_over_several_lines(separator: str, indent: int | None) -> None:
    """As `jq` and many programs write them."""
    rows = [{"id": n, "name": "} {"} for n in range(300)]
    text = separator.join(json.dumps(row, indent=indent) for row in rows)
    assert read(text) == rows
    if indent:
        with pytest.raises(InvalidRecordError, match=r"format='json'"):
            read(text, format="jsonl")
    assert read(text, format="json") == rows
    with pytest.raises(InvalidRecordError, match="after its first 300 rows"):
        read(text + separator + '{"id": 7, "name"', format="json")
    with pytest.raises(InvalidRecordError, match="row 301 is 7, not an object"):
        read(text + "\n7\n", format="json")
