"""Corrupted files of every format: rows or a clear error, and the same result however the bytes arrive."""

import csv
import gzip
import io
import json
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any

import openpyxl
import pyarrow
import pyarrow.parquet
import xlwt
import zstandard

from databox import InvalidRecordError, read_records
from databox.ingest.encode import encode
from tests.fuzz.spoil import Case, assert_foreseen, assert_tame, spoiled, tame_log

CELLS = ["1", "-2.5", "1.234,56", "1,234.56", "007", "31.12.2025", "03/04/2025", "2025-12-31", "2025-12-31 10:00"]
CELLS += ["", "N/A", "é", "TRUE", "12%", "€ 5", "a b", '"', "1e5", "12345678901234567890", "Total", "=1+1", "x\ny"]
VALUES = [1, 2.5, True, None, "a", date(2025, 12, 31), datetime(2025, 12, 31, 10), 10**15, "007"]
ENCODINGS = ["utf-8", "utf-8", "utf-8-sig", "utf-16", "cp1252"]
OPTIONS: dict[str, list[Any]] = {
    "encoding": [*ENCODINGS, "utf-7", "shift_jis", "nothing"],
    "delimiter": [",", ";", "\t", "|", "x", "\0"],
    "header": [["a", "b"], ["a"], ["a", "b", "c", "d"]],
    "skip_lines": [0, 1, 3, 10**9],
    "skip_footer": [0, 1, 10**6],
    "pad": [True],
    "max_field": [5, 10**7],
    "sheet": [0, "Data", 7],
    "rows_at": ["data", "data.items", "", "a.b.c"],
    "columns": [{"a": kind} for kind in ("text", "number", "date", "datetime", "boolean", "date:%d/%m/%y", "nothing")],
    "decimal": [",", "."],
    "dayfirst": [True, False],
    "date_format": ["%d/%m/%Y", "%Y", "%"],
    "nulls": [["N/A", "-"]],
    "misfits": ["null"],
    "allow_empty": [True],
}


@contextmanager
def files() -> Iterator[Case]:
    """Read spoiled files."""
    with TemporaryDirectory() as folder:
        yield lambda chance: _try(chance, Path(folder))


def _try(chance: Random, folder: Path) -> None:
    kind = chance.choice(list(GOOD))
    data = _packed(chance, _spoiled_file(chance, kind))
    path = folder / f"file.{chance.choice([kind, kind, kind, 'csv', 'txt'])}"
    path.write_bytes(data)
    names = chance.sample(list(OPTIONS), chance.choice([0, 0, 1, 1, 3]))
    options = {name: chance.choice(OPTIONS[name]) for name in names}
    with tame_log():
        read = _read(path, options)
        with _Dripping(path, chance) as stream:
            again = _read(stream, options)
    if isinstance(read, Exception) and isinstance(again, Exception):
        assert str(read) == str(again).replace(str(stream.name), str(path)), (str(read), str(again))
    else:
        assert repr(read) == repr(again)


def _read(source: Any, options: dict[str, Any]) -> list[Any] | Exception:
    try:
        with read_records(source, **options) as records:
            found = list(records)
    except Exception as error:  # noqa: BLE001 - it is looked at
        assert_foreseen(error)
        return error
    assert_tame(f"{records!r} {records.description}")
    assert records.total_rows in (None, len(found))
    assert records.fraction is None or 0 <= records.fraction <= 1
    for place, row in enumerate(found):
        assert isinstance(row, dict)
        try:
            json.loads(encode(row, place)[0])
        except InvalidRecordError as error:
            assert_foreseen(error)
    return found


class _Dripping(io.FileIO):
    """A file that gives as few bytes as it likes, as a pipe does, and cannot go back."""

    def __init__(self, path: Path, chance: Random) -> None:
        super().__init__(str(path))
        self._chance = chance

    def seekable(self) -> bool:
        return False

    def readinto(self, buffer: Any) -> int:
        return super().readinto(memoryview(buffer)[: self._chance.choice([1, 7, 100, 70_000])])

    def read(self, size: int | None = -1) -> bytes:
        wanted = self._chance.choice([1, 7, 100, 70_000])
        return super().read(wanted if size is None or size < 0 else min(size, wanted))

    def seek(self, *_: Any) -> int:
        raise io.UnsupportedOperation("seek")


def _spoiled_file(chance: Random, kind: str) -> bytes:
    good = GOOD[kind](chance)
    how = chance.random()
    if how < 0.05:
        return good
    if kind in {"xlsx", "ods"} and how < 0.8:
        return _with_a_spoiled_part(chance, good)
    return spoiled(chance, good)


def _with_a_spoiled_part(chance: Random, good: bytes) -> bytes:
    """An archive that is whole, of which some part is not."""
    made = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(good)) as archive, zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as other:
        parts = archive.namelist()
        weighted = [name for name in parts if "sheet" in name or "content" in name] * 3 + parts
        chosen = chance.choice(weighted)
        for name in parts:
            if name == chosen and chance.random() < 0.05:
                continue
            content = archive.read(name)
            other.writestr(name, spoiled(chance, content) if name == chosen else content)
    return made.getvalue()


