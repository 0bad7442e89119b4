"""Workbooks that make the library use all memory or panic: a clear error instead."""

import io
import struct
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import openpyxl
import pyarrow
import pyarrow.parquet
import pytest
import xlwt

from databox import InvalidRecordError, read_records

ROWS: list[list[Any]] = [["id", "name"], [1, "a"], [2, "b"]]


def xls() -> bytearray:
    book, file = xlwt.Workbook(), io.BytesIO()
    sheet = book.add_sheet("Data")
    for number, row in enumerate(ROWS):
        for place, value in enumerate(row):
            sheet.write(number, place, value)
    book.save(file)
    return bytearray(file.getvalue())


def changed(record: int, offset: int, value: bytes) -> bytes:
    """An .xls whose first record of a kind says something else."""
    data = xls()
    place = 512
    while struct.unpack_from("<H", data, place)[0] != record:
        place += 4 + struct.unpack_from("<H", data, place + 2)[0]
    data[place + 4 + offset : place + 4 + offset + len(value)] = value
    return bytes(data)


def in_a_circle() -> bytes:
    """The chain of sectors of its rows has no end."""
    data = xls()
    (table,) = struct.unpack_from("<I", data, 76)
    struct.pack_into("<I", data, 512 * (table + 1) + 4, 0)
    return bytes(data)


def with_header(offset: int, form: str, value: int) -> bytes:
    data = xls()
    struct.pack_into(form, data, offset, value)
    return bytes(data)


def protected() -> bytes:
    """Its second record says that those after it are encrypted."""
    data = xls()
    second = 512 + 4 + struct.unpack_from("<H", data, 514)[0]
    struct.pack_into("<H", data, second, 0x002F)
    return bytes(data)


