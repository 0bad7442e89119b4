"""Whether a file that no usual delimiter splits has one column or several, or is not a table at all."""

import csv
import re
from collections.abc import Callable, Sequence

from databox.errors import InvalidRecordError
from databox.files.column import shown
from databox.files.numerals import marks_of
from databox.wording import Message, message, setting

__all__ = ["ask_about_markup", "ask_about_one_column"]

_OTHERS = "^~:¦§¶·¬\x01\x02\x03\x04\x05\x06\x07\x08\x1c\x1d\x1e\x1f"
"""Characters that sometimes separate fields, and in prose do not occur equally often in each line."""
_ALIGNED = re.compile(r"\S(?: {2,}| *\t[ \t]*)\S")
_MARKUP = (
    (
        re.compile(r"<(?:!doctype|html|head|body|table|div|meta|script|svg)\b", re.IGNORECASE),
        "a web page, such as a log-in page. Download the table again",
    ),
    (re.compile(r"<\?xml\b|<[A-Za-z][\w:.-]*(?:\s[^<>]*)?>\s*<"), "XML. Convert it to CSV or JSON"),
    (re.compile(r"version https://git-lfs"), "a pointer of Git LFS. Fetch the file itself: git lfs pull"),
    (re.compile(r"\{\s*\"|\[\s*[\[{]"), message("JSON. If it is, use ", setting("format", "json"))),
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
                message(
                    f"{name} begins with {shown(start[:100])!r}, so it looks like ",
                    what,
                    ". If it is CSV, use ",
                    setting("delimiter", delimiter),
                    ".",
                )
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
    within = next(
        (each for each in ",;\t|" if all(each in text for text in lines) and _is_even(_cut(lines, each))), None
    )
    if within:
        raise InvalidRecordError(
            message(
                f"{name}, line {line}: {shown(lines[0])!r} is quoted as a whole, like all lines, and {within!r} splits "
                "them alike. Remove the outer quotes; or if there is one column, use ",
                setting("delimiter", absent),
                ".",
            )
        )
    where = f"{name}, line {line}: {shown(lines[0])!r} has no comma, semicolon, tab or pipe"
    one = "if there is one column, use ", setting("delimiter", absent), "."
    separator = next((each for each in _OTHERS if _is_even(cut(each))), None)
    # Each line may have the same number of words by chance, but words are then not above numbers.
    if separator is None and _is_even(words := cut(" ")) and _heads_numbers(words):
        separator = " "
    if separator:
        raise InvalidRecordError(
            message(
                f"{where}, but {separator!r} splits all lines alike. If it separates columns, use ",
                setting("delimiter", separator),
                "; ",
                *one,
            )
        )
    if _ALIGNED.search(lines[0]) and sum(map(bool, map(_ALIGNED.search, lines))) >= 0.8 * len(lines):
        raise InvalidRecordError(
            message(
                f"{where}, but words far apart. Columns aligned by spaces cannot be read: convert the file to CSV",
                Message(", for example with pandas.read_fwf", ""),
                "; ",
                *one,
            )
        )


def _cut(lines: Sequence[str], delimiter: str) -> list[list[str]]:
    return list(csv.reader(lines, delimiter=delimiter))


def _is_even(rows: Sequence[Sequence[str]]) -> bool:
    widths = set(map(len, rows))
    return len(rows) > 1 and len(widths) == 1 and widths != {1}


def _heads_numbers(rows: Sequence[Sequence[str]]) -> bool:
    header, *below = rows
    columns = ([cell for cell in column if cell] for column in zip(*below, strict=True))
    return all(header) and not marks_of(header)[0] and any(column and marks_of(column)[0] for column in columns)
