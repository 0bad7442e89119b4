"""Where bytes come from: compressed, piped, passed as objects, damaged."""

import codecs
import gzip
import io
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import Any

import pytest
import zstandard

from databox import InvalidRecordError, read_records
from tests.marks import slow
from tests.programs import PEAK

TEXT = b"a,b,c\n" + b"".join(b"%d,%d.5,%s\n" % (n, n * 7919, b"%x" % n * 300) for n in range(3000))
LAST = {"a": 2999, "b": 2999 * 7919 + 0.5, "c": "bb7" * 300}
"""More than the megabyte that is looked at before reading."""
PACKERS = {"gzip": gzip.compress, "zstd": zstandard.ZstdCompressor().compress}


@pytest.mark.parametrize("packer", PACKERS)
def test_packed_files_are_told_by_their_content(packer: str, tmp_path: Path) -> None:
    path = tmp_path / "rows"
    path.write_bytes(PACKERS[packer](TEXT))
    with read_records(path) as records:
        *_, last = records
        assert records.description.endswith(packer)
        assert records.fraction == 1.0
    assert last == LAST


@pytest.mark.parametrize("packer", PACKERS)
def test_packed_parts_one_after_the_other(packer: str) -> None:
    packed = PACKERS[packer](TEXT[:500_000]) + PACKERS[packer](TEXT[500_000:])
    *_, last = read_records(io.BytesIO(packed))
    assert last == LAST


@pytest.mark.parametrize("packer", PACKERS)
@pytest.mark.parametrize("share", [0.1, 0.9])
def test_what_is_cut_off_is_never_taken_for_the_end(packer: str, share: float) -> None:
    packed = PACKERS[packer](TEXT)
    with pytest.raises(InvalidRecordError, match=f"{packer}.* cannot be unpacked to its end"):
        list(read_records(io.BytesIO(packed[: int(len(packed) * share)])))


