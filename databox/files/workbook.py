"""What .xlsx says about its cells beyond their values, and the little that .xls and .xlsb say."""

import re
import struct
import zipfile
import zlib
from collections.abc import Iterator
from posixpath import join, normpath
from typing import BinaryIO
from xml.etree import ElementTree

from databox.files.hidden import DIGIT, Hidden, Place, column_number, long_number

__all__ = ["DAMAGES", "errors_in", "look_into", "may_show_zeros"]

_TAG = re.compile(rb"<(?:\w+:)?(c|row)(?=[\s/>])([^>]*?)(/?)>")
"""The start of a row or a cell."""
_UNPLACED = re.compile(rb"""<(?:\w+:)?c(?=[\s/>])(?![^>]*\br=["'])""")
"""A cell that does not say where it is, which the format allows: it follows the cell before it."""
_END = re.compile(rb"</(?:\w+:)?c>")
_REFERENCE = re.compile(rb"""\br=["']([A-Z]*)(\d+)["']""")
_STYLE = re.compile(rb"""\bs=["'](\d+)["']""")
_KIND = re.compile(rb"""\bt=["'](\w+)["']""")
_IS_ERROR = re.compile(rb"""\bt=["']e["']""")
_VALUE = re.compile(rb"<(?:\w+:)?v(?:\s[^>/]*)?>([^<]*)")
_FORMULA = re.compile(rb"<(?:\w+:)?f[\s/>]")
_LONG = re.compile(rb"<(?:\w+:)?v(?:\s[^>/]*)?>-?\d{16,}<")
_OF_INTEREST = (_IS_ERROR.search, _FORMULA.search, _LONG.search)
_FORMAT = re.compile(r"\[[^]]*\]|[_*].|\"(?P<text>[^\"]*)\"|\\(?P<sign>.)|(?P<plain>[-/ ()+:])|(?P<digit>0)", re.DOTALL)
"""A part of a number format that consists of digits with leading zeros and symbols between them."""
_ZEROS = re.compile(rb"\x1e\x04.{4}.\x00\x00[^\x00]{0,20}?00+[^.0]", re.DOTALL)
"""A record FORMAT of .xls with leading zeros."""
_WIDE_ZEROS = re.compile(rb"[^.#0]\x00(?:0\x00){2,}[^.0]")
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
# A BOOLERR record that is not a boolean, or a FORMULA whose result is an error.
_XLS_ERROR = re.compile(
    rb"\x05\x02\x08\x00.{6}" + _CODES + rb"\x01|\x06\x00.\x00.{6}\x02\x00" + _CODES + rb"\x00\x00\x00\xff\xff",
    re.DOTALL,
)
_BLOCK = 1 << 20
DAMAGES = (
    *(zipfile.BadZipFile, zlib.error, ElementTree.ParseError, struct.error),
    *(KeyError, OSError, EOFError, ValueError, NotImplementedError, RuntimeError),
)
"""Errors of reading an archive that is incomplete, or has other contents than it declares."""


def look_into(stream: BinaryIO, title: str) -> Hidden | None:
    """Return what a sheet says about its cells beyond their values, or None if the workbook is not an .xlsx."""
    try:
        with zipfile.ZipFile(stream) as archive:
            part = _part_of(archive, title)
            if part is None:
                return None
            masks = _masks(archive)
            hidden = Hidden()
            for place, attributes, content in _cells(archive, part, every=bool(masks)):
                _look_at(place, attributes, content, masks, hidden)
            return hidden
    except DAMAGES:
        return None


def errors_in(stream: BinaryIO) -> list[str] | None:
    """Return the errors that an .xls displays in any of its sheets, or None for .xlsb, which does not say."""
    stream.seek(0)
    data = stream.read()
    if data.startswith(b"PK\x03\x04"):
        return None
    codes = {code for pair in _XLS_ERROR.findall(data) for code in pair if code}
    return sorted(_XLS_ERRORS[code] for code in codes)