def in_sectors(streams: dict[str, bytes], lists_of_tables: list[int]) -> bytes:
    """An old Office document with these streams, in small sectors if they are short.

    Its table of chains is sector 0, the directory sectors 1 and 2, the table of small sectors sector 3. Where the table
    is, the sectors in `lists_of_tables` say, each with the number of the next.
    """
    end, free = 0xFFFFFFFE, 0xFFFFFFFF
    sectors = [bytes(512)] * 4 + [struct.pack("<128I", 0, *[free] * 126, after) for after in lists_of_tables]
    chains = [0xFFFFFFFD, 2, end, end] + [0xFFFFFFFC] * len(lists_of_tables)
    small, small_chains, entries = b"", list[int](), list[bytes]()

    def put(content: bytes, size: int) -> int:
        first = len(chains)
        for start in range(0, len(content), size):
            sectors.append(content[start : start + size].ljust(size, b"\0"))
            chains.append(len(chains) + 1)
        chains[-1] = end
        return first

    def entry(name: str, kind: int, child: int, start: int, size: int) -> bytes:
        text = name.encode("utf-16-le")
        head = struct.pack("<64sHBBIII", text, len(text) + 2, kind, 1, free, free, child)
        return head + bytes(36) + struct.pack("<IQ", start, size)

    for name, content in streams.items():
        if len(content) < 4096:
            start = len(small_chains)
            count = -(-len(content) // 64)
            small += content.ljust(64 * count, b"\0")
            small_chains += [*range(start + 1, start + count), end]
        else:
            start = put(content, 512)
        entries.append(entry(name, 2, 0, start, len(content)))
    root = entry("Root Entry", 5, 1, put(small, 512) if small else end, len(small))
    directory = b"".join([root, *entries]).ljust(1024, b"\0")
    sectors[:4] = [
        struct.pack("<128I", *chains, *[free] * (128 - len(chains))),
        *(directory[:512], directory[512:]),
        struct.pack("<128I", *small_chains, *[free] * (128 - len(small_chains))),
    ]
    listed = [free] * 109 if lists_of_tables else [0, *[free] * 108]
    first_list = 4 if lists_of_tables else end
    header = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(16) + struct.pack("<5H", 0x3E, 3, 0xFFFE, 9, 6) + bytes(10)
    header += struct.pack("<9I", 1, 1, 0, 4096, 3, 1, first_list, len(lists_of_tables), *listed[:1])
    return header + struct.pack("<108I", *listed[1:]) + b"".join(sectors)


def with_a_long_stream() -> bytes:
    data = xls()
    (directory,) = struct.unpack_from("<I", data, 48)
    struct.pack_into("<I", data, 512 * (directory + 1) + 128 + 120, 0xFFFFFFFF)
    return bytes(data)


def far_out() -> bytes:
    book, file = openpyxl.Workbook(), io.BytesIO()
    sheet = book.active
    assert sheet
    for row in ROWS:
        sheet.append(row)
    sheet["XFD1048576"] = "by mistake"
    book.save(file)
    return file.getvalue()


def repeated(columns: str, rows: str = "1") -> bytes:
    """An .ods whose last cell is one that is repeated."""
    spaces = " ".join(
        f'xmlns:{name}="urn:oasis:names:tc:opendocument:xmlns:{name}:1.0"' for name in ("office", "table", "text")
    )
    cell = '<table:table-cell office:value-type="string" table:number-columns-repeated="{}"><text:p>a</text:p>'
    cell += "</table:table-cell>"
    content = (
        f'<office:document-content {spaces}><office:body><office:spreadsheet><table:table table:name="T">'
        f"<table:table-row>{cell.format(1)}</table:table-row>"
        f'<table:table-row table:number-rows-repeated="{rows}">{cell.format(columns)}</table:table-row>'
        "</table:table></office:spreadsheet></office:body></office:document-content>"
    )
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("mimetype", "application/vnd.oasis.opendocument.spreadsheet")
        archive.writestr("content.xml", content)
        archive.writestr("META-INF/manifest.xml", "<manifest/>")
    return file.getvalue()


def encrypted(part: str) -> bytes:
    """An .ods with a password: each of its parts is encrypted, or the whole as one."""
    manifest = f"""<manifest:manifest xmlns:manifest="urn:oasis:names:tc:opendocument:xmlns:manifest:1.0">
      <manifest:file-entry manifest:full-path="{part}" manifest:media-type="text/xml" manifest:size="3000">
        <manifest:encryption-data><manifest:algorithm manifest:algorithm-name="a"/></manifest:encryption-data>
      </manifest:file-entry></manifest:manifest>"""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("mimetype", "application/vnd.oasis.opendocument.spreadsheet")
        archive.writestr("META-INF/manifest.xml", manifest)
        archive.writestr(part, bytes(range(256)) * 12)
    return file.getvalue()


DAMAGED: dict[str, tuple[Callable[[], bytes], str]] = {
    "a chain in a circle": (in_a_circle, "is damaged"),
    "a stream that is longer than the file": (with_a_long_stream, "is damaged"),
    "sectors of an odd size": (lambda: with_header(30, "<H", 10), "is damaged"),
    "more small sectors than there is room for": (lambda: with_header(64, "<I", 0x0FFFFFFF), "is damaged"),
    "a list of tables in a circle": (lambda: in_sectors({"Workbook": bytes(5000)}, [4]), "is damaged"),
    "a password": (protected, "is protected by a password. Save it without one."),
    "a password of today": (
        lambda: in_sectors({"EncryptionInfo": bytes(80), "EncryptedPackage": bytes(5000)}, []),
        "is protected by a password. Save it without one.",
    ),
    "a password of an .ods": (lambda: encrypted("content.xml"), "is protected by a password. Save it without one."),
    "a password of an .ods as a whole": (
        lambda: encrypted("encrypted-package"),
        "is protected by a password. Save it without one.",
    ),
    "rows beyond all bounds": (lambda: changed(0x0200, 4, b"\xff\xff\xff\xff"), "is damaged"),
    "columns beyond all bounds": (lambda: changed(0x0200, 10, b"\xff\xff"), "is damaged"),
    "a cell beyond all bounds": (lambda: changed(0x00FD, 2, b"\xff\xff"), "is damaged"),
    "texts beyond all bounds": (lambda: changed(0x00FC, 4, b"\xff\xff\xff\x7f"), "is damaged"),
    "an end that is missing": (lambda: bytes(xls()[:4500]), "is damaged"),
    "a cell far away": (far_out, "as far out as XFD1048576, though only 7 of them hold anything"),
    "columns without an end": (lambda: repeated("1000000000"), "though only 2 of them hold anything"),
    "rows without an end": (lambda: repeated("3", "1000000000"), "though only 2 of them hold anything"),
    "a count of many digits": (lambda: repeated("9" * 5000), "is damaged"),
}
READ = """
import resource, sys
from databox import InvalidRecordError, read_records
resource.setrlimit(resource.RLIMIT_AS, (2 << 30, 2 << 30))
try:
    print(list(read_records(sys.argv[1])))
except InvalidRecordError as error:
    print(error)
"""


@pytest.mark.parametrize("kind", DAMAGED)
def test_a_damaged_workbook_takes_no_memory_and_ends_no_process(kind: str, tmp_path: Path) -> None:
    make, words = DAMAGED[kind]
    path = tmp_path / "book.xls"
    path.write_bytes(make())
    done = subprocess.run(
        [sys.executable, "-c", READ, str(path)], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"{path} ")
    assert words in done.stdout


@pytest.mark.slow
def test_what_is_only_sparse_is_read(tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    sheet = book.active
    assert sheet
    sheet.append([f"c{n}" for n in range(1000)])
    for row in (2, 1500):
        sheet.cell(row, 1, "a")
        sheet.cell(row, 1000, row)
    book.save(tmp_path / "a.xlsx")
    assert [row["c999"] for row in read_records(tmp_path / "a.xlsx")] == [2, 1500]
    path = tmp_path / "a.ods"
    path.write_bytes(repeated("1", "40000"))
    assert len(list(read_records(path, header=["a"], skip_lines=0))) == 40_001


@pytest.mark.parametrize("lists_of_tables", [[], [0xFFFFFFFE], [5, 0xFFFFFFFE]])
def test_what_other_programs_put_beside_the_rows(lists_of_tables: list[int]) -> None:
    """Short streams, such as a title and an author, are in small sectors of a stream of their own."""
    book = xls()
    (size,) = struct.unpack_from("<I", book, 512 * (1 + struct.unpack_from("<I", book, 48)[0]) + 128 + 120)
    streams = {"Workbook": bytes(book[512 : 512 + size]), "\x05SummaryInformation": b"title" * 40}
    data = in_sectors(streams, lists_of_tables)
    assert list(read_records(io.BytesIO(data))) == [{"id": 1, "name": "a"}, {"id": 2, "name": "b"}]


def test_a_panic_is_an_error_of_ours(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """However it looks for what the library stumbles over, there may be more."""
    monkeypatch.setattr("databox.files.sheet.unsound", lambda _: None)
    (tmp_path / "a.xls").write_bytes(xls()[:4500])
    with pytest.raises(InvalidRecordError, match=r"a\.xls is damaged: .*Create or download it again"):
        read_records(tmp_path / "a.xls")


def test_what_is_kept_on_disk_meanwhile_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Any] = []
    real = tempfile.TemporaryFile

    def temporary() -> Any:
        made.append(real())
        return made[-1]

    monkeypatch.setattr("databox.files.source.tempfile.TemporaryFile", temporary)
    file = io.BytesIO()
    pyarrow.parquet.write_table(pyarrow.table({"a": [1, 2]}), file)

    class Pipe(io.BytesIO):
        def seekable(self) -> bool:
            return False

    assert list(read_records(Pipe(file.getvalue()))) == [{"a": 1}, {"a": 2}]
    for bad in (bytes(xls()[:4500]), file.getvalue()[:-9]):
        with pytest.raises(InvalidRecordError):
            read_records(Pipe(bad), format="excel" if bad.startswith(b"\xd0") else "parquet")
    assert [each.closed for each in made] == [True, True, True]


def test_a_file_of_the_callers_stays_open() -> None:
    file = io.BytesIO()
    pyarrow.parquet.write_table(pyarrow.table({"a": [1]}), file)
    file.seek(0)
    assert list(read_records(file)) == [{"a": 1}]
    assert not file.closed
