"""Detects rows that are not what they seem: names that are values, a header further down, a line of totals."""

import math
import re
from collections.abc import Collection, Sequence
from typing import Any

from databox.errors import InvalidRecordError
from databox.files.column import Decision, shown
from databox.files.dates import form_of
from databox.files.numerals import marks_of
from databox.wording import message, setting

__all__ = [
    "Line",
    "check_header",
    "check_names",
    "check_second_header",
    "is_header_again",
    "is_total",
    "names_of",
    "totals_line",
]

Line = tuple[int, list[Any]]
"""A row's number and its cells: text, or the types of a sheet."""

_NEVER_NAMES = re.compile(
    r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"  # a UUID
    r"|[^@\s]+@[^@\s]+\.[a-z]{2,}"  # an e-mail address
    r"|https?://\S+|true|false|\+\d[\d ()/-]{6,}\d|0\d+|\d{1,2}:\d{2}(?::\d{2})?",
    re.IGNORECASE,
)
_YEAR = re.compile(r"(?:19|20)\d\d", re.ASCII)
_TOTAL = re.compile(
    r"(?:(?:(?:grand|sub|net|overall|report)[ -]?)?totals?|sum(?:me|ma)?|gesamt(?:summe|betrag)?|insgesamt|somme|suma"
    r"|totale?n?|totaal|razem|celkem|skupaj|итого|всего|合計|总计|合计)"
    r"[\s:=]*(?:\([^)]*\)|[A-Z]{3}|[€$£%]|g[eé]n[eé]ral|amount|rows?|records?|[\d.,' ]+(?:rows?|records?)?)?"
    r"[\s:]*",
    re.IGNORECASE,
)
"""A word for a sum, alone or with its subject; a company may have such a name, too."""
_LONGEST_TOTAL = 30


def names_of(where: str, cells: Sequence[Any], line: int, below: Sequence[Line]) -> list[str]:
    """Return the column names of a header.

    Args:
        where: the file, and the unit in which its rows are counted.
        cells: the cells of the header.
        line: its number.
        below: some of the following rows.

    Raises:
        InvalidRecordError: a column has no name, or a duplicate name.
    """
    names = [str(cell).strip().strip("\ufeff").strip() if cell is not None else "" for cell in cells]
    remedy = message(
        "Correct the header; or skip it and give the names: ",
        setting("skip_lines", line),
        " and ",
        setting("header", ["A", "B", "C"]),
        ".",
    )
    seen: dict[str, int] = {}
    for place, each in enumerate(names):
        if not each:
            better = next((number for number, row in below[:20] if _may_be_names(row, len(names))), None)
            if better is not None:
                unit = where.rpartition(" ")[2]
                remedy = message(f"If the header is {unit} {better}, use ", setting("skip_lines", better - 1), ".")
            raise InvalidRecordError(message(f"{where} {line}: column {place + 1} has no name. ", remedy))
        if seen.setdefault(each, place) != place:
            raise InvalidRecordError(
                message(f"{where} {line}: columns {seen[each] + 1} and {place + 1} are both named {each!r}. ", remedy),
                column=each,
            )
    return names


def check_header(
    where: str, line: int, names: Sequence[str], decisions: Sequence[Decision], sample: Sequence[Line]
) -> None:
    """Raise if the names of columns look like values of these columns.

    Raises:
        InvalidRecordError: the file seems to have no header, so its first row would be lost.
    """
    values = [_is_value(name) for name in names]
    for place, (name, decision) in enumerate(zip(names, decisions, strict=True)):
        column = [str(row[place]).strip() for _, row in sample if row[place] is not None]
        if (
            _NEVER_NAMES.fullmatch(name)
            or (values[place] and _belongs(name, decision.column.type, column))
            or (all(values) and sample)
            or (decision.column.type == "text" and column.count(name) > 1 and len(set(column)) > 1)
        ):
            raise InvalidRecordError(
                message(
                    f"{where} {line}: {shown(name)!r} looks like a value, not like the name of a column. If there is "
                    "no header, name the columns with ",
                    setting("header"),
                    ". If these are their names, use ",
                    setting("skip_lines", line - 1),
                    ".",
                ),
                column=name,
            )


def check_names(where: str, line: int, given: Sequence[str], cells: Sequence[Any], rest: Sequence[Line]) -> None:
    """Raise if the caller passed names, but the file has a header too, which would become a row.

    Raises:
        InvalidRecordError: the first row has words where all others have values.
    """
    if _heads(cells, rest):
        raise InvalidRecordError(
            message(
                f"{where} {line}: {_shown(cells)} looks like a header, but names were given. To skip it, use ",
                setting("skip_lines", line),
                "; if it is a row, use ",
                setting("skip_lines", line - 1),
                ".",
            )
        )


