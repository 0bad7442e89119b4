"""Whether a workbook is better not opened: the library takes all memory for some, which ends the whole process.

Of an old Office document its chains of sectors are followed first, as in a damaged one they may go round in circles. Of
the others it is looked how far out their cells are, as the library has all cells of the rectangle around them.
"""

import re
import struct
import zipfile
from collections.abc import Iterator
from typing import BinaryIO
from xml.etree import ElementTree

from databox.files.compound import MAGIC, streams_of
from databox.files.hidden import column_number, reference

__all__ = ["unsound"]

_LARGE = 20_000_000
"""Cells of a rectangle that are fine however few of them there are."""
_SPARSE = 50
"""How many times as many cells as there are a larger rectangle may have."""
_PLACE = re.compile(rb"""\br=["']([A-Za-z]{1,3})(\d{1,7})["']""")
_BLOCK = 1 << 20
_OVERLAP = 32
_CELLS = {0x0006, 0x0201, 0x0203, 0x0204, 0x0205, 0x027E, 0x00BD, 0x00BE, 0x00D6, 0x00FD}
_DIMENSIONS, _TEXTS, _ENCRYPTED = 0x0200, 0x00FC, 0x002F
_DAMAGED = "is damaged. Create or download it again."
_PROTECTED = "is protected by a password. Save it without one."
_MANIFEST = "META-INF/manifest.xml"
"""What an .ods consists of, and how each part is encrypted (OpenDocument 1.3, part 2)."""
_MOST_ROWS, _MOST_COLUMNS = 65_536, 256
"""Those of an .xls."""


def unsound(stream: BinaryIO) -> str | None:
    """Return what is wrong with a workbook, as the rest of a sentence, or None when it can be opened."""
    stream.seek(0)
    if stream.read(8) == MAGIC:
        stream.seek(0)
        try:
            for name, content in streams_of(stream.read(), ("Workbook", "Book", "EncryptedPackage")):
                if problem := _PROTECTED if name == "EncryptedPackage" else _problem_of(content):
                    return problem
        except (struct.error, IndexError, ValueError):
            return _DAMAGED
        return None
    stream.seek(0)
    if not zipfile.is_zipfile(stream):
        return None
    with zipfile.ZipFile(stream) as archive:
        if _MANIFEST in archive.namelist() and b"encryption-data" in archive.read(_MANIFEST):
            return _PROTECTED
        for name in archive.namelist():
            rows = columns = cells = 0
            found = _of_ods(archive, name) if name == "content.xml" else _of_xlsx(archive, name)
            for row, column in found:
                rows, columns, cells = max(rows, row), max(columns, column), cells + 1
            if rows * columns > max(_LARGE, cells * _SPARSE):
                return (
                    f"has cells as far out as {reference(rows - 1, columns - 1)}, though only {cells:,} of them hold "
                    "anything. Remove what stands apart from the table, and save it again."
                )
    return None


# Archives


def _of_xlsx(archive: zipfile.ZipFile, name: str) -> Iterator[tuple[int, int]]:
    """The places of cells in a part of a workbook, from 1."""
    if not name.endswith(".xml") or "/worksheets/" not in name:
        return
    columns: dict[bytes, int] = {}
    with archive.open(name) as part:
        left = b""
        while block := part.read(_BLOCK):
            text = left + block
            end = 0
            for found in _PLACE.finditer(text):
                letters, row = found.groups()
                if letters not in columns:
                    columns[letters] = column_number(letters)
                yield int(row), columns[letters]
                end = found.end()
            left = text[max(end, len(text) - _OVERLAP) :]


def _of_ods(archive: zipfile.ZipFile, name: str) -> Iterator[tuple[int, int]]:
    """The places of cells that hold something, with the last one of those that are repeated."""
    with archive.open(name) as content:
        row = 0
        for event, element in ElementTree.iterparse(content, ("start", "end")):
            tag = element.tag.rpartition("}")[2]
            if tag == "table" and event == "start":
                row = 0
            elif tag == "table-row" and event == "end":
                row += _count(element, "number-rows-repeated")
                column = 0
                for cell in element:
                    column += _count(cell, "number-columns-repeated")
                    if len(cell) or any(key.endswith("}value-type") for key in cell.attrib):
                        yield row, column
                element.clear()


def _count(element: ElementTree.Element, name: str) -> int:
    return next((int(value) for key, value in element.attrib.items() if key.endswith(f"}}{name}")), 1)


# Old Office documents


def _problem_of(workbook: bytes) -> str | None:
    """What keeps an .xls from being read: a password, or records beyond what it can hold, for which the library takes
    memory all the same."""
    place = 0
    while place + 4 <= len(workbook):
        kind, length = struct.unpack_from("<HH", workbook, place)
        if kind == _ENCRYPTED:
            return _PROTECTED
        content = workbook[place + 4 : place + 4 + min(length, 16)]
        if kind in _CELLS and int.from_bytes(content[2:4], "little") >= _MOST_COLUMNS:
            return _DAMAGED
        if kind == _DIMENSIONS:
            form = "<IIHH" if length == 14 else "<4H"
            first, last, _, columns = struct.unpack_from(form, content)
            if first > last or last > _MOST_ROWS or columns > _MOST_COLUMNS:
                return _DAMAGED
        if kind == _TEXTS and int.from_bytes(content[4:8], "little") > len(workbook):
            return _DAMAGED
        place += 4 + length
    return None
