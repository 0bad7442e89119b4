"""Whether a file that no usual delimiter splits has one column or several, or is not a table at all."""

import re
import shlex
from collections.abc import Callable, Sequence

from databox.errors import InvalidRecordError
from databox.files.column import shown
from databox.files.numerals import marks_of

__all__ = ["ask_about_markup", "ask_about_one_column"]

_OTHERS = "^~:¦§¶·¬\x01\x02\x03\x04\x05\x06\x07\x08\x1c\x1d\x1e\x1f"
"""Characters that sometimes separate fields, and in prose do not occur equally often in each line."""
_ALIGNED = re.compile(r"\S(?: {2,}| *\t[ \t]*)\S")
_PAGE = "a web page, as where a download asks to log in. Have the table itself made again"
_MARKUP = (
    (
        re.compile(r"<(?:!doctype|html|head|body|table|div|meta|script|svg)\b", re.IGNORECASE),
        "a web page, as where a download asks to log in. Have the table itself made again",
    ),
    (re.compile(r"<\?xml\b|<[A-Za-z][\w:.-]*(?:\s[^<>]*)?>\s*<"), "XML. Convert it to CSV or JSON"),
    (re.compile(r"version https://git-lfs"), "a pointer of Git LFS. Fetch the file itself: git lfs pull"),
    (re.compile(r"\{\s*\"|\[\s*[\[{]"), "JSON. If it is, say format='json' (--format json)"),
)


def ask_about_markup(name: str, head: str, delimiter: str) -> None:
    """Raise if a file that should be CSV starts like something else.

    Args:
        name: the file's.
        head: its beginning.
        delimiter: one to pass if it is CSV anyway.

    Raises:
        InvalidRecordError: its lines would be sent as rows.
    """
    start = head.lstrip("\ufeff \t\r\n")
    for pattern, what in _MARKUP:
        if pattern.match(start):
            raise InvalidRecordError(
                f"{name} begins with {shown(start[:100])!r}, so it looks like {what}. If it is CSV all the same, say "
                f"{_delimiter_option(delimiter)}."
            )


def ask_about_one_column(name: str, line: int, absent: str, cut: Callable[[str], Sequence[Sequence[str]]]) -> None:
    """Raise if something other than the usual delimiters may separate columns.

    Args:
        name: the file's.
        line: the number of the first line.
        absent: a delimiter to pass if there is one column.
        cut: a function that returns the first rows, split by a delimiter.

    Raises:
        InvalidRecordError: lines that are not split would be sent as rows.
    """
    lines = [" ".join(row) for row in cut(absent)]
    if len(lines) < 2:
        return
    where = f"{name}, line {line}: {shown(lines[0])!r} has no comma, semicolon, tab or pipe"
    one = f"if there is one column, {_delimiter_option(absent)}"
    separator = next((each for each in _OTHERS if _is_even(cut(each))), None)
    # Each line may have the same number of words by chance, but words are then not above numbers.
    if separator is None and _is_even(words := cut(" ")) and _heads_numbers(words):
        separator = " "
    if separator:
        raise InvalidRecordError(
            f"{where}, and {separator!r} cuts all lines alike. If that separates columns, say "
            f"{_delimiter_option(separator)}; {one}."
        )
    if _ALIGNED.search(lines[0]) and sum(map(bool, map(_ALIGNED.search, lines))) >= 0.8 * len(lines):
        raise InvalidRecordError(
            f"{where}, but words far apart. Columns that are aligned by spaces cannot be read: convert the file to "
            f"CSV, with pandas.read_fwf, say; {one}."
        )


def _is_even(rows: Sequence[Sequence[str]]) -> bool:
    widths = set(map(len, rows))
    return len(rows) > 1 and len(widths) == 1 and widths != {1}


def _heads_numbers(rows: Sequence[Sequence[str]]) -> bool:
    header, *below = rows
    columns = ([cell for cell in column if cell] for column in zip(*below, strict=True))
    return all(header) and not marks_of(header)[0] and any(column and marks_of(column)[0] for column in columns)


def _delimiter_option(delimiter: str) -> str:
    option = shlex.quote(delimiter) if delimiter.isprintable() else f"${delimiter!r}"
    return f"delimiter={delimiter!r} (--delimiter {option})"
