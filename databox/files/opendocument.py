"""What an .ods says about its cells beyond their values."""

import re
import zipfile
from typing import IO, BinaryIO
from xml.etree import ElementTree

from databox.files.hidden import DIGIT, Hidden, long_number
from databox.files.workbook import DAMAGES

__all__ = ["look_into_ods"]

_CONTENT = "content.xml"
_ERROR = re.compile(r"#(?:N/A|DIV/0!|REF!|VALUE!|NAME\?|NUM!|NULL!)|Err:\d{3}")
_FOREIGN_ERROR = re.compile(r"#¡?[^\W\d_]+(?:/[0A])?[ \u00a0]?[!?]?")
"""An error as a program displays it in another language, such as #NV or #WERT!, whatever the value of the cell is."""
_ZEROS = re.compile(r"0\d+", re.ASCII)
_PASSED_OVER = frozenset({"annotation", "shapes"})


def look_into_ods(stream: BinaryIO, title: str) -> Hidden | None:
    """Return what a sheet says about its cells beyond their values, or None if the workbook is not an .ods."""
    stream.seek(0)
    try:
        with zipfile.ZipFile(stream) as archive, archive.open(_CONTENT) as content:
            return _of_sheet(content, title)
    except DAMAGES:
        return None


def _of_sheet(content: IO[bytes], title: str) -> Hidden:
    hidden = Hidden()
    row, is_meant = 0, False
    for event, element in ElementTree.iterparse(content, ("start", "end")):
        tag = _tag(element)
        if tag == "table":
            is_meant = event == "start" and _get(element, "name") == title
            row = 0
        elif tag == "table-row" and event == "end":
            repeated = _count(element, "number-rows-repeated")
            if is_meant:
                _look_at(element, row, repeated, hidden)
                row += repeated
            element.clear()
    return hidden


def _look_at(line: ElementTree.Element, row: int, rows: int, hidden: Hidden) -> None:
    column = 0
    for cell in line:
        columns = _count(cell, "number-columns-repeated")
        text = _text(cell)
        value, kind = _get(cell, "value"), _get(cell, "value-type")
        problem = shown = None
        if _ERROR.fullmatch(text) or _is_error(cell, kind, text):
            problem = text or "#VALUE!"
        elif not kind and not text and _get(cell, "formula"):
            problem = "formula"
        elif kind == "float" and value and long_number(value):
            shown = value
        elif kind == "string" and any(_tag(part) in {"line-break", "tab"} for part in cell.iter()):
            shown = text
        if kind == "float" and _ZEROS.fullmatch(text):
            hidden.show_with(column, DIGIT * len(text))
        last = row + _count(cell, "number-rows-spanned") - 1, column + _count(cell, "number-columns-spanned") - 1
        if last != (row, column):
            hidden.merged.append(((row, column), last))
        if problem or shown:
            for place in ((row + down + 1, column + right) for down in range(rows) for right in range(columns)):
                if problem:
                    hidden.problems[place] = problem
                else:
                    hidden.texts[place] = shown or ""
        column += columns


def _is_error(cell: ElementTree.Element, kind: str | None, text: str) -> bool:
    """Whether a formula has no result: by the attribute of LibreOffice, or because its text is not its value."""
    if any(key.endswith("}value-type") and value == "error" for key, value in cell.attrib.items()):
        return True
    has_value = kind != "float" and _get(cell, "string-value") != ""
    return not has_value and _get(cell, "formula") is not None and _FOREIGN_ERROR.fullmatch(text) is not None


def _text(cell: ElementTree.Element) -> str:
    """The displayed text of a cell."""
    return "\n".join(_within(part) for part in cell if _tag(part) == "p")


def _within(element: ElementTree.Element) -> str:
    found = [element.text or ""]
    for part in element:
        tag = _tag(part)
        if tag == "s":
            found.append(" " * _count(part, "c"))
        elif tag in {"tab", "line-break"}:
            found.append("\t" if tag == "tab" else "\n")
        elif tag not in _PASSED_OVER:
            found.append(_within(part))
        found.append(part.tail or "")
    return "".join(found)


def _get(element: ElementTree.Element, name: str) -> str | None:
    """An attribute, whatever its namespace is."""
    return next((value for key, value in element.attrib.items() if key.rpartition("}")[2] == name), None)


def _count(element: ElementTree.Element, name: str) -> int:
    return int(_get(element, name) or 1)


def _tag(element: ElementTree.Element) -> str:
    return element.tag.rpartition("}")[2]