def check_second_header(where: str, header: int, sample: Sequence[Line], declared: Collection[int]) -> None:
    """Raise if the first row has words where all others have numbers or dates.

    Raises:
        InvalidRecordError: it may be the header, or a second line of it.
    """
    line, cells = sample[0]
    if not _heads(cells, sample[1:], declared):
        return
    raise InvalidRecordError(
        message(
            f"{where} {line}: {_shown(cells)} has words where the rows below have numbers or dates. If it is the "
            "header, use ",
            setting("skip_lines", line - 1),
            "; if it belongs to the header above, give the names: ",
            setting("skip_lines", line),
            " and ",
            setting("header", ["A", "B", "C"]),
            "; if it is a row, use ",
            setting("skip_lines", header - 1),
            ".",
        )
    )


def is_header_again(cells: Sequence[Any], names: Sequence[str]) -> bool:
    """Whether a row repeats the header, as in concatenated files."""
    if len(cells) != len(names):
        return False
    return all(
        isinstance(cell, str) and _bare(cell).casefold() == name.casefold()
        for cell, name in zip(cells, names, strict=True)
    )


def totals_line(sample: Sequence[Line], decisions: Sequence[Decision], nulls: Any) -> bool:
    """Whether the last row is a note, or has the sum of a column and, as the only row, nothing in the first column."""
    if len(sample) < 3:
        return False
    *rows, (line, last) = sample
    lacking = [place for place, cell in enumerate(last) if _is_null(cell, nulls)]
    is_apart = line > rows[-1][0] + 1 and len(last) > 1
    if len(lacking) == len(last) - 1 > (0 if is_apart else 1) and 0 not in lacking and isinstance(last[0], str):
        # A note, such as where the rows are from; also below two columns if there is an empty row between.
        return all(sum(not _is_null(cell, nulls) for cell in row) > 1 for _, row in rows)
    if 0 not in lacking or any(_is_null(row[0], nulls) for _, row in rows):
        return False
    for place, decision in enumerate(decisions):
        if decision.column.type != "number" or decision.read is None or _is_null(last[place], nulls):
            continue
        try:
            numbers = [decision.read(row[place]) for _, row in rows if not _is_null(row[place], nulls)]
            total = decision.read(last[place])
        except ValueError:
            continue
        if total and math.isclose(math.fsum(numbers), total, rel_tol=1e-9, abs_tol=1e-6):
            return True
    return False


def is_total(cells: Sequence[Any]) -> bool:
    """Whether a row starts with a word for a sum."""
    first = next((cell for cell in cells if cell is not None and str(cell).strip()), None)
    if not isinstance(first, str) or len(first) > _LONGEST_TOTAL:
        return False
    return _TOTAL.fullmatch(first.strip()) is not None


def _heads(cells: Sequence[Any], below: Sequence[Line], declared: Collection[int] = ()) -> bool:
    """Whether a row is all words, and below it at least one column is all numbers, or all dates."""
    words = [str(cell).strip() for cell in cells if cell is not None and str(cell).strip()]
    no_values = not any(map(_is_value, words))
    all_words = not any(any(map(str.isdigit, word)) or len(word) < 2 for word in words)
    if len(below) < 2 or not words or not (no_values or all_words):
        return False
    heads = [
        cell.strip()
        for place, cell in enumerate(cells)
        if place not in declared
        and isinstance(cell, str)
        and cell.strip()
        and _is_of_values([row[place] for _, row in below if place < len(row)])
    ]
    if no_values and len(heads) == len(words) > 1:
        return True
    if not all_words:
        return False
    # AB above 12 and 34 may be a code like them, unless the whole row is like that.
    return len(heads) == len(words) or not all(word.isupper() and len(word) <= 3 for word in heads)


def _is_of_values(cells: Sequence[Any]) -> bool:
    filled = [cell for cell in cells if cell is not None and str(cell).strip()]
    texts = [cell.strip() for cell in filled if isinstance(cell, str)]
    if len(filled) < 2:
        return False
    return len(texts) == 0 or (len(texts) == len(filled) and (bool(marks_of(texts)[0]) or form_of(texts) is not None))


def _may_be_names(row: Sequence[Any], width: int) -> bool:
    cells = [str(cell).strip() if cell is not None else "" for cell in row]
    while cells and not cells[-1]:
        cells.pop()
    return 2 <= len(cells) <= width and all(cells) and len(set(cells)) == len(cells) and not any(map(_is_value, cells))


def _belongs(name: str, kind: str, column: Sequence[str]) -> bool:
    """Whether a name is a value like those in its column. A year over numbers is a name, unless they are years."""
    if marks_of([name])[0]:
        return kind == "number" and (not _YEAR.fullmatch(name) or all(map(_YEAR.fullmatch, column)))
    return kind in {"date", "datetime"}


def _is_value(text: str) -> bool:
    return bool(marks_of([text])[0]) or form_of([text]) is not None


def _is_null(cell: Any, nulls: Any) -> bool:
    return cell is None or (isinstance(cell, str) and cell.strip() in nulls)


def _bare(cell: str) -> str:
    return cell.strip().strip("\ufeff").strip('"').strip()


def _shown(cells: Sequence[Any]) -> str:
    return repr(shown(", ".join("" if cell is None else str(cell) for cell in cells)))
