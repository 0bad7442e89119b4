"""What an .xlsx says of its cells beyond their values: errors, formulas without a result, leading zeros."""

import re
import struct
import zipfile
import zlib
from collections.abc import Iterator
from posixpath import join, normpath
from typing import BinaryIO
from xml.etree import ElementTree

import attrs

__all__ = ["DAMAGES", "Hidden", "errors_in", "look_into", "reference"]

_CELL = re.compile(rb"<(?:\w+:)?c\s([^>]*?)(/?)>")
_END = re.compile(rb"</(?:\w+:)?c>")
_REFERENCE = re.compile(rb'\br="([A-Z]+)(\d+)"')
_STYLE = re.compile(rb'\bs="(\d+)"')
_VALUE = re.compile(rb"<(?:\w+:)?v>([^<]*)")
_FORMULA = re.compile(rb"<(?:\w+:)?f[\s/>]")
_ODS_ERROR = re.compile(rb">(#(?:N/A|DIV/0!|REF!|VALUE!|NAME\?|NUM!|NULL!)|Err:\d{3})<")
_XLS_ERRORS = {
    b"\x00": "#NULL!",
    b"\x07": "#DIV/0!",
    b"\x0f": "#VALUE!",
    b"\x17": "#REF!",
    b"\x1d": "#NAME?",
    b"\x24": "#NUM!",
    b"\x2a": "#N/A",
}
_CODES = rb"([\x00\x07\x0f\x17\x1d\x24\x2a])"
# A record BOOLERR that is no boolean, or a FORMULA whose result is an error.
_XLS_ERROR = re.compile(
    rb"\x05\x02\x08\x00.{6}" + _CODES + rb"\x01|\x06\x00.\x00.{6}\x02\x00" + _CODES + rb"\x00\x00\x00\xff\xff",
    re.DOTALL,
)
_BLOCK = 1 << 20
DAMAGES = (
    *(zipfile.BadZipFile, zlib.error, ElementTree.ParseError, struct.error),
    *(KeyError, OSError, EOFError, ValueError, NotImplementedError, RuntimeError),
)
"""What reading an archive raises that is not whole, or has other contents than it says."""


@attrs.frozen
class Hidden:
    """What the library does not tell of a sheet's cells."""

    problems: dict[tuple[int, int], str]
    """By row, from 1, and column, from 0: an error such as #N/A, or "formula" for one without a result."""
    zeros: dict[int, int]
    """By column: how many digits its numbers are shown with, leading zeros included."""


def look_into(stream: BinaryIO, title: str) -> Hidden | None:
    """Return what a sheet's cells are beyond their values, or None when the workbook is no .xlsx."""
    try:
        with zipfile.ZipFile(stream) as archive:
            part = _part_of(archive, title)
            if part is None:
                return None
            widths = _zero_formats(archive)
            problems: dict[tuple[int, int], str] = {}
            zeros: dict[int, int] = {}
            for attributes, content in _cells(archive, part, every=bool(widths)):
                _look_at(attributes, content, widths, problems, zeros)
            return Hidden(problems, zeros)
    except DAMAGES:
        return None


def errors_in(stream: BinaryIO) -> list[str] | None:
    """Return the errors that a workbook of another format shows in any of its sheets, or None where nothing tells."""
    stream.seek(0)
    start = stream.read(4)
    if start == b"PK\x03\x04":
        with zipfile.ZipFile(stream) as archive:
            if "content.xml" not in archive.namelist():
                return None  # .xlsb
            found = _ODS_ERROR.findall(archive.read("content.xml"))
        return sorted({error.decode() for error in found})
    stream.seek(0)
    codes = {code for pair in _XLS_ERROR.findall(stream.read()) for code in pair if code}
    return sorted(_XLS_ERRORS[code] for code in codes)


def reference(row: int, column: int) -> str:
    """Return what a workbook calls a cell, of a row and a column from 0."""
    letters = ""
    column += 1
    while column:
        column, rest = divmod(column - 1, 26)
        letters = chr(65 + rest) + letters
    return f"{letters}{row + 1}"


def _look_at(
    attributes: bytes,
    content: bytes,
    widths: dict[bytes, int],
    problems: dict[tuple[int, int], str],
    zeros: dict[int, int],
) -> None:
    place = _REFERENCE.search(attributes)
    if place is None:
        return
    column = 0
    for letter in place[1]:
        column = column * 26 + letter - 64
    column -= 1
    style = _STYLE.search(attributes) if widths else None
    if style and style[1] in widths and content:
        zeros[column] = max(zeros.get(column, 0), widths[style[1]])
    value = _VALUE.search(content)
    if b't="e"' in attributes:
        problems[int(place[2]), column] = value[1].decode() if value else "#VALUE!"
    elif value is None and b't="str"' not in attributes and _FORMULA.search(content):
        problems[int(place[2]), column] = "formula"


def _cells(archive: zipfile.ZipFile, part: str, *, every: bool) -> Iterator[tuple[bytes, bytes]]:
    """The attributes and contents of cells; without `every`, those of parts that have errors or formulas."""
    left = b""
    with archive.open(part) as sheet:
        while block := sheet.read(_BLOCK):
            text = left + block
            end = max(text.rfind(b"</c>"), text.rfind(b":c>")) + 4
            left = text[end:] if end >= 4 else text
            if end >= 4 and (every or b't="e"' in text or _FORMULA.search(text, 0, end)):
                for cell in _CELL.finditer(text, 0, end):
                    closing = None if cell[2] else _END.search(text, cell.end(), end)
                    if closing:
                        yield cell[1], text[cell.end() : closing.start()]


def _part_of(archive: zipfile.ZipFile, title: str) -> str | None:
    """The file within the archive that holds a sheet."""
    if "xl/workbook.xml" not in archive.namelist():
        return None
    workbook = ElementTree.fromstring(archive.read("xl/workbook.xml"))
    sheet = next((each for each in workbook.iter() if _tag(each) == "sheet" and each.get("name") == title), None)
    if sheet is None:
        return None
    wanted = next((value for name, value in sheet.attrib.items() if name.endswith("}id")), None)
    for each in ElementTree.fromstring(archive.read("xl/_rels/workbook.xml.rels")):
        if each.get("Id") == wanted:
            target = each.get("Target", "")
            return target.lstrip("/") if target.startswith("/") else normpath(join("xl", target))
    return None


def _zero_formats(archive: zipfile.ZipFile) -> dict[bytes, int]:
    """The styles that show leading zeros, and with how many digits."""
    if "xl/styles.xml" not in archive.namelist():
        return {}
    styles = ElementTree.fromstring(archive.read("xl/styles.xml"))
    formats = {each.get("numFmtId"): each.get("formatCode", "") for each in styles.iter() if _tag(each) == "numFmt"}
    cells = next((each for each in styles.iter() if _tag(each) == "cellXfs"), ())
    found: dict[bytes, int] = {}
    for index, each in enumerate(cells):
        code = formats.get(each.get("numFmtId"), "")
        if re.fullmatch(r"0{2,}", code):
            found[b"%d" % index] = len(code)
    return found


def _tag(element: ElementTree.Element) -> str:
    return element.tag.rpartition("}")[2]
