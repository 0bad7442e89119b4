"""Error messages for rows of cells that are not rows of the table, with a remedy for each."""

from collections.abc import Sequence
from typing import Any

from databox.display import for_shell
from databox.errors import InvalidRecordError
from databox.files.column import Column, shown
from databox.files.dialect import DELIMITERS
from databox.files.words import means_nothing, null_option

__all__ = ["misfit", "other_header", "total_line", "wrong_width"]


def wrong_width(
    where: str, line: int, cells: Sequence[Any], known: int, delimiter: str, *, is_last: bool
) -> InvalidRecordError:
    """Return the error for a row with more or fewer cells than there are columns."""
    ways: list[str] = []
    if is_last:
        ways.append("If this last line is none of the rows, say skip_footer=1 (--skip-footer 1)")
    if len(cells) < known:
        ways.append("If rows may end early, so that the columns that they lack are null, say pad=True (--pad)")
    if delimiter:
        ways.append(
            "A delimiter, quote or line break within a value must be in quotes; or the delimiter, here "
            f"{DELIMITERS.get(delimiter, repr(delimiter))}, is another: delimiter= (--delimiter)"
        )
    return InvalidRecordError(
        f"{where} {line:,} has {len(cells)} field{'' if len(cells) == 1 else 's'}, and there are {known} columns: "
        f"{_row(cells)}. {'. '.join(ways)}."
    )


def misfit(where: str, line: int, column: Column, cell: Any, problem: ValueError, sampled: int) -> InvalidRecordError:
    """Return the error for a cell that does not fit the type of its column."""
    name, text = column.name, str(cell)
    text = text if len(text) <= 80 else text[:79] + "…"
    known = (
        f"was declared to be {column.type}"
        if column.note == "declared"
        else f"is {column.type} by the first {sampled:,} rows"
        if column.type != "empty"
        else f"was empty in the first {sampled:,} rows"
    )
    kind = "number" if column.type == "empty" else "text"
    nothing = f"If it means nothing, {null_option([text])}. " if means_nothing(text) else ""
    declaring = f"columns={{{name!r}: {kind!r}}} (--column {for_shell(name)}={kind})"
    return InvalidRecordError(
        f"{where} {line:,}, column {name!r}: {text!r} {problem}. The column {known}. {nothing}Mend the "
        f"value; or declare the column, {declaring}; or read such "
        'values as null, misfits="null" (--misfits null).',
        column=name,
    )


def total_line(where: str, line: int, cells: Sequence[Any]) -> InvalidRecordError:
    """Return the error about a last row that seems to be a sum of the others."""
    return InvalidRecordError(
        f"{where} {line:,}, the last: {_row(cells)} looks like a line of totals, or a note. To leave it out, say "
        "skip_footer=1 (--skip-footer 1); if it is a row, skip_footer=0 (--skip-footer 0)."
    )


def other_header(where: str, line: int, cells: Sequence[Any]) -> InvalidRecordError:
    """Return the error for a row that has the column names in another order."""
    return InvalidRecordError(
        f"{where} {line:,}: {_row(cells)} looks like the header of another file with other columns, or in another "
        "order. Read such files one by one."
    )


def _row(cells: Sequence[Any]) -> str:
    return repr(shown(", ".join("" if cell is None else str(cell) for cell in cells)))