@pytest.mark.parametrize("packer", PACKERS)
def test_damage_within_is_an_error(packer: str) -> None:
    packed = bytearray(PACKERS[packer](TEXT))
    packed[len(packed) // 2] ^= 0xFF
    packed[len(packed) // 2 + 1] ^= 0xFF
    with pytest.raises(InvalidRecordError):
        list(read_records(io.BytesIO(bytes(packed)), format="csv"))


@pytest.mark.parametrize(
    ("start", "words"),
    [
        (b"PK\x03\x04rest", "ZIP archive"),
        (b"\xd0\xcf\x11\xe0rest", "old Office"),
        (b"BZh9rest", "bzip2"),
        (b"\xfd7zXZ\0", "xz"),
        (b"%PDF-1.7", "PDF"),
    ],
)
def test_other_kinds_of_files_are_named(start: bytes, words: str) -> None:
    with pytest.raises(InvalidRecordError, match=words):
        read_records(io.BytesIO(start * 10))


@pytest.mark.parametrize("number", [-1, 2**31, 10**400, 10**5000, True, 1.0], ids=range(6))
@pytest.mark.parametrize("name", ["skip_lines", "skip_footer", "max_field"])
def test_a_number_that_nothing_can_have(name: str, number: Any) -> None:
    with pytest.raises(ValueError, match=f"{name} must be a whole number from 0 to 2,147,483,647"):
        read_records(io.BytesIO(b"a,b\n1,2\n"), **{name: number})


@pytest.mark.parametrize("name", ["skip_lines", "skip_footer", "max_field"])
def test_a_number_larger_than_any_file(name: str) -> None:
    try:
        read_records(io.BytesIO(b"a,b\n1,2\n"), **{name: 2**31 - 1})  # type: ignore[arg-type]
    except InvalidRecordError as error:
        assert "no rows" in str(error)


def test_a_path_that_cannot_be_opened(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="none"):
        read_records(tmp_path / "none.csv")
    with pytest.raises(IsADirectoryError):
        read_records(tmp_path)


@pytest.mark.parametrize("source", [None, 7, [{"a": 1}]])
def test_what_is_no_source(source: Any) -> None:
    with pytest.raises(TypeError, match="read_records takes a path"):
        read_records(source)


def test_open_files_of_either_kind(tmp_path: Path) -> None:
    with read_records(io.StringIO("ä;b\n1,5;ü\n")) as records:
        assert list(records) == [{"ä": 1.5, "b": "ü"}]
        assert records.fraction is None  # of how many bytes is not known
    path = tmp_path / "rows.csv"
    path.write_text("skipped\nä;b\n1,5;ü\n", "utf-8")
    with path.open("rb") as file:
        file.readline()
        assert list(read_records(file)) == [{"ä": 1.5, "b": "ü"}]
        assert not file.closed
    with path.open(encoding="utf-8") as text:
        text.readline()
        assert list(read_records(text)) == [{"ä": 1.5, "b": "ü"}]


def test_open_files_of_other_kinds(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("ä;b\n1,5;ü\n", "utf-8")
    with codecs.open(str(path), encoding="utf-8") as reader:
        assert list(read_records(reader)) == [{"ä": 1.5, "b": "ü"}]
    for mode in ("w+", "w+b"):
        for make in (tempfile.TemporaryFile, tempfile.SpooledTemporaryFile, tempfile.NamedTemporaryFile):
            with make(mode=mode, suffix=".csv") as opened:
                file: Any = opened
                file.write(path.read_bytes() if "b" in mode else path.read_text("utf-8"))
                file.seek(0)
                assert list(read_records(file)) == [{"ä": 1.5, "b": "ü"}]
    with zipfile.ZipFile(tmp_path / "rows.zip", "w") as archive:
        archive.write(path, "rows.csv")
        with archive.open("rows.csv") as member:
            assert list(read_records(member)) == [{"ä": 1.5, "b": "ü"}]


@pytest.mark.slow
def test_text_that_is_no_unicode_is_an_error() -> None:
    text = "id,name\n" + "1,a\n" * 300_000 + "2,\udce4\n"
    records = read_records(io.StringIO(text))
    with pytest.raises(InvalidRecordError, match=r"the file holds '\\udce4', half of a character.*open it with"):
        list(records)
    with pytest.raises(InvalidRecordError, match="half of a character"):
        read_records(io.StringIO("id,name\n2,\udce4\n"))


def test_a_path_is_closed_at_the_end_and_by_with(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_bytes(b"a,b\n1,2\n")
    list(read_records(path))
    with read_records(path) as records:
        assert repr(records) == f"<Records of {path}: CSV, comma, UTF-8, 2 columns>"
    # What is left open warns, and a warning is an error here.


PROGRAM = """
import sys
from databox import read_records
rows = 0
for row in read_records("-"):
    rows += 1
print(rows, row)
"""


@pytest.mark.parametrize("data", [TEXT, gzip.compress(TEXT)], ids=["plain", "gzip"])
def test_standard_input(data: bytes) -> None:
    done = subprocess.run([sys.executable, "-W", "error", "-c", PROGRAM], input=data, capture_output=True, check=True)
    assert done.stdout.decode().strip() == f"3000 {LAST}"


MEMORY = (
    PEAK
    + """
import sys
from databox import read_records
before = peak()
records = read_records(sys.argv[1])
rows = 0
first = next(records)
early = peak()
for row in records:
    rows += 1
print(rows + 1, early - before, peak() - early)
"""
)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["csv", *slow(["csv.gz", "csv.zst", "jsonl", "json"])])
def test_memory_stays_flat(kind: str, tmp_path: Path) -> None:
    path = tmp_path / f"rows.{kind}"
    line = b"1,%s\n" % (b"x" * 996)
    if kind == "jsonl":
        data = b'{"a": 1, "b": "%s"}\n' % (b"x" * 996) * 40_000
    elif kind == "json":
        data = b"[" + b'{"a": 1, "b": "%s"},' % (b"x" * 996) * 40_000 + b'{"a": 1}]'
    else:
        data = b"a,b\n" + line * 40_000
    packer = {"csv.gz": gzip.compress, "csv.zst": PACKERS["zstd"]}.get(kind, bytes)
    path.write_bytes(packer(data))
    done = subprocess.run(
        [sys.executable, "-c", MEMORY, str(path)], capture_output=True, text=True, check=True, timeout=120
    )
    rows, early, more = map(int, done.stdout.split())
    assert rows >= 40_000
    assert early < 25_000  # kilobytes, for a sample of one megabyte and the libraries; the file has 40,000
    assert more < 12_000