def may_show_zeros(stream: BinaryIO) -> bool:
    """Whether an .xls or .xlsb has number formats with leading zeros; which cells use them is not determined."""
    stream.seek(0)
    data = stream.read()
    if not data.startswith(b"PK\x03\x04"):
        return _ZEROS.search(data) is not None
    with zipfile.ZipFile(stream) as archive:
        return "xl/styles.bin" in archive.namelist() and bool(_WIDE_ZEROS.search(archive.read("xl/styles.bin")))


def _look_at(place: Place, attributes: bytes, content: bytes, masks: dict[bytes, str], hidden: Hidden) -> None:
    style = _STYLE.search(attributes) if masks else None
    if style and style[1] in masks and content:
        hidden.show_with(place[1], masks[style[1]])
    value, kind = _VALUE.search(content), _KIND.search(attributes)
    if kind and kind[1] == b"e":
        hidden.problems[place] = value[1].decode() if value else "#VALUE!"
    elif value is None and not (kind and kind[1] == b"str") and _FORMULA.search(content):
        hidden.problems[place] = "formula"
    elif value and (kind is None or kind[1] == b"n") and long_number(value[1].decode()):
        hidden.texts[place] = value[1].decode()


def _cells(archive: zipfile.ZipFile, part: str, *, every: bool) -> Iterator[tuple[Place, bytes, bytes]]:
    """The places, attributes and contents of cells; without `every`, those of parts with errors, formulas or long
    numbers."""
    left = b""
    row, column = 0, -1
    with archive.open(part) as sheet:
        while block := sheet.read(_BLOCK):
            text = left + block
            end = max(text.rfind(b"</c>"), text.rfind(b":c>")) + 4
            left = text[end:] if end >= 4 else text
            if end < 4:
                continue
            every = every or _UNPLACED.search(text, 0, end) is not None
            if not every and not any(search(text, 0, end) for search in _OF_INTEREST):
                continue
            for tag in _TAG.finditer(text, 0, end):
                said = _REFERENCE.search(tag[2])
                if tag[1] == b"row":
                    row, column = int(said[2]) if said else row + 1, -1
                    continue
                row, column = (int(said[2]), column_number(said[1]) - 1) if said else (row, column + 1)
                closing = None if tag[3] else _END.search(text, tag.end(), end)
                if closing:
                    yield (row, column), tag[2], text[tag.end() : closing.start()]


def _part_of(archive: zipfile.ZipFile, title: str) -> str | None:
    """The file of a sheet within the archive."""
    if "xl/workbook.xml" not in archive.namelist():
        return None
    workbook = ElementTree.fromstring(archive.read("xl/workbook.xml"))
    sheets = {each.get("name"): each.attrib for each in workbook.iter() if _tag(each) == "sheet"}
    [wanted] = (value for name, value in sheets[title].items() if name.endswith("}id"))
    relations = ElementTree.fromstring(archive.read("xl/_rels/workbook.xml.rels"))
    target = {each.get("Id"): each.get("Target", "") for each in relations}[wanted]
    return target.lstrip("/") if target.startswith("/") else normpath(join("xl", target))


def _masks(archive: zipfile.ZipFile) -> dict[bytes, str]:
    """The styles with leading zeros, and their masks."""
    if "xl/styles.xml" not in archive.namelist():
        return {}
    styles = ElementTree.fromstring(archive.read("xl/styles.xml"))
    formats = {each.get("numFmtId"): each.get("formatCode", "") for each in styles.iter() if _tag(each) == "numFmt"}
    cells = next((each for each in styles.iter() if _tag(each) == "cellXfs"), ())
    found: dict[bytes, str] = {}
    for index, each in enumerate(cells):
        mask = _mask(formats.get(each.get("numFmtId"), ""))
        if mask.count(DIGIT) > 1:
            found[b"%d" % index] = mask
    return found


def _mask(code: str) -> str:
    """How a format displays a non-negative whole number; empty unless it uses only digits and symbols."""
    code = code.partition(";")[0]
    parts = list(_FORMAT.finditer(code))
    if sum(len(part[0]) for part in parts) < len(code):
        return ""
    return "".join(DIGIT if part["digit"] else part["text"] or part["sign"] or part["plain"] or "" for part in parts)


def _tag(element: ElementTree.Element) -> str:
    return element.tag.rpartition("}")[2]