def _packed(chance: Random, data: bytes) -> bytes:
    how = chance.random()
    if how < 0.85:
        return data
    packed = gzip.compress(data, 1) if how < 0.93 else zstandard.compress(data)
    return spoiled(chance, packed) if chance.random() < 0.5 else packed * chance.choice([1, 1, 2])


# What they are before


def _delimited(chance: Random, delimiter: str | None = None) -> bytes:
    file = io.StringIO(newline="")
    ends = chance.choice(["\n", "\r\n", "\r"])
    quoting: Any = chance.choice([csv.QUOTE_MINIMAL, csv.QUOTE_ALL])
    chosen = delimiter or chance.choice(",;\t|")
    writer = csv.writer(file, delimiter=chosen, lineterminator=ends, quoting=quoting)
    width = chance.choice([1, 2, 2, 4])
    kinds = [chance.sample(CELLS, chance.choice([1, 1, 3, 8])) for _ in range(width)]
    writer.writerow("abcd"[:width])
    writer.writerows([[chance.choice(kind) for kind in kinds] for _ in range(chance.choice([0, 1, 5, 60, 3000]))])
    return file.getvalue().encode(chance.choice(ENCODINGS), "replace")


def _objects(chance: Random) -> list[dict[str, Any]]:
    odd = [*CELLS, 1, -2.5, 2**60, None, True, [1], {"b": 1}, Decimal("1.10")]
    count = chance.choice([0, 1, 5, 200])
    return [{name: chance.choice(odd) for name in "abcd"[: chance.choice([2, 2, 4])]} for _ in range(count)]


def _json(chance: Random) -> bytes:
    rows: Any = _objects(chance)
    document = chance.choice([rows, rows, {"data": rows}, {"data": {"items": rows}, "n": 1}, {"records": rows}])
    text = json.dumps(document, default=str, indent=chance.choice([None, 1]), ensure_ascii=chance.random() < 0.5)
    return text.encode(chance.choice(ENCODINGS), "replace")


def _json_lines(chance: Random) -> bytes:
    return "".join(f"{json.dumps(row, default=str)}\n" for row in _objects(chance)).encode()


def _typed(chance: Random) -> list[list[Any]]:
    return [[chance.choice(VALUES) for _ in "ab"] for _ in range(chance.choice([0, 1, 5, 50]))]


def _xlsx(chance: Random) -> bytes:
    book, file = openpyxl.Workbook(), io.BytesIO()
    sheet = book.active
    assert sheet
    for row in (["a", "b"], *_typed(chance)):
        sheet.append(row)
    book.save(file)
    return file.getvalue()


def _xls(chance: Random) -> bytes:
    book, file = xlwt.Workbook(), io.BytesIO()
    sheet = book.add_sheet("Data")
    for number, row in enumerate((["a", "b"], *_typed(chance))):
        for place, value in enumerate(row):
            sheet.write(number, place, value)
    book.save(file)
    return file.getvalue()


def _ods(chance: Random) -> bytes:
    rows: list[list[tuple[str, object]]] = [[("string", "a"), ("string", "b")]]
    rows += [[("float", chance.randrange(99)), ("string", "x")] for _ in range(3)]
    cell = '<table:table-cell office:value-type="{0}" office:value="{1}"><text:p>{1}</text:p></table:table-cell>'
    cells = "".join(f"<table:table-row>{''.join(cell.format(*each) for each in row)}</table:table-row>" for row in rows)
    spaces = " ".join(
        f'xmlns:{name}="urn:oasis:names:tc:opendocument:xmlns:{name}:1.0"' for name in ("office", "table", "text")
    )
    content = f'<office:document-content {spaces}><office:body><office:spreadsheet><table:table table:name="T">'
    content += f"{cells}</table:table></office:spreadsheet></office:body></office:document-content>"
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        archive.writestr("mimetype", "application/vnd.oasis.opendocument.spreadsheet")
        archive.writestr("content.xml", content)
        archive.writestr("META-INF/manifest.xml", "<manifest/>")
    return made.getvalue()


def _parquet(chance: Random) -> bytes:
    count = chance.choice([0, 1, 5, 50])
    columns = {
        "a": pyarrow.array([chance.choice([1, 2, None]) for _ in range(count)], pyarrow.int64()),
        "b": pyarrow.array([chance.choice(CELLS) for _ in range(count)], pyarrow.string()),
        "c": pyarrow.array([datetime(2025, 1, 1, 10)] * count, pyarrow.timestamp(chance.choice(["ns", "us", "s"]))),
        "d": pyarrow.array([Decimal("1.10")] * count, pyarrow.decimal128(20, 2)),
    }
    file = io.BytesIO()
    packing = chance.choice(["none", "snappy", "zstd"])
    pyarrow.parquet.write_table(pyarrow.table(columns), file, compression=packing, row_group_size=20)
    return file.getvalue()


GOOD = {
    "csv": _delimited,
    "tsv": lambda chance: _delimited(chance, "\t"),
    "json": _json,
    "jsonl": _json_lines,
    "xlsx": _xlsx,
    "xls": _xls,
    "ods": _ods,
    "parquet": _parquet,
}
