"""Error messages for rows of cells that are not rows of the table, with a remedy for each."""

from collections.abc import Sequence
from typing import Any

from databox.errors import InvalidRecordError
from databox.files.column import Column, shown
from databox.files.dialect import DELIMITERS
from databox.files.words import means_nothing
from databox.wording import message, setting, words_of

__all__ = ["misfit", "other_header", "total_line", "wrong_width"]


def wrong_width(
    where: str, line: int, cells: Sequence[Any], known: int, delimiter: str, *, is_last: bool
) -> InvalidRecordError:
    """Return the error for a row with more or fewer cells than there are columns."""
    ways: list[str] = []
    if is_last:
        ways += [" If this last line is not a row, use ", setting("skip_footer", 1), "."]
    if len(cells) < known:
        ways += [" If rows may end early, and the missing columns are null, use ", setting("pad", True), "."]
    if delimiter:
        now = DELIMITERS.get(delimiter, repr(delimiter))
        ways += [
            f" Quote values that contain a delimiter, quote or line break. If the delimiter is not {now}, set ",
            setting("delimiter"),
            ".",
        ]
    fields = f"{len(cells)} field{'' if len(cells) == 1 else 's'}"
    return InvalidRecordError(
        message(f"{where} {line:,} has {fields}, but there are {known} columns: {_row(cells)}.", *ways)
    )


def misfit(where: str, line: int, column: Column, cell: Any, problem: ValueError, sampled: int) -> InvalidRecordError:
    """Return the error for a cell that does not fit the type of its column."""
    name, text = column.name, str(cell)
    text = text if len(text) <= 80 else text[:79] + "…"
    known = (
        f"was declared as {column.type}"
        if column.note == "declared"
        else f"is {column.type}, judging by the first {sampled:,} rows"
        if column.type != "empty"
        else f"was empty in the first {sampled:,} rows"
    )
    kind = "number" if column.type == "empty" else "text"
    ways: list[str] = []
    if means_nothing(text):
        ways += ["If it stands for a missing value, use ", setting("nulls", [text]), ". "]
    ways += ["Correct the value; or declare the column with ", setting("columns", {name: kind})]
    ways += ["; or read such values as null with ", setting("misfits", "null"), "."]
    reason = words_of(problem)
    return InvalidRecordError(
        message(f"{where} {line:,}, column {name!r}: {text!r} ", reason, f". The column {known}. ", *ways),
        column=name,
    )


def total_line(where: str, line: int, cells: Sequence[Any]) -> InvalidRecordError:
    """Return the error about a last row that seems to be a sum of the others."""
    return InvalidRecordError(
        message(
            f"{where} {line:,}, the last: {_row(cells)} looks like a line of totals, or a note. To leave it out, use ",
            setting("skip_footer", 1),
            "; if it is a row, use ",
            setting("skip_footer", 0),
            ".",
        )
    )


def other_header(where: str, line: int, cells: Sequence[Any]) -> InvalidRecordError:
    """Return the error for a row that has the column names in another order."""
    return InvalidRecordError(
        f"{where} {line:,}: {_row(cells)} looks like the header of another file, with other columns or in another "
        "order. Read such files one by one."
    )


def _row(cells: Sequence[Any]) -> str:
    return repr(shown(", ".join("" if cell is None else str(cell) for cell in cells)))
