"""The layout of a delimited file: its delimiter, and the line of its header."""

import contextlib
import csv
import io
import re
from collections import Counter
from collections.abc import Sequence
from itertools import islice
from typing import Any

import attrs

from databox.errors import InvalidRecordError
from databox.files.dates import form_of
from databox.files.numerals import marks_of
from databox.files.unsplit import ask_about_one_column
from databox.wording import message, setting

__all__ = ["DELIMITERS", "Layout", "layout_of"]

DELIMITERS = {",": "comma", ";": "semicolon", "\t": "tab", "|": "pipe"}
_LOOKED_AT = 200
"""The number of lines that determine the delimiter."""
_UNUSED = "\x1f"
"""Separates nothing: for single-column files that contain all of the usual delimiters."""
_SAID = re.compile(
    r"(?P<blank>(?:[ \t]*(?:\r\n|\r|\n))*)[ \t\"]*sep=(\\t|[^\r\n\"])[\" \t,;|]*(?:\r\n|\r|\n|$)", re.IGNORECASE
)
"""A first line that declares the delimiter for Excel."""

_MOST_ABOVE = 20
"""Lines above a table that are looked for even if it has fewer lines than they are."""
_SINGLE = r" *'(?:[^']|'')+' *"

_Rows = list[tuple[int, list[str]]]


@attrs.frozen
class Layout:
    """Where the fields of a delimited file are."""

    delimiter: str
    skip_lines: int = 0
    """Lines before the header that are not part of the table."""
    quoting: dict[str, Any] = attrs.field(factory=dict)
    """How fields are quoted, as arguments of the csv module."""


def layout_of(name: str, head: str, delimiter: str | None, skip_lines: int | None, *, is_sure: bool = False) -> Layout:
    """Return the layout of a file: as declared, or the one that splits its first lines into equally many fields.

    Args:
        name: the file's name, for errors.
        head: its beginning.
        delimiter: the caller's delimiter.
        skip_lines: the caller's number of lines before the header that are not part of the table.
        is_sure: whether it is known to have one column if none of the usual delimiters is found.

    Raises:
        InvalidRecordError: there are undeclared lines above the header; or it may have another delimiter,
            or not be a table at all.
    """
    start = head.lstrip("\ufeff")
    said = _SAID.match(start)
    skipped = skip_lines or 0
    if said:
        delimiter = delimiter or said[2].replace("\\t", "\t")
        skipped = max(skipped, len(re.findall(r"\r\n|\r|\n", said["blank"])) + 1)
    rest = "".join(islice(io.StringIO(start, newline=""), skipped, None))
    found = delimiter or _evenly(rest)
    if found is None and not is_sure:
        ask_about_one_column(name, skipped + 1, _absent(rest), lambda each: [row for _, row in _first_rows(rest, each)])
    if skip_lines is None:
        _meet_preamble(name, rest, skipped, found, (delimiter,) if delimiter else tuple(DELIMITERS))
    found = found or _absent(rest)
    return Layout(found, skipped, _quoting(rest, found))


def _quoting(text: str, delimiter: str) -> dict[str, Any]:
    """How fields are quoted: in single quotes, if the whole header is; or after a space, `1, "a, b"`."""
    head = list(islice(io.StringIO(text, newline=""), _LOOKED_AT))
    first = next((line.strip() for line in head if line.strip()), "")
    mark = re.escape(delimiter)
    if re.fullmatch(rf"{_SINGLE}(?:{mark}{_SINGLE})*", first):
        return {"quotechar": "'"}
    spaced = re.compile(rf'(?:^|{mark}) +"(?:[^"]|"")*"(?:{mark}|$)', re.MULTILINE)
    block = "".join(head).replace("\r", "\n")
    return {"skipinitialspace": True} if spaced.search(block) and f'{delimiter}"' not in block else {}


def _evenly(text: str) -> str | None:
    """The delimiter that splits most lines into as many fields as the first."""
    best, best_score = None, (0.0, 0)
    for candidate in DELIMITERS:
        counts = [len(fields) for _, fields in _first_rows(text, candidate)]
        if not counts or counts[0] < 2:
            continue
        score = (sum(count == counts[0] for count in counts) / len(counts), counts[0])
        if score > best_score:
            best, best_score = candidate, score
    return best


def _absent(text: str) -> str:
    """A delimiter that does not occur in the text, which has one column."""
    return next((each for each in DELIMITERS if each not in text), _UNUSED)


def _meet_preamble(name: str, text: str, skipped: int, found: str | None, candidates: Sequence[str]) -> None:
    """Raise if the first lines are not part of the table that follows: a title, a comment, an empty line."""
    share, width = _like_the_first(_first_rows(text, found)) if found else (0.0, 0)
    if share == 1.0:
        return
    for candidate in candidates:
        rows = _first_rows(text, candidate)
        start = _table_start(rows)
        if not start or (len(rows[0][1]) > 1 and any(map(_is_value, rows[start][1]))):
            continue
        if share >= 0.5 and len(rows[start][1]) <= width:
            continue
        above, header = rows[0][1], rows[start][1]
        line = skipped + rows[start][0]
        raise InvalidRecordError(
            message(
                f"{name}, line {skipped + rows[0][0]} has {_fields(above)}, but from line {line} on each line has "
                f"{len(header)}. If the header is line {line}, {_shown(header)}, use ",
                setting("skip_lines", line - 1),
                "; if it is the first line, use ",
                setting("skip_lines", skipped),
                ".",
            )
        )


def _table_start(rows: _Rows) -> int:
    """The position of the first row of a table that starts below other lines and is even from there on, or 0."""
    widths = [len(fields) for _, fields in rows]
    width, times = Counter(widths).most_common(1)[0] if widths else (0, 0)
    start = widths.index(width) if widths else 0
    if width < 2 or times < 2 or start == 0 or widths[0] >= width:
        return _short_table_start(rows, widths)
    table = rows[start:]
    if sum(len(fields) == width for _, fields in table) < 0.9 * len(table):
        return 0
    # A column of numbers with decimal commas, or of dates with commas, is not a table with two columns.
    whole = [",".join(fields).strip() for _, fields in table]
    return 0 if marks_of(whole)[0] or form_of(whole) else start


def _short_table_start(rows: _Rows, widths: list[int]) -> int:
    """The same, of a table with fewer rows than there are lines above it: below its header are numbers or dates."""
    start = next((n for n in range(len(widths)) if len(set(widths[n:])) == 1), 0)
    if not 0 < start <= _MOST_ABOVE or len(rows) - start < 2 or widths[-1] < 2 or widths[0] >= widths[-1]:
        return 0
    header, *below = ([cell.strip() for cell in fields] for _, fields in rows[start:])
    columns = zip(*below, strict=True)
    has_values = any(all(column) and (marks_of(column)[0] or form_of(column)) for column in columns)
    return start if has_values and all(header) and not any(map(_is_value, header)) else 0


def _like_the_first(rows: _Rows) -> tuple[float, int]:
    """The share of rows that have as many fields as the first, and the number of its fields."""
    width = len(rows[0][1]) if rows else 0
    return (sum(len(fields) == width for _, fields in rows) / len(rows), width) if width > 1 else (0.0, width)


def _first_rows(text: str, delimiter: str) -> _Rows:
    """The first rows that are not empty, with the numbers of their lines."""
    # The last line may be truncated, so it does not count unless it is the only one.
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, **_quoting(text, delimiter))
    rows: _Rows = []
    line = 1
    with contextlib.suppress(csv.Error):  # reported when the rows are read
        for fields in islice(reader, _LOOKED_AT + 1):
            if any(map(str.strip, fields)):
                rows.append((line, fields))
            line = reader.line_num + 1
    return rows[:-1] if len(rows) > _LOOKED_AT else rows


def _is_value(cell: str) -> bool:
    return bool(marks_of([cell.strip()])[0]) or form_of([cell.strip()]) is not None


def _fields(row: Sequence[str]) -> str:
    return f"{len(row)} field{'' if len(row) == 1 else 's'}, {_shown(row)}"


def _shown(row: Sequence[str]) -> str:
    text = ", ".join(" ".join(cell.split()) for cell in row)
    return repr(text if len(text) <= 40 else text[:39] + "…")
